// The host's silence: nobody inspects any more, or nobody can say so.
#ifndef TRACKSIDE_WATCHDOG_H
#define TRACKSIDE_WATCHDOG_H

#include "types.h"

struct watchdog {
    int64_t silence_ns;
    int64_t heard_ns;
};

static inline void watchdog_hear(struct watchdog *watchdog, int64_t now_ns)
{
    watchdog->heard_ns = now_ns;
}

static inline bool watchdog_barks(const struct watchdog *watchdog, int64_t now_ns)
{
    return now_ns - watchdog->heard_ns > watchdog->silence_ns;
}

#endif
