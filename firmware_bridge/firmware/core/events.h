// What became of the orders, kept until the host has taken it.
#ifndef TRACKSIDE_EVENTS_H
#define TRACKSIDE_EVENTS_H

#include "types.h"

enum { EVENT_CAPACITY = 256 };

enum event_kind {
    EVENT_FIRED = 1,  // first: where it was due; second: where the coil acted
    EVENT_MISSED = 2, // first: how much went by from the order's start; second: that start
    EVENT_PULSE = 3,  // first: from; second: until
    EVENT_PASS = 4,   // first: how far the rail was beyond where it is too late; below nought in time
    EVENT_RETURNED = 5, // handed back for nearer ones; second: its start
};

enum reason {
    REASON_NONE = 0,
    REASON_ARRIVED_LATE = 1, // its start had gone by when it came
    REASON_ACTED_LATE = 2,   // it came in time, and the coil did not act in time
    REASON_BYPASSED = 3,     // all rail was let by
};

struct event {
    int64_t first_um;
    int64_t second_um;
    int64_t end_um; // of the order's or the pass's stretch, as it was kept; else nought
    uint32_t order; // its number; 0 for a pulse, and for rail that no pass came for
    uint8_t kind;
    uint8_t reason;
};

struct events {
    struct event kept[EVENT_CAPACITY]; // ring
    uint32_t next;                     // number of the next event; they count from nought
    uint32_t count;                    // not yet taken
};

// The tracker takes an order only while there is room for all that may become of it. Were it wrong,
// the oldest event would go, and the host would see that its number is missing.
void events_put(struct events *events, struct event event);

// Let go of those before number `next`, which is the next that the host wants.
void events_drop(struct events *events, uint32_t next);

static inline uint32_t events_first(const struct events *events)
{
    return events->next - events->count;
}

const struct event *events_at(const struct events *events, uint32_t number);

#endif
