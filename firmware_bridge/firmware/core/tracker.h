// From orders and encoder readings to an output that is driven: no I/O, no clock.
//
//     tracker_order(&tracker, ...)            whenever an order comes
//     tracker_advance(&tracker, reading)      with each reading
//     tracker_drives(&tracker)                what the output has to be before the next one
//
// The rules are those of firmware_bridge/core/tracker.py, reckoned to the same micrometre:
//
// - An order begins when the place under the actuator, led by the way the rail goes while the coil
//   rises, reaches its start less the margin. It ends when the place itself reaches its end plus
//   the margin. Begun and ended are for good, so a rail that creeps or backs up fires nothing twice.
// - The actuator is driven while any order has begun and not ended. Orders that overlap, touch or lie
//   closer than the minimum gap are one pulse.
// - An order that has ended before the actuator could be driven is missed, without a pulse. One of
//   which something is left is fired for that, and missed by as much as went by.
// - A switch is measured at the first reading after it.
//
// With default_reject, rail is rejected as if an order for it lay here, unless a pass for it comes
// before that order would begin. Passes come in the order of the rail; a late one lets nothing by.
// Orders hold on passed rail too.
//
// While all is rejected, the actuator is driven whatever the orders say. In bypass it is let go, and
// the orders under it are missed.
#ifndef TRACKSIDE_TRACKER_H
#define TRACKSIDE_TRACKER_H

#include "events.h"
#include "queue.h"
#include "speed.h"
#include "types.h"

// What overrides the orders.
enum mode {
    MODE_ORDERED = 0, // nothing
    MODE_REJECT_ALL = 1,
    MODE_BYPASS = 2,
};

// The actuator while it is driven, and the rail it has rejected.
struct drive {
    bool on;
    bool measured; // a reading has come since it was driven
    bool acting;   // the coil has risen
    int64_t acts_ns;
    struct stretch pulse;
    int64_t until_um; // where the last of its orders ends
};

// The rail beyond the last pass, which nothing has been said of yet.
struct beyond {
    int64_t start_um;
    bool begun;
    bool bypassed; // the actuator was let go while it was under it
};

struct tracker {
    struct settings settings;
    enum mode mode;
    struct pool pool;
    slot arrived[ORDER_CAPACITY]; // by start; first looked at with the next reading
    unsigned arrived_count;
    struct heap waiting; // by the place where they begin
    struct heap under;   // by the place where they end
    uint32_t turns;
    struct events events;
    struct speed speed;
    struct reading before;
    struct reading now;
    bool started;
    struct drive drive;
    bool released; // let go at the last reading, not yet measured
    struct stretch released_pulse;
    struct beyond beyond;
    int64_t reached_um; // the furthest that led places have come
};

void tracker_init(struct tracker *tracker, const struct settings *settings);

// False, and nothing is taken, if there is no room for it. An order finds room as long as one that
// begins further on waits: that one is handed back, and told as an event.
bool tracker_order(struct tracker *tracker, struct stretch stretch, uint32_t number);
bool tracker_pass(struct tracker *tracker, struct stretch stretch, uint32_t number);

// False, and the mode stays, if there is no room for the pulse that may come of it.
bool tracker_set_mode(struct tracker *tracker, enum mode mode);

// Readings come in the order of their times; see types.h for what may lie between two of them.
void tracker_advance(struct tracker *tracker, struct reading now);

static inline bool tracker_drives(const struct tracker *tracker)
{
    return tracker->drive.on;
}

#endif
