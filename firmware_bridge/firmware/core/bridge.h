// The whole bridge of a board: bytes of the link and counts of the encoder in, the output and the
// bytes of answers out. No I/O, no clock, no heap; a port's loop calls it (ports/main.c).
//
// The output rejects unless a session runs and no order is under the actuator. Whatever fails ends
// the session for good; only the host can open another. The encoder is counted all the while, so that
// the next session's places can be told from those of the last.
#ifndef TRACKSIDE_BRIDGE_H
#define TRACKSIDE_BRIDGE_H

#include "counter.h"
#include "dither.h"
#include "framing.h"
#include "protocol.h"
#include "tracker.h"
#include "watchdog.h"

enum { GREETINGS_KEPT = 16 };

struct board {
    const char *name; // up to 64 characters of ASCII
    unsigned counter_bits;
    uint64_t serial;   // of this one board; 0 where it has none
    uint32_t firmware; // CRC of its program; 0 where it is not known
    uint8_t faults;    // found by its self-test
    uint8_t reset_cause;
};

struct bridge {
    struct board board;
    struct frame_reader reader;
    struct frame_writer writer;
    uint32_t session;
    uint32_t sequence; // of the last request that was acted on
    uint32_t number;   // of the last answer
    enum state state;
    struct opening opening;
    int64_t greetings_ns[GREETINGS_KEPT]; // ring: when HELLO was answered
    uint32_t greetings;
    struct watchdog watchdog;
    struct counter counter;
    struct dither dither;
    uint32_t axis;      // the session that began the counting; 0 where it is broken
    int64_t origin;     // the count at which this session's places begin
    struct tracker tracker;
    struct reading reading;
    uint32_t order;     // number of the last that was taken
    uint32_t orders;    // CRC of all that were taken
    struct statistics statistics;
};

void bridge_init(struct bridge *bridge, struct board board);

// Take a byte of the link; if it ends a request, act on it and make the answer.
void bridge_receive(struct bridge *bridge, uint8_t byte);

// The next byte of the answer; false if there is none.
bool bridge_transmit(struct bridge *bridge, uint8_t *byte);

// Take what the encoder's counter shows now. True if the output has to reject until the next call.
bool bridge_advance(struct bridge *bridge, uint32_t raw_count, int64_t now_ns);

// The port knows that counts were lost.
void bridge_fail_encoder(struct bridge *bridge);

// The port knows that bytes of the link were lost.
void bridge_lose_bytes(struct bridge *bridge, uint32_t count);

// The board does not trust itself any more: bits of `enum fault`.
void bridge_find_fault(struct bridge *bridge, uint8_t faults);

#endif
