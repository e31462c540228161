// The whole bridge of a board: bytes of the link and counts of the encoder in, the output and the
// bytes of answers out.
#include "bridge.h"

#include "arithmetic.h"
#include "crc.h"

void bridge_init(struct bridge *bridge, struct board board)
{
    bridge->board = board;
    bridge->reader.count = 0;
    bridge->reader.overlong = false;
    bridge->reader.damaged = 0;
    bridge->writer.count = bridge->writer.sent = 0;
    bridge->session = bridge->sequence = bridge->number = 0;
    bridge->state = STATE_NO_SESSION;
    bridge->opening = (struct opening){0};
    bridge->greetings = 0;
    bridge->watchdog = (struct watchdog){0};
    counter_init(&bridge->counter, board.counter_bits);
    bridge->dither = (struct dither){0};
    bridge->axis = 0;
    bridge->origin = 0;
    bridge->tracker.mode = MODE_ORDERED;
    bridge->reading = (struct reading){0, 0};
    bridge->order = bridge->orders = 0;
    bridge->statistics = (struct statistics){0};
}

static bool rejects(const struct bridge *bridge)
{
    if (bridge->state == STATE_RUNNING)
        return tracker_drives(&bridge->tracker);
    return bridge->state != STATE_RELEASED;
}

// --- requests ------------------------------------------------------------------------------------

struct outcome {
    enum refusal refusal;
    uint8_t detail;
};

static struct outcome refuse(enum refusal refusal)
{
    return (struct outcome){refusal, 0};
}

// Whether the host has heard one of the last greetings: an old opening that comes again has not, not
// even one from before a reset, because no two greetings are of the same nanosecond.
static bool was_greeted(const struct bridge *bridge, int64_t greeting_ns)
{
    bool greeted = false;
    for (unsigned i = 0; i < GREETINGS_KEPT && i < bridge->greetings; i++)
        greeted |= bridge->greetings_ns[i] == greeting_ns;
    return greeted;
}

static struct outcome judge_opening(const struct bridge *bridge, const struct request *request,
                                    const struct opening *opening)
{
    const uint8_t bad = find_bad_setting(opening);
    if (request->session == 0)
        return refuse(REFUSAL_SESSION);
    if (!was_greeted(bridge, opening->greeting_ns))
        return refuse(REFUSAL_STALE);
    if (bad != 0)
        return (struct outcome){REFUSAL_SETTING, bad};
    if (bridge->board.faults != 0)
        return (struct outcome){REFUSAL_FAULT, bridge->board.faults};
    return refuse(REFUSAL_NONE);
}

// A new session starts everything anew but the counting; the same one again is an answer that got lost.
static struct outcome open(struct bridge *bridge, struct request request)
{
    if (request.session != 0 && request.session == bridge->session)
        return refuse(REFUSAL_NONE);
    const struct opening opening = parse_opening(request.body);
    const struct outcome outcome = judge_opening(bridge, &request, &opening);
    if (outcome.refusal != REFUSAL_NONE)
        return outcome;
    if (bridge->axis == 0 || opening.nm_per_count != bridge->opening.nm_per_count) {
        bridge->axis = request.session;
        bridge->counter.count = 0;
    }
    bridge->session = request.session;
    bridge->sequence = request.sequence;
    bridge->state = STATE_RUNNING;
    bridge->opening = opening;
    bridge->origin = bridge->counter.count;
    bridge->watchdog = (struct watchdog){
        .silence_ns = opening.silence_ns,
        .heard_ns = bridge->reading.at_ns,
        .first = bridge->number + 1,
    };
    dither_start(&bridge->dither, bridge->counter.count, bridge->reading.at_ns);
    tracker_init(&bridge->tracker, &opening.settings);
    bridge->reading.position_um = 0;
    if (bridge->counter.started) // else the first reading of all is the session's first, too
        tracker_advance(&bridge->tracker, bridge->reading);
    bridge->order = bridge->orders = 0;
    bridge->statistics = (struct statistics){0};
    bridge->reader.damaged = 0;
    return refuse(REFUSAL_NONE);
}

static bool is_in_reach(struct stretch stretch)
{
    return -PLACE_LIMIT_UM <= stretch.start_um && stretch.start_um < stretch.end_um
        && stretch.end_um <= PLACE_LIMIT_UM;
}

// Let the host see what was taken, by a CRC over all of it.
static void note_taken(struct bridge *bridge, bool pass, uint32_t number, struct stretch stretch)
{
    uint8_t bytes[1 + 4 + 8 + 8];
    struct cursor cursor = {bytes};
    put_u8(&cursor, pass ? REQUEST_PASS : REQUEST_ORDER);
    put_u32(&cursor, number);
    put_i64(&cursor, stretch.start_um);
    put_i64(&cursor, stretch.end_um);
    bridge->order = number;
    bridge->orders = crc32(bridge->orders, bytes, sizeof bytes);
    const uint32_t on_board = ORDER_CAPACITY - bridge->tracker.pool.free_count;
    if (on_board > bridge->statistics.most_orders)
        bridge->statistics.most_orders = on_board;
}

// Take an order or a pass exactly once, however often the host repeats it.
static enum refusal take(struct bridge *bridge, bool pass, uint32_t number, struct stretch stretch)
{
    struct tracker *tracker = &bridge->tracker;
    if (bridge->state != STATE_RUNNING)
        return REFUSAL_NOT_RUNNING;
    if (number - 1 < bridge->order) {
        bridge->statistics.repeated++;
        return REFUSAL_NONE;
    }
    if (number - 1 != bridge->order)
        return REFUSAL_SEQUENCE;
    if (!is_in_reach(stretch))
        return REFUSAL_STRETCH;
    if (pass && !tracker->settings.default_reject)
        return REFUSAL_NO_DEFAULT;
    if (!(pass ? tracker_pass : tracker_order)(tracker, stretch, number))
        return REFUSAL_FULL;
    note_taken(bridge, pass, number, stretch);
    return REFUSAL_NONE;
}

// Take the stretches one after another, up to the first that is refused.
static struct outcome take_all(struct bridge *bridge, struct request request)
{
    const bool pass = request.type == REQUEST_PASS;
    const unsigned count = count_stretches(&request);
    const uint32_t number = get_u32(&request.body);
    for (unsigned i = 0; i < count; i++) {
        const int64_t start_um = get_i64(&request.body);
        const struct stretch stretch = {start_um, get_i64(&request.body)};
        const enum refusal refusal = take(bridge, pass, number + i, stretch);
        if (refusal != REFUSAL_NONE)
            return (struct outcome){refusal, (uint8_t)i};
    }
    return (struct outcome){REFUSAL_NONE, (uint8_t)count};
}

static enum refusal set_mode(struct bridge *bridge, struct request request)
{
    const uint8_t mode = get_u8(&request.body);
    if (bridge->state != STATE_RUNNING)
        return REFUSAL_NOT_RUNNING;
    if (mode > MODE_BYPASS)
        return REFUSAL_UNKNOWN;
    return tracker_set_mode(&bridge->tracker, (enum mode)mode) ? REFUSAL_NONE : REFUSAL_FULL;
}

// An orderly end; a session that has failed stays as it is.
static struct outcome close(struct bridge *bridge, struct request request)
{
    if (bridge->state == STATE_RUNNING)
        bridge->state = get_u8(&request.body) != 0 ? STATE_RELEASED : STATE_CLOSED;
    return refuse(REFUSAL_NONE);
}

// A request of the session, and the newest of it.
static struct outcome act_within(struct bridge *bridge, struct request request)
{
    bridge->sequence = request.sequence;
    watchdog_hear(&bridge->watchdog, request.heard, bridge->number);
    switch (request.type) {
    case REQUEST_ORDER:
    case REQUEST_PASS:
        return take_all(bridge, request);
    case REQUEST_POLL:
        events_drop(&bridge->tracker.events, get_u32(&request.body));
        return refuse(REFUSAL_NONE);
    case REQUEST_CLOSE:
        return close(bridge, request);
    case REQUEST_MODE:
        return refuse(set_mode(bridge, request));
    default:
        return refuse(REFUSAL_NONE);
    }
}

static bool is_of_session(const struct bridge *bridge, const struct request *request)
{
    return request->session != 0 && request->session == bridge->session
        && request->type != REQUEST_HELLO && request->type != REQUEST_OPEN;
}

// One that comes again is no request, and no sign of life either.
static bool is_stale(const struct bridge *bridge, const struct request *request)
{
    return is_of_session(bridge, request) && (int32_t)(request->sequence - bridge->sequence) <= 0;
}

static struct outcome act_on(struct bridge *bridge, struct request request)
{
    if (request.type == REQUEST_HELLO)
        return refuse(REFUSAL_NONE);
    if (request.type == REQUEST_OPEN)
        return open(bridge, request);
    if (!is_of_session(bridge, &request))
        return refuse(REFUSAL_SESSION);
    return act_within(bridge, request);
}

// --- answers -------------------------------------------------------------------------------------

// Where the session's places lie on the axis that is counted on through all sessions.
static void put_place(struct cursor *cursor, const struct bridge *bridge)
{
    put_u32(cursor, bridge->axis);
    put_i64(cursor, counts_um(bridge->origin, bridge->opening.nm_per_count));
}

static void put_board(struct cursor *cursor, const struct bridge *bridge)
{
    const struct board *board = &bridge->board;
    put_u16(cursor, PROTOCOL_VERSION);
    put_u16(cursor, ORDER_CAPACITY);
    put_u8(cursor, (uint8_t)board->counter_bits);
    put_u8(cursor, board->reset_cause);
    put_u8(cursor, board->faults);
    put_i64(cursor, (int64_t)board->serial);
    put_u32(cursor, board->firmware);
    put_place(cursor, bridge);
    for (unsigned i = 0; i < 64 && board->name[i] != 0; i++)
        put_u8(cursor, (uint8_t)board->name[i]);
}

// As many events as one answer holds, in the order of their numbers.
static void put_events(struct cursor *cursor, const struct events *events)
{
    const uint32_t first = events_first(events);
    const uint32_t count = events->count < EVENTS_A_POLL ? events->count : EVENTS_A_POLL;
    put_u32(cursor, first);
    put_u8(cursor, (uint8_t)count);
    for (uint32_t i = 0; i < count; i++)
        put_event(cursor, events_at(events, first + i));
}

static void put_answer(struct bridge *bridge, struct cursor *cursor, uint8_t type)
{
    switch (type) {
    case REQUEST_HELLO:
        bridge->greetings_ns[bridge->greetings++ % GREETINGS_KEPT] = bridge->reading.at_ns;
        put_board(cursor, bridge);
        break;
    case REQUEST_OPEN:
        put_place(cursor, bridge);
        break;
    case REQUEST_POLL:
        put_events(cursor, &bridge->tracker.events);
        break;
    case REQUEST_STATISTICS:
        bridge->statistics.damaged = bridge->reader.damaged;
        put_statistics(cursor, &bridge->statistics);
        break;
    default:
        break;
    }
}

static void answer(struct bridge *bridge, const struct request *request, struct outcome outcome)
{
    bridge->number++;
    watchdog_answer(&bridge->watchdog, bridge->number, bridge->reading.at_ns);
    const struct response response = {
        .type = request->type,
        .sequence = request->sequence,
        .session = bridge->session,
        .number = bridge->number,
        .state = (uint8_t)bridge->state,
        .rejects = rejects(bridge),
        .mode = (uint8_t)bridge->tracker.mode,
        .settings = bridge->session == 0 ? 0 : settings_crc(&bridge->opening),
        .order = bridge->order,
        .orders = bridge->orders,
        .reading = bridge->reading,
        .refusal = (uint8_t)outcome.refusal,
        .detail = outcome.detail,
    };
    uint8_t *start = frame_body(&bridge->writer);
    struct cursor cursor = {start};
    put_response(&cursor, &response);
    if (outcome.refusal == REFUSAL_NONE)
        put_answer(bridge, &cursor, request->type);
    frame_write(&bridge->writer, (unsigned)(cursor.at - start));
}

void bridge_receive(struct bridge *bridge, uint8_t byte)
{
    const struct body body = frame_read(&bridge->reader, byte);
    if (body.count == 0)
        return;
    struct request request = {0};
    const bool known = parse_request(body, &request);
    if (known && is_stale(bridge, &request)) {
        bridge->statistics.stale++;
        return;
    }
    const struct outcome outcome = known ? act_on(bridge, request) : refuse(REFUSAL_UNKNOWN);
    bridge->statistics.requests++;
    bridge->statistics.refused += outcome.refusal != REFUSAL_NONE;
    answer(bridge, &request, outcome);
}

bool bridge_transmit(struct bridge *bridge, uint8_t *byte)
{
    return frame_next(&bridge->writer, byte);
}

// --- readings ------------------------------------------------------------------------------------

static void fail(struct bridge *bridge, enum state state)
{
    if (bridge->state == STATE_RUNNING)
        bridge->state = state;
}

void bridge_fail_encoder(struct bridge *bridge)
{
    fail(bridge, STATE_ENCODER_FAILED);
    bridge->axis = 0;
}

void bridge_lose_bytes(struct bridge *bridge, uint32_t count)
{
    bridge->statistics.overrun += count;
}

void bridge_find_fault(struct bridge *bridge, uint8_t faults)
{
    bridge->board.faults |= faults;
    if (bridge->state == STATE_RELEASED)
        bridge->state = STATE_FAULTY;
    fail(bridge, STATE_FAULTY);
}

// How far the rail can have come in so long a time, a count and a millisecond aside.
static int64_t reach_um(const struct opening *opening, int64_t turn_ns)
{
    const int64_t nm = opening->nm_per_count;
    const int64_t way_um = opening->fastest_um_s * (turn_ns / 1000 + 1000) / 1000000;
    return smaller(way_um + (nm < 0 ? -nm : nm) / 1000 + 1, JUMP_LIMIT_UM);
}

// Count on, in every state. False if the rail cannot have moved like this.
static bool count_on(struct bridge *bridge, uint32_t raw_count, int64_t turn_ns)
{
    const int64_t before = bridge->counter.count;
    if (turn_ns < 0 || turn_ns > PAUSE_LIMIT_NS)
        bridge->axis = 0; // a narrow counter may have rolled over unseen
    if (!counter_take(&bridge->counter, raw_count))
        return false;
    if (bridge->session == 0 || turn_ns < 0 || turn_ns > PAUSE_LIMIT_NS)
        return true;
    const int64_t way_um =
        counts_um(bridge->counter.count - bridge->origin, bridge->opening.nm_per_count);
    const int64_t jump_um = way_um - bridge->reading.position_um;
    const int64_t limit_um = reach_um(&bridge->opening, turn_ns);
    bridge->reading.position_um = way_um;
    return -limit_um <= jump_um && jump_um <= limit_um
        && !dither_take(&bridge->dither, before, bridge->counter.count, bridge->reading.at_ns);
}

static void count_turn(struct statistics *statistics, int64_t turn_ns)
{
    statistics->readings++;
    if (turn_ns > statistics->longest_turn_ns)
        statistics->longest_turn_ns = (uint32_t)turn_ns;
}

bool bridge_advance(struct bridge *bridge, uint32_t raw_count, int64_t now_ns)
{
    const int64_t turn_ns = now_ns - bridge->reading.at_ns;
    bridge->reading.at_ns = now_ns;
    if (!count_on(bridge, raw_count, turn_ns))
        bridge_fail_encoder(bridge);
    if (bridge->state != STATE_RUNNING)
        return rejects(bridge);
    if (turn_ns < 0 || turn_ns > PAUSE_LIMIT_NS) {
        fail(bridge, STATE_STALLED);
    } else if (watchdog_barks(&bridge->watchdog, now_ns)) {
        fail(bridge, STATE_SILENT);
    } else {
        count_turn(&bridge->statistics, turn_ns);
        tracker_advance(&bridge->tracker, bridge->reading);
    }
    return rejects(bridge);
}
