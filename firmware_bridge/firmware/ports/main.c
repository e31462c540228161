// The loop of every board: receive, advance, drive, answer.
#include "port.h"

// Enough to keep up with the link, and few enough not to keep the encoder waiting.
enum { BYTES_A_TURN = 4 };

// A pin follows at once, but for what is wired to it: so many turns in which it has not are a fault.
enum { TURNS_TO_FOLLOW = 8 };

static bool output_follows(bool rejects)
{
    static unsigned astray;
    astray = port_rejects() == rejects ? 0 : astray + 1;
    return astray < TURNS_TO_FOLLOW;
}

int main(void)
{
    static struct bridge bridge;
    bool rejects = true;
    bridge_init(&bridge, port_init());
    for (;;) {
        uint8_t byte;
        uint8_t faults = port_turn();
        for (unsigned i = 0; i < BYTES_A_TURN && port_read(&byte); i++)
            bridge_receive(&bridge, byte);
        bridge_lose_bytes(&bridge, port_lost_bytes());
        if (port_lost_counts())
            bridge_fail_encoder(&bridge);
        if (!output_follows(rejects))
            faults |= FAULT_OUTPUT;
        if (faults != 0)
            bridge_find_fault(&bridge, faults);
        const int64_t now_ns = port_now_ns();
        rejects = bridge_advance(&bridge, port_count(), now_ns);
        port_reject(rejects);
        for (unsigned i = 0; i < BYTES_A_TURN && port_can_write(); i++)
            if (bridge_transmit(&bridge, &byte))
                port_write(byte);
    }
}
