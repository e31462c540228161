// The rail's speed over the last ten milliseconds.
#include "speed.h"

#include "arithmetic.h"

static const int64_t TRAVEL_LIMIT_UM = 4000000000; // times a second in nanoseconds still fits

static const struct reading *kept(const struct speed *speed, unsigned i)
{
    return &speed->kept[(speed->first + i) % SPEED_READINGS];
}

void speed_take(struct speed *speed, struct reading now)
{
    const int64_t sparse_ns = SPEED_WINDOW_NS / SPARSE_READINGS;
    if (speed->count < DENSE_READINGS
        || now.at_ns - kept(speed, speed->count - 1)->at_ns > sparse_ns) {
        speed->kept[(speed->first + speed->count) % SPEED_READINGS] = now;
        speed->count++;
    }
    while (speed->count > 1 && now.at_ns - kept(speed, 1)->at_ns >= SPEED_WINDOW_NS) {
        speed->first = (speed->first + 1) % SPEED_READINGS;
        speed->count--;
    }
}

int64_t speed_lead_um(const struct speed *speed, struct reading now, int64_t duration_ns)
{
    const struct reading *base = kept(speed, 0);
    // a session that has only begun: a count just after it is no speed yet
    const int64_t elapsed_ns = larger(now.at_ns - base->at_ns, SPEED_WINDOW_NS);
    const int64_t travelled_um = smaller(now.position_um - base->position_um, TRAVEL_LIMIT_UM);
    if (travelled_um <= 0)
        return 0;
    const int64_t um_per_s = travelled_um * SECOND_NS / elapsed_ns;
    // whole kilometres and the rest apart, because their product with the duration would not fit
    const int64_t whole = um_per_s / SECOND_NS;
    const int64_t rest = um_per_s % SECOND_NS;
    return whole * duration_ns + rest * duration_ns / SECOND_NS;
}
