// An encoder for boards that are emulated: a wheel that turns evenly, for ever.
#ifndef TRACKSIDE_SIMULATED_ENCODER_H
#define TRACKSIDE_SIMULATED_ENCODER_H

#include <stdint.h>

// A counter so narrow that it rolls over every 3.3 s. How fast the rail goes is settled by the
// nanometres of it that the host lets a count stand for.
enum { SIMULATED_BITS = 16, SIMULATED_COUNTS_PER_S = 20000 };

static inline uint32_t simulated_count(int64_t now_ns)
{
    return (uint32_t)(now_ns / (1000000000 / SIMULATED_COUNTS_PER_S)) & 0xFFFF;
}

#endif
