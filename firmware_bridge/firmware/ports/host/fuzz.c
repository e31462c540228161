// The core under sanitizers: whatever comes over the link, and whatever the encoder does meanwhile.
// With clang's -fsanitize=fuzzer and -DLIBFUZZER it is a target of libFuzzer; otherwise each input
// comes on standard input, after its length in two bytes.
#include <stdio.h>
#include <stdlib.h>

#include "../../core/bridge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// An invariant that the host relies on: nothing passes unless a session says so.
static void expect_safety(const struct bridge *bridge, bool rejects)
{
    const bool may_pass = bridge->state == STATE_RUNNING || bridge->state == STATE_RELEASED;
    const struct tracker *tracker = &bridge->tracker;
    if ((!rejects && !may_pass) || (may_pass && bridge->session == 0)
        || tracker->events.count > EVENT_CAPACITY || tracker->pool.free_count > ORDER_CAPACITY)
        abort();
}

// Every byte is received, and every seventh moves the rail, some of them far.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bridge bridge;
    uint32_t count = 0;
    int64_t now_ns = 0;
    bridge_init(&bridge, (struct board){.name = "fuzz", .counter_bits = 16});
    for (size_t i = 0; i < size; i++) {
        uint8_t byte;
        bridge_receive(&bridge, data[i]);
        while (bridge_transmit(&bridge, &byte)) {
        }
        if (i % 7 == 0) {
            count += data[i] < 250 ? data[i] : (uint32_t)data[i] << 23;
            now_ns += data[i] < 250 ? data[i] * 1000 : (int64_t)data[i] << 22;
        }
        expect_safety(&bridge, bridge_advance(&bridge, count, now_ns));
    }
    return 0;
}

#ifndef LIBFUZZER
int main(void)
{
    static uint8_t data[65535];
    int low, high;
    while ((low = getchar()) != EOF && (high = getchar()) != EOF) {
        const size_t size = (size_t)(low | high << 8);
        if (fread(data, 1, size, stdin) != size)
            return EXIT_FAILURE;
        LLVMFuzzerTestOneInput(data, size);
    }
    return EXIT_SUCCESS;
}
#endif
