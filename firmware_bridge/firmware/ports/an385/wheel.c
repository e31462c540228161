// A rail that moves evenly, by the board's own clock.
#include "../port.h"

#include "../simulated_encoder.h"
#include "rail.h"

void rail_init(void)
{
}

int64_t port_now_ns(void)
{
    return timer_ns();
}

uint32_t port_count(void)
{
    return simulated_count(timer_ns());
}
