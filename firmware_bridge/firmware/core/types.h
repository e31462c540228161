// The things of the core and their units: places in micrometres along the rail, times in
// nanoseconds on the board's own clock, both 64 bits wide and signed.
#ifndef TRACKSIDE_TYPES_H
#define TRACKSIDE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static const int64_t SECOND_NS = 1000000000;

// Whatever comes from outside is held to these before it is reckoned with, so that no sum and no
// product of the core can overflow.
static const int64_t PLACE_LIMIT_UM = 10000000000000000; // 10^10 m either way
static const int64_t JUMP_LIMIT_UM = 1000000000;         // 1 km from one reading to the next
static const int64_t PAUSE_LIMIT_NS = 1000000000;        // 1 s from one reading to the next

struct stretch {
    int64_t start_um;
    int64_t end_um; // not part of it
};

struct reading {
    int64_t position_um;
    int64_t at_ns;
};

// Where the actuator sits and how it moves.
struct settings {
    int64_t offset_um;   // downstream of the place where the encoder's position is the rail's
    int64_t delay_ns;    // from driving the output to the coil acting
    int64_t margin_um;   // rejected beyond both ends of an order
    int64_t dwell_ns;    // the coil acts at least this long
    int64_t min_gap_um;  // the coil is not let go for less
    bool default_reject; // what no pass came for in time is rejected
};

#endif
