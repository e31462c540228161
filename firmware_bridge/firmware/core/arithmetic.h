// The integer arithmetic that C has no word for.
#ifndef TRACKSIDE_ARITHMETIC_H
#define TRACKSIDE_ARITHMETIC_H

#include <stdint.h>

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// Rounded down, where C rounds towards nought; the divisor is above nought.
static inline int64_t floor_div(int64_t dividend, int64_t divisor)
{
    const int64_t quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

#endif
