// An encoder's counter of any width, made into one that never rolls over.
#ifndef TRACKSIDE_COUNTER_H
#define TRACKSIDE_COUNTER_H

#include "types.h"

enum { NM_PER_COUNT_LIMIT = 1000000 };

struct counter {
    uint32_t mask; // the bits that the hardware has
    uint32_t raw;
    int64_t count; // since the first
    bool started;
};

void counter_init(struct counter *counter, unsigned bits);

// Take what the hardware shows now. The rail has moved by less than half the counter's range since.
// False if it has come further than can be reckoned with: years at full speed, or a broken encoder.
bool counter_take(struct counter *counter, uint32_t raw);

// The way of so many counts, in micrometres, rounded down. A negative `nm_per_count` turns the
// direction round.
int64_t counts_um(int64_t counts, int32_t nm_per_count);

#endif
