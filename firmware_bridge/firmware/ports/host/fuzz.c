// The core under sanitizers, by requests whose CRC is right: `fuzz SEED HISTORIES`.
//
// Each history is a session or several: requests in and out of turn, of any length and content, some
// of them damaged, while the rail goes on, stands, backs up and leaps. What comes of it is held against
// the promises that the host relies on: nothing passes unless a session says so, events come in the
// order of their numbers, and each order and pass that was taken ends as exactly one of them.
// With clang's -fsanitize=fuzzer and -DLIBFUZZER it is a target of libFuzzer: each input is a seed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/bridge.h"

enum { STEPS = 400, MOST_ORDERS = 4096 };
enum { ANSWER_BYTES = 46, EVENT_BYTES = 30 };

static uint64_t chance;

static uint32_t draw(uint32_t below)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 32) % below;
}

struct host {
    struct bridge bridge;
    struct frame_reader reader;
    uint32_t raw_count, sequence, session, heard, order, next_event;
    int64_t now_ns, position_um;
    uint8_t state;
    bool lazy; // asks for no news until the end
    uint8_t ends[MOST_ORDERS + 1]; // how many events ended each order
};

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void hear_events(struct host *host, struct cursor cursor, unsigned count)
{
    const uint32_t first = get_u32(&cursor);
    const unsigned events = get_u8(&cursor);
    expect(count == 5 + events * EVENT_BYTES, "events of another length than they say");
    for (unsigned i = 0; i < events; i++) {
        const uint8_t kind = get_u8(&cursor);
        get_u8(&cursor);
        const uint32_t order = get_u32(&cursor);
        cursor.at += 24;
        if (first + i < host->next_event || host->state == STATE_NO_SESSION)
            continue; // heard before
        expect(first + i == host->next_event, "an event was lost");
        host->next_event++;
        expect(order <= host->order, "an event of an order that was never taken");
        if (kind != EVENT_PULSE && order != 0 && order <= MOST_ORDERS)
            expect(++host->ends[order] == 1, "an order that ended twice");
    }
}

static void hear(struct host *host, struct body body)
{
    expect(body.count >= ANSWER_BYTES, "an answer too short");
    struct cursor cursor = {body.bytes};
    const uint8_t type = get_u8(&cursor) ^ RESPONSE;
    get_u32(&cursor);
    const uint32_t session = get_u32(&cursor);
    const uint32_t number = get_u32(&cursor);
    expect(number == host->heard + 1, "an answer without its number");
    host->heard = number;
    if (session != host->session) {
        host->session = session;
        host->order = host->next_event = 0;
        memset(host->ends, 0, sizeof host->ends);
    }
    host->state = get_u8(&cursor);
    const bool rejects = get_u8(&cursor) != 0;
    expect(rejects || host->state == STATE_RUNNING || host->state == STATE_RELEASED,
           "rail passes though no session says so");
    cursor.at += 1 + 4;
    host->order = get_u32(&cursor);
    cursor.at += 4 + 8;
    host->position_um = get_i64(&cursor);
    const uint8_t refusal = get_u8(&cursor);
    get_u8(&cursor);
    if (type == REQUEST_POLL && refusal == REFUSAL_NONE)
        hear_events(host, cursor, body.count - ANSWER_BYTES);
}

static void put_byte(struct host *host, uint8_t byte)
{
    bridge_receive(&host->bridge, byte);
    while (bridge_transmit(&host->bridge, &byte)) {
        const struct body body = frame_read(&host->reader, byte);
        if (body.count > 0)
            hear(host, body);
    }
}

// A request of this body; now and then a bit of it is turned over on its way.
static void ask(struct host *host, uint8_t type, uint32_t session, const uint8_t *bytes, unsigned count)
{
    struct frame_writer writer;
    uint8_t *start = frame_body(&writer), byte;
    struct cursor cursor = {start};
    const bool stale = draw(40) == 0 && type >= REQUEST_ORDER && type <= REQUEST_MODE;
    const uint32_t heard = host->heard;
    put_u8(&cursor, type);
    put_u32(&cursor, stale ? host->bridge.sequence - draw(3) : ++host->sequence);
    put_u32(&cursor, session);
    put_u32(&cursor, draw(20) == 0 ? draw(1000) : host->heard);
    memcpy(cursor.at, bytes, count);
    frame_write(&writer, (unsigned)(cursor.at - start) + count);
    const unsigned damaged = draw(50) == 0 ? draw(100) : 1000;
    for (unsigned i = 0; frame_next(&writer, &byte); i++)
        put_byte(host, (uint8_t)(i == damaged ? byte ^ 1 << draw(8) : byte));
    expect(!stale || session != host->session || session == 0 || host->heard == heard,
           "an old request that was answered");
}

static void open_session(struct host *host)
{
    uint8_t bytes[8 + 61];
    struct cursor cursor = {bytes};
    const bool odd = draw(20) == 0;
    put_u16(&cursor, PROTOCOL_VERSION);
    ask(host, REQUEST_HELLO, 0, bytes, 2);
    cursor.at = bytes;
    put_i64(&cursor, host->bridge.reading.at_ns);
    put_u32(&cursor, odd ? draw(UINT32_MAX) : draw(4) == 0 ? 0xFFFFFC18 : 1000);
    put_i64(&cursor, (int64_t)draw(3) * 100);
    put_i64(&cursor, draw(2) * INT64_C(1000000));
    put_i64(&cursor, draw(50));
    put_i64(&cursor, draw(2) * INT64_C(3000000));
    put_i64(&cursor, draw(30));
    put_i64(&cursor, odd ? draw(3) : 60 * SECOND_NS);
    put_i64(&cursor, odd ? 1 : draw(3) == 0 ? 1000000 : INT64_C(1000000000000));
    put_u8(&cursor, (uint8_t)draw(2));
    ask(host, REQUEST_OPEN, draw(UINT32_MAX), bytes, sizeof bytes);
}

static void give_orders(struct host *host)
{
    uint8_t bytes[4 + 16 * STRETCHES_A_REQUEST];
    struct cursor cursor = {bytes};
    const unsigned count = 1 + draw(STRETCHES_A_REQUEST);
    put_u32(&cursor, host->order + (draw(10) == 0 ? draw(4) : 1));
    for (unsigned i = 0; i < count; i++) {
        const bool far = draw(60) == 0;
        const int64_t start_um = far ? PLACE_LIMIT_UM - draw(3) : host->position_um + draw(3000);
        put_i64(&cursor, start_um - 300);
        put_i64(&cursor, start_um - 300 + (draw(60) == 0 ? 0 : 1 + draw(200)));
    }
    const unsigned bytes_count = 4 + 16 * count;
    ask(host, draw(3) == 0 ? REQUEST_PASS : REQUEST_ORDER, host->session, bytes, bytes_count);
}

static void poll(struct host *host)
{
    uint8_t bytes[4];
    struct cursor cursor = {bytes};
    put_u32(&cursor, host->next_event);
    ask(host, REQUEST_POLL, host->session, bytes, sizeof bytes);
}

// Of no known type, and of any length and content.
static void ask_nonsense(struct host *host)
{
    uint8_t bytes[200];
    const unsigned count = draw(sizeof bytes);
    for (unsigned i = 0; i < count; i++)
        bytes[i] = (uint8_t)draw(256);
    static const uint8_t types[] = {0, 9, 77, 255};
    ask(host, types[draw(sizeof types)], host->session, bytes, count);
}

static void turn(struct host *host, uint32_t counts, int64_t wait_ns)
{
    host->raw_count += counts;
    host->now_ns += wait_ns;
    const bool rejects = bridge_advance(&host->bridge, host->raw_count, host->now_ns);
    const uint32_t state = host->bridge.state;
    expect(rejects || state == STATE_RUNNING || state == STATE_RELEASED,
           "rail passes though no session says so");
    expect(host->bridge.tracker.events.count <= EVENT_CAPACITY
               && host->bridge.tracker.pool.free_count <= ORDER_CAPACITY,
           "more than there is room for");
}

static void step(struct host *host)
{
    const uint8_t mode = (uint8_t)(draw(8) < 6 ? 0 : draw(4));
    const uint8_t yes = (uint8_t)draw(2);
    switch (draw(24)) {
    case 0:
        ask(host, REQUEST_MODE, host->session, &mode, 1);
        break;
    case 1:
        ask_nonsense(host);
        break;
    case 2:
        ask(host, REQUEST_STATISTICS, host->session, &yes, 0);
        break;
    case 3:
        if (draw(40) == 0)
            ask(host, REQUEST_CLOSE, host->session, &yes, 1);
        if (draw(10) == 0 || host->state != STATE_RUNNING)
            open_session(host);
        break;
    case 4:
        if (draw(60) == 0)
            turn(host, draw(UINT32_MAX), draw(3) == 0 ? 2 * SECOND_NS : (int64_t)draw(1000) - 5);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        if (!host->lazy)
            poll(host);
        break;
    case 9:
    case 10:
    case 11:
        give_orders(host);
        break;
    default:
        turn(host, draw(10) == 0 ? (uint32_t)-20 : draw(40), draw(3) * 400000);
    }
}

// Let all go by that is on board and in reach, hear of it, and see that all is spoken of.
static void settle(struct host *host)
{
    const uint8_t ordered = MODE_ORDERED;
    for (unsigned i = 0; i < 50 && host->bridge.tracker.mode != MODE_ORDERED; i++) {
        poll(host);
        ask(host, REQUEST_MODE, host->session, &ordered, 1);
    }
    const bool turned = host->bridge.opening.nm_per_count < 0;
    for (unsigned i = 0; i < 1000; i++) {
        turn(host, turned ? (uint32_t)-10 : 10, 300000);
        poll(host);
    }
    if (host->state != STATE_RUNNING)
        return;
    const struct tracker *tracker = &host->bridge.tracker;
    unsigned far = 0, ended = 0;
    for (unsigned i = 0; i < tracker->waiting.count; i++)
        far += tracker->pool.orders[tracker->waiting.slots[i]].number != 0;
    for (uint32_t n = 1; n <= host->order && n <= MOST_ORDERS; n++)
        ended += host->ends[n];
    const unsigned under = tracker->under.count + tracker->arrived_count;
    expect(host->order > MOST_ORDERS || ended + far + under >= host->order,
           "an order of which nobody said what became");
}

static void live_through(uint64_t seed)
{
    static struct host host;
    memset(&host, 0, sizeof host);
    chance = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
    bridge_init(&host.bridge, (struct board){.name = "fuzz", .counter_bits = 24});
    host.lazy = draw(4) == 0;
    turn(&host, 0, 1000);
    for (unsigned i = 0; i < STEPS; i++)
        step(&host);
    settle(&host);
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t seed = 0;
    memcpy(&seed, data, size < sizeof seed ? size : sizeof seed);
    live_through(seed);
    return 0;
}
#else
int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: fuzz SEED HISTORIES\n");
        return 2;
    }
    const uint64_t seed = strtoull(arguments[1], NULL, 10);
    const uint64_t histories = strtoull(arguments[2], NULL, 10);
    for (uint64_t i = 0; i < histories; i++)
        live_through(seed + i);
    return EXIT_SUCCESS;
}
#endif
