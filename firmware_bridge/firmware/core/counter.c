// An encoder's counter of any width, made into one that never rolls over.
#include "counter.h"

#include "arithmetic.h"

static const int64_t COUNT_LIMIT = 9000000000000; // times NM_PER_COUNT_LIMIT still fits

void counter_init(struct counter *counter, unsigned bits, int32_t nm_per_count)
{
    *counter = (struct counter){
        .mask = bits < 32 ? (UINT32_C(1) << bits) - 1 : UINT32_MAX,
        .nm_per_count = nm_per_count,
    };
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

int64_t counter_position_um(const struct counter *counter)
{
    return floor_div(counter->count * counter->nm_per_count, 1000);
}
