// An encoder's counter of any width, made into one that never rolls over.
#include "counter.h"

#include "arithmetic.h"

// The way between any two of them, times NM_PER_COUNT_LIMIT, still fits.
static const int64_t COUNT_LIMIT = 4500000000000;

void counter_init(struct counter *counter, unsigned bits)
{
    *counter = (struct counter){.mask = bits < 32 ? (UINT32_C(1) << bits) - 1 : UINT32_MAX};
}

bool counter_take(struct counter *counter, uint32_t raw)
{
    if (!counter->started) {
        counter->started = true;
        counter->raw = raw;
    }
    const uint32_t forward = (raw - counter->raw) & counter->mask;
    const bool went_back = forward > counter->mask / 2;
    const int64_t step = went_back ? forward - (int64_t)counter->mask - 1 : forward;
    counter->raw = raw;
    counter->count += step;
    return -COUNT_LIMIT <= counter->count && counter->count <= COUNT_LIMIT;
}

int64_t counts_um(int64_t counts, int32_t nm_per_count)
{
    return floor_div(counts * nm_per_count, 1000);
}
