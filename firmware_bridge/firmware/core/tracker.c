// From orders and encoder readings to an output that is driven: no I/O, no clock.
#include "tracker.h"

#include "arithmetic.h"

static const int64_t NOWHERE_UM = INT64_MIN / 4; // behind every place

// Field by field, because wiping the rings and the slots as well would cost a millisecond.
void tracker_init(struct tracker *tracker, const struct settings *settings)
{
    tracker->settings = *settings;
    tracker->mode = MODE_ORDERED;
    pool_init(&tracker->pool);
    tracker->arrived_count = tracker->waiting.count = tracker->under.count = 0;
    tracker->turns = 0;
    tracker->events.next = tracker->events.count = 0;
    tracker->speed.first = tracker->speed.count = 0;
    tracker->started = tracker->released = false;
    tracker->drive = (struct drive){.until_um = NOWHERE_UM};
    tracker->beyond = (struct beyond){.start_um = NOWHERE_UM};
    tracker->reached_um = NOWHERE_UM;
}

// --- taking orders -------------------------------------------------------------------------------

enum { EVENTS_OF_A_MODE = 2 };
enum { SLOTS_FOR_ORDERS = 24 }; // which passes leave free: late passes reject, late orders do not

// The most events that can still come of what is on board. An order that waits may become a pulse
// and an outcome; one that has begun an outcome, its pulse being the drive's. A pass is an event, and
// may close an order that waits. A mode may cut a pulse in two, or be one itself.
static unsigned events_to_come(const struct tracker *tracker)
{
    const bool beyond_waits = tracker->settings.default_reject && !tracker->beyond.begun;
    return 3 * tracker->arrived_count + 2 * tracker->waiting.count + tracker->under.count
        + tracker->drive.on + tracker->released + beyond_waits + EVENTS_OF_A_MODE;
}

// Keep the arrived by their starts, so that those of one reading take their turns as on the host.
static void insert_arrived(struct tracker *tracker, slot taken)
{
    const struct order *orders = tracker->pool.orders;
    unsigned i = tracker->arrived_count++;
    while (i > 0
           && orders[tracker->arrived[i - 1]].stretch.start_um > orders[taken].stretch.start_um) {
        tracker->arrived[i] = tracker->arrived[i - 1];
        i--;
    }
    tracker->arrived[i] = taken;
}

// The order that begins furthest on among those that wait, if it is the host's; a heap's slots first,
// then those that arrived. `found` counts through both.
static bool find_furthest(const struct tracker *tracker, unsigned *found)
{
    const struct order *orders = tracker->pool.orders;
    const unsigned waiting = tracker->waiting.count;
    int64_t furthest_um = INT64_MIN;
    for (unsigned i = 0; i < waiting + tracker->arrived_count; i++) {
        const slot at = i < waiting ? tracker->waiting.slots[i] : tracker->arrived[i - waiting];
        const struct order *order = &orders[at];
        if (order->number != 0 && !order->pass && order->stretch.start_um > furthest_um) {
            furthest_um = order->stretch.start_um;
            *found = i;
        }
    }
    return furthest_um > INT64_MIN;
}

static slot remove_waiting(struct tracker *tracker, unsigned found)
{
    if (found < tracker->waiting.count)
        return heap_remove(&tracker->waiting, &tracker->pool, found);
    unsigned i = found - tracker->waiting.count;
    const slot removed = tracker->arrived[i];
    for (tracker->arrived_count--; i < tracker->arrived_count; i++)
        tracker->arrived[i] = tracker->arrived[i + 1];
    return removed;
}

// Hand back the order that waits furthest on, if it begins beyond `start_um`.
static void make_room(struct tracker *tracker, int64_t start_um)
{
    unsigned found;
    if (events_to_come(tracker) + tracker->events.count + 3 > EVENT_CAPACITY
        || !find_furthest(tracker, &found))
        return;
    const unsigned waiting = tracker->waiting.count;
    const slot furthest =
        found < waiting ? tracker->waiting.slots[found] : tracker->arrived[found - waiting];
    const struct order *order = &tracker->pool.orders[furthest];
    if (order->stretch.start_um <= start_um)
        return;
    events_put(&tracker->events,
               (struct event){0, order->stretch.start_um, order->stretch.end_um, order->number,
                              EVENT_RETURNED, REASON_NONE});
    pool_give(&tracker->pool, remove_waiting(tracker, found));
}

static bool take(struct tracker *tracker, struct order order, unsigned slots_to_leave)
{
    const unsigned events = events_to_come(tracker) + tracker->events.count;
    if (tracker->pool.free_count <= slots_to_leave || events + 3 > EVENT_CAPACITY)
        return false;
    const slot taken = pool_take(&tracker->pool);
    tracker->pool.orders[taken] = order;
    insert_arrived(tracker, taken);
    return true;
}

bool tracker_order(struct tracker *tracker, struct stretch stretch, uint32_t number)
{
    if (tracker->pool.free_count == 0)
        make_room(tracker, stretch.start_um);
    return take(tracker, (struct order){.stretch = stretch, .number = number}, 0);
}

bool tracker_pass(struct tracker *tracker, struct stretch stretch, uint32_t number)
{
    const struct order pass = {.stretch = stretch, .number = number, .pass = true};
    return take(tracker, pass, SLOTS_FOR_ORDERS);
}

bool tracker_set_mode(struct tracker *tracker, enum mode mode)
{
    if (events_to_come(tracker) + tracker->events.count > EVENT_CAPACITY)
        return false;
    tracker->mode = mode;
    return true;
}

// --- where things are ----------------------------------------------------------------------------

static int64_t place_um(const struct tracker *tracker, struct reading reading)
{
    return reading.position_um - tracker->settings.offset_um;
}

// The place at a time between the last two readings.
static int64_t place_at_um(const struct tracker *tracker, int64_t at_ns)
{
    const struct reading before = tracker->before, now = tracker->now;
    const int64_t elapsed_ns = now.at_ns - before.at_ns;
    if (elapsed_ns == 0)
        return place_um(tracker, now);
    const int64_t travelled_um = now.position_um - before.position_um;
    return place_um(tracker, before)
        + floor_div(travelled_um * (at_ns - before.at_ns), elapsed_ns);
}

static struct stretch reaching(struct stretch pulse, int64_t place)
{
    return (struct stretch){smaller(pulse.start_um, place), larger(pulse.end_um, place)};
}

// --- one reading ---------------------------------------------------------------------------------

// With default_reject the session begins as the board did: rejecting.
static void start_rejecting(struct tracker *tracker)
{
    const int64_t place = place_um(tracker, tracker->now);
    tracker->beyond = (struct beyond){.start_um = place, .begun = true};
    tracker->drive = (struct drive){
        .on = true,
        .measured = true,
        .acting = true,
        .acts_ns = tracker->now.at_ns,
        .pulse = {place, place},
        .until_um = NOWHERE_UM,
    };
}

// Measure the last switch, and the rail rejected so far.
static void settle(struct tracker *tracker)
{
    const struct reading now = tracker->now;
    const int64_t place = place_um(tracker, now);
    if (tracker->released) {
        const struct stretch pulse = reaching(tracker->released_pulse, place);
        events_put(&tracker->events,
                   (struct event){pulse.start_um, pulse.end_um, 0, 0, EVENT_PULSE, REASON_NONE});
        tracker->released = false;
    }
    struct drive *drive = &tracker->drive;
    if (!drive->on)
        return;
    if (!drive->measured) {
        drive->measured = true;
        drive->acts_ns = now.at_ns + tracker->settings.delay_ns;
    }
    if (!drive->acting && now.at_ns >= drive->acts_ns) {
        const int64_t acted_um = place_at_um(tracker, drive->acts_ns);
        drive->acting = true;
        drive->pulse = (struct stretch){acted_um, acted_um};
    }
    if (drive->acting)
        drive->pulse = reaching(drive->pulse, place);
}

// Put an order under the actuator.
static void put_under(struct tracker *tracker, slot begun)
{
    struct order *order = &tracker->pool.orders[begun];
    order->key_um = order->stretch.end_um + tracker->settings.margin_um;
    if (tracker->drive.on)
        tracker->drive.until_um = larger(tracker->drive.until_um, order->key_um);
    heap_push(&tracker->under, &tracker->pool, begun);
}

static void put_waiting(struct tracker *tracker, slot waits)
{
    struct order *order = &tracker->pool.orders[waits];
    order->key_um = order->stretch.start_um - tracker->settings.margin_um;
    order->turn = tracker->turns++;
    heap_push(&tracker->waiting, &tracker->pool, waits);
}

// Have the rail between the last pass and this one rejected; what lies beyond this one waits anew.
// The pass's slot serves for the order, if there is such rail.
static void take_pass(struct tracker *tracker, slot taken)
{
    struct order *order = &tracker->pool.orders[taken];
    struct beyond *beyond = &tracker->beyond;
    const struct stretch pass = order->stretch;
    const int64_t start_um = larger(pass.start_um, beyond->start_um);
    const int64_t over_um = tracker->reached_um - (start_um - tracker->settings.margin_um);
    const bool late = over_um >= 0 || pass.end_um <= start_um;
    events_put(&tracker->events,
               (struct event){over_um, pass.start_um, pass.end_um, order->number, EVENT_PASS,
                              late ? REASON_ARRIVED_LATE : REASON_NONE});
    if (late) {
        pool_give(&tracker->pool, taken);
        return;
    }
    *order = (struct order){
        .stretch = {beyond->start_um, start_um},
        .bypassed = beyond->bypassed,
    };
    if (beyond->begun) {
        order->turn = tracker->turns++;
        put_under(tracker, taken);
    } else if (beyond->start_um < start_um) {
        put_waiting(tracker, taken);
    } else {
        pool_give(&tracker->pool, taken);
    }
    *beyond = (struct beyond){.start_um = pass.end_um};
}

static void take_arrived(struct tracker *tracker, int64_t led_um)
{
    for (unsigned i = 0; i < tracker->arrived_count; i++) {
        const slot arrived = tracker->arrived[i];
        struct order *order = &tracker->pool.orders[arrived];
        if (order->pass) {
            take_pass(tracker, arrived);
        } else {
            order->late = order->stretch.start_um < led_um;
            put_waiting(tracker, arrived);
        }
    }
    tracker->arrived_count = 0;
}

// Say what became of an order that has gone by. Rail that no pass came for is spoken of only if some
// of it was not rejected.
static void account(struct tracker *tracker, slot ended)
{
    const struct order *order = &tracker->pool.orders[ended];
    const struct drive *drive = &tracker->drive;
    const struct stretch stretch = order->stretch;
    const int64_t length_um = stretch.end_um - stretch.start_um;
    int64_t missed_um = length_um; // gone by before the coil acted
    if (drive->on && drive->acting && !order->bypassed)
        missed_um = smaller(drive->pulse.start_um - stretch.start_um, length_um);
    if (missed_um > 0) {
        uint8_t reason = order->late ? REASON_ARRIVED_LATE : REASON_ACTED_LATE;
        if (order->bypassed)
            reason = REASON_BYPASSED;
        events_put(&tracker->events, (struct event){missed_um, stretch.start_um, stretch.end_um,
                                                    order->number, EVENT_MISSED, reason});
    } else if (order->number != 0) {
        const int64_t due_um = stretch.start_um - tracker->settings.margin_um;
        // where the coil was acting already, it acts exactly where an order is due
        const int64_t actual_um =
            order->opens ? drive->pulse.start_um : larger(drive->pulse.start_um, due_um);
        events_put(&tracker->events,
                   (struct event){due_um, actual_um, stretch.end_um, order->number, EVENT_FIRED,
                                  REASON_NONE});
    }
    pool_give(&tracker->pool, ended);
}

// Move the orders whose time has come from waiting to under.
static void begin(struct tracker *tracker)
{
    const struct settings *settings = &tracker->settings;
    if (!settings->default_reject && tracker->arrived_count + tracker->waiting.count == 0)
        return; // the lead takes two long divisions
    const int64_t place = place_um(tracker, tracker->now);
    const int64_t led_um =
        place + speed_lead_um(&tracker->speed, tracker->now, settings->delay_ns);
    tracker->reached_um = larger(tracker->reached_um, led_um);
    take_arrived(tracker, led_um);
    struct order *orders = tracker->pool.orders;
    while (tracker->waiting.count > 0 && orders[tracker->waiting.slots[0]].key_um <= led_um) {
        const slot begun = heap_pop(&tracker->waiting, &tracker->pool);
        orders[begun].opens = !tracker->drive.on;
        orders[begun].bypassed = tracker->mode == MODE_BYPASS;
        if (!tracker->drive.on && orders[begun].stretch.end_um + settings->margin_um <= place)
            account(tracker, begun);
        else
            put_under(tracker, begun);
    }
    struct beyond *beyond = &tracker->beyond;
    if (settings->default_reject && !beyond->begun
        && beyond->start_um - settings->margin_um <= led_um)
        beyond->begun = true;
}

// Account for the orders that have gone by under the driven actuator.
static void end(struct tracker *tracker)
{
    const int64_t place = place_um(tracker, tracker->now);
    const struct order *orders = tracker->pool.orders;
    while (tracker->under.count > 0 && orders[tracker->under.slots[0]].key_um <= place)
        account(tracker, heap_pop(&tracker->under, &tracker->pool));
}

static bool bridges_gap(const struct tracker *tracker)
{
    const struct settings *settings = &tracker->settings;
    const int64_t reach_um = tracker->drive.until_um + settings->min_gap_um;
    if (tracker->waiting.count > 0
        && tracker->pool.orders[tracker->waiting.slots[0]].key_um <= reach_um)
        return true;
    return settings->default_reject && tracker->beyond.start_um - settings->margin_um <= reach_um;
}

static void release(struct tracker *tracker)
{
    tracker->drive.on = false;
    tracker->released = tracker->drive.acting;
    tracker->released_pulse = tracker->drive.pulse;
}

// Let go at once; what is under the actuator counts as missed, all of it.
static void let_by(struct tracker *tracker)
{
    for (unsigned i = 0; i < tracker->under.count; i++)
        tracker->pool.orders[tracker->under.slots[i]].bypassed = true;
    if (tracker->beyond.begun)
        tracker->beyond.bypassed = true;
    if (tracker->drive.on)
        release(tracker);
}

static void switch_drive(struct tracker *tracker)
{
    struct drive *drive = &tracker->drive;
    const bool all = tracker->mode == MODE_REJECT_ALL;
    const bool rejects = tracker->under.count > 0 || tracker->beyond.begun || all;
    if (tracker->mode == MODE_BYPASS) {
        let_by(tracker);
        return;
    }
    if (!drive->on) {
        if (!rejects)
            return;
        *drive = (struct drive){.on = true, .until_um = NOWHERE_UM};
        for (unsigned i = 0; i < tracker->under.count; i++) {
            const slot begun = tracker->under.slots[i];
            drive->until_um = larger(drive->until_um, tracker->pool.orders[begun].key_um);
        }
        return;
    }
    if (all)
        drive->until_um = larger(drive->until_um, place_um(tracker, tracker->now));
    if (rejects || !drive->measured || bridges_gap(tracker))
        return;
    if (tracker->now.at_ns >= drive->acts_ns + tracker->settings.dwell_ns)
        release(tracker);
}

void tracker_advance(struct tracker *tracker, struct reading now)
{
    tracker->before = tracker->now;
    tracker->now = now;
    speed_take(&tracker->speed, now);
    if (!tracker->started) {
        tracker->started = true;
        if (tracker->settings.default_reject)
            start_rejecting(tracker);
    }
    settle(tracker);
    begin(tracker);
    end(tracker);
    switch_drive(tracker);
}
