// The rail under the board, and the time that it keeps with it: one of the two below is linked.
//   wheel.c  moves evenly, by the board's own clock
//   rig.c    moves as a rig outside says
// Each of them has port_now_ns and port_count besides.
#ifndef TRACKSIDE_AN385_RAIL_H
#define TRACKSIDE_AN385_RAIL_H

#include <stdint.h>

void rail_init(void);

int64_t timer_ns(void); // the board's own clock

#endif
