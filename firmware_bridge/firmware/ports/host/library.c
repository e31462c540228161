// The core as a shared library: memory for a bridge, bytes of the link in one call, and a rail that
// rolls by.
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
    bridge_init(bridge, (struct board){.name = "library", .counter_bits = counter_bits});
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

// A rail under an encoder, and the board's loop that reads it.
struct rail {
    int64_t position_nm;
    int64_t nm_per_count;
    int64_t now_ns;
    bool rejects;
};

struct turned {
    int64_t at_ns; // the reading after which the output was driven
    bool rejects;
};

size_t library_roll(struct bridge *bridge, struct rail *rail, int64_t um_per_s, int64_t turn_ns,
                    size_t turns, struct turned *switched, size_t room);

// So many turns at one speed. What the output was switched to goes to `switched`; how often, is said.
size_t library_roll(struct bridge *bridge, struct rail *rail, int64_t um_per_s, int64_t turn_ns,
                    size_t turns, struct turned *switched, size_t room)
{
    const struct rail from = *rail;
    size_t count = 0;
    for (size_t i = 1; i <= turns; i++) {
        rail->now_ns = from.now_ns + (int64_t)i * turn_ns;
        rail->position_nm = from.position_nm + um_per_s * (int64_t)i * turn_ns / 1000000;
        const int64_t counts = rail->position_nm / rail->nm_per_count
            - (rail->position_nm % rail->nm_per_count < 0);
        const bool rejects = bridge_advance(bridge, (uint32_t)counts, rail->now_ns);
        if (rejects != rail->rejects && count < room)
            switched[count++] = (struct turned){rail->now_ns, rejects};
        rail->rejects = rejects;
    }
    return count;
}
