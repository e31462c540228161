// The rail's speed over the last ten milliseconds.
#ifndef TRACKSIDE_SPEED_H
#define TRACKSIDE_SPEED_H

#include "types.h"

static const int64_t SPEED_WINDOW_NS = 10000000;

// While there is room every reading is kept to measure from. Once DENSE_READINGS are, only one in
// each SPARSE_NS is, so that the window fits however fast the board reads its encoder: at most
// DENSE_READINGS, then one for each SPARSE_NS of the window, and the one before it.
enum { DENSE_READINGS = 64, SPARSE_READINGS = 62, SPEED_READINGS = 128 };

struct speed {
    struct reading kept[SPEED_READINGS]; // ring
    unsigned first;
    unsigned count;
};

void speed_take(struct speed *speed, struct reading now);

// How far the rail goes in `duration_ns` (up to a second) at its present speed; nought backwards.
int64_t speed_lead_um(const struct speed *speed, struct reading now, int64_t duration_ns);

#endif
