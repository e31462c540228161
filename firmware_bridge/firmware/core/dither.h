// An encoder of which one channel is dead counts to and fro for ever, and its rail seems to stand.
#ifndef TRACKSIDE_DITHER_H
#define TRACKSIDE_DITHER_H

#include "types.h"

// So many reversals in so long a time, and never further than DITHER_COUNTS from where they began.
// A rail that stands and shakes on an edge reverses as well: it would have to at 200 Hz and more.
enum { DITHER_REVERSALS = 200, DITHER_COUNTS = 2 };
static const int64_t DITHER_WINDOW_NS = 500000000;

struct dither {
    int64_t from_count;
    int64_t from_ns;
    unsigned reversals;
    bool went_back; // at the last step
};

static inline void dither_start(struct dither *dither, int64_t count, int64_t now_ns)
{
    *dither = (struct dither){count, now_ns, 0, dither->went_back};
}

// Take the count, which was `before` at the reading before. True once the encoder only dithers.
static inline bool dither_take(struct dither *dither, int64_t before, int64_t count, int64_t now_ns)
{
    const int64_t way = count - dither->from_count;
    if (way > DITHER_COUNTS || way < -DITHER_COUNTS
        || now_ns - dither->from_ns > DITHER_WINDOW_NS)
        dither_start(dither, count, now_ns);
    if (count == before)
        return false;
    const bool goes_back = count < before;
    dither->reversals += goes_back != dither->went_back;
    dither->went_back = goes_back;
    return dither->reversals >= DITHER_REVERSALS;
}

#endif
