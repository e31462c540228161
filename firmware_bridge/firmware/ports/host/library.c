// The core as a shared library: memory for a bridge, and bytes of the link in one call.
#include "../../core/bridge.h"

size_t library_bridge_bytes(void);
void library_init(struct bridge *bridge, unsigned counter_bits);
size_t library_exchange(struct bridge *bridge, const uint8_t *received, size_t count, uint8_t *sent,
                        size_t room);

size_t library_bridge_bytes(void)
{
    return sizeof(struct bridge);
}

void library_init(struct bridge *bridge, unsigned counter_bits)
{
    bridge_init(bridge, (struct board){"library", counter_bits});
}

// Answers are taken after every byte, so that none is overtaken by the next.
size_t library_exchange(struct bridge *bridge, const uint8_t *received, size_t count, uint8_t *sent,
                        size_t room)
{
    size_t answered = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte;
        bridge_receive(bridge, received[i]);
        while (answered < room && bridge_transmit(bridge, &byte))
            sent[answered++] = byte;
    }
    return answered;
}
