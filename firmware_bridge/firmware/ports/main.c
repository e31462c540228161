// The loop of every board: receive, advance, drive, answer.
#include "port.h"

// Enough to keep up with the link, and few enough not to keep the encoder waiting.
enum { BYTES_A_TURN = 4 };

int main(void)
{
    static struct bridge bridge;
    bridge_init(&bridge, port_init());
    for (;;) {
        uint8_t byte;
        port_turn();
        for (unsigned i = 0; i < BYTES_A_TURN && port_read(&byte); i++)
            bridge_receive(&bridge, byte);
        if (port_lost_counts())
            bridge_fail_encoder(&bridge);
        const int64_t now_ns = port_now_ns();
        port_reject(bridge_advance(&bridge, port_count(), now_ns));
        for (unsigned i = 0; i < BYTES_A_TURN && port_can_write(); i++)
            if (bridge_transmit(&bridge, &byte))
                port_write(byte);
    }
}
