// The host's silence: nobody inspects any more, or nobody can say so.
#ifndef TRACKSIDE_WATCHDOG_H
#define TRACKSIDE_WATCHDOG_H

#include "types.h"

enum { ANSWERS_KEPT = 16 };

// Both ways have to be whole: a request is a sign of life of the time of the answer that its host had
// heard. So a host that hears nothing for `silence_ns` knows that the board rejects.
struct watchdog {
    int64_t silence_ns;
    int64_t heard_ns;
    uint32_t first; // number of the session's first answer
    int64_t answered_ns[ANSWERS_KEPT]; // ring, by the answers' numbers
};

static inline void watchdog_answer(struct watchdog *watchdog, uint32_t number, int64_t now_ns)
{
    watchdog->answered_ns[number % ANSWERS_KEPT] = now_ns;
}

// A request has come of a host that has heard answer `heard`; `last` is the newest there is.
static inline void watchdog_hear(struct watchdog *watchdog, uint32_t heard, uint32_t last)
{
    if (last - heard >= ANSWERS_KEPT || last - heard > last - watchdog->first)
        return;
    const int64_t answered_ns = watchdog->answered_ns[heard % ANSWERS_KEPT];
    if (answered_ns > watchdog->heard_ns)
        watchdog->heard_ns = answered_ns;
}

static inline bool watchdog_barks(const struct watchdog *watchdog, int64_t now_ns)
{
    return now_ns - watchdog->heard_ns > watchdog->silence_ns;
}

#endif
