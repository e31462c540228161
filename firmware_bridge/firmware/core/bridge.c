// The whole bridge of a board: bytes of the link and counts of the encoder in, the output and the
// bytes of answers out.
#include "bridge.h"

#include "arithmetic.h"

void bridge_init(struct bridge *bridge, struct board board)
{
    bridge->board = board;
    bridge->reader.count = 0;
    bridge->reader.overlong = false;
    bridge->reader.damaged = 0;
    bridge->writer.count = bridge->writer.sent = 0;
    bridge->session = 0;
    bridge->state = STATE_NO_SESSION;
    bridge->reading = (struct reading){0, 0};
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

// A new session starts everything anew; the same one again is an answer that got lost.
static struct outcome open(struct bridge *bridge, struct request request)
{
    if (request.session == 0)
        return refuse(REFUSAL_SESSION);
    if (request.session == bridge->session)
        return refuse(REFUSAL_NONE);
    const struct opening opening = parse_opening(request.body);
    const uint8_t bad = find_bad_setting(&opening);
    if (bad != 0)
        return (struct outcome){REFUSAL_SETTING, bad};
    bridge->session = request.session;
    bridge->state = STATE_RUNNING;
    bridge->watchdog = (struct watchdog){opening.silence_ns, bridge->reading.at_ns};
    counter_init(&bridge->counter, bridge->board.counter_bits, opening.nm_per_count);
    tracker_init(&bridge->tracker, &opening.settings);
    bridge->reading.position_um = 0;
    bridge->order = 0;
    bridge->statistics = (struct statistics){0};
    bridge->reader.damaged = 0;
    return refuse(REFUSAL_NONE);
}

static bool is_in_reach(struct stretch stretch)
{
    return -PLACE_LIMIT_UM <= stretch.start_um && stretch.start_um < stretch.end_um
        && stretch.end_um <= PLACE_LIMIT_UM;
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
    bridge->order = number;
    const uint32_t on_board = ORDER_CAPACITY - tracker->pool.free_count;
    if (on_board > bridge->statistics.most_orders)
        bridge->statistics.most_orders = on_board;
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

static struct outcome act_on(struct bridge *bridge, struct request request)
{
    if (request.type == REQUEST_HELLO)
        return refuse(REFUSAL_NONE);
    if (request.type == REQUEST_OPEN)
        return open(bridge, request);
    if (request.session == 0 || request.session != bridge->session)
        return refuse(REFUSAL_SESSION);
    watchdog_hear(&bridge->watchdog, bridge->reading.at_ns);
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

// --- answers -------------------------------------------------------------------------------------

static void put_board(struct cursor *cursor, const struct board *board)
{
    put_u16(cursor, PROTOCOL_VERSION);
    put_u16(cursor, ORDER_CAPACITY);
    put_u8(cursor, (uint8_t)board->counter_bits);
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
        put_board(cursor, &bridge->board);
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

void bridge_receive(struct bridge *bridge, uint8_t byte)
{
    const struct body body = frame_read(&bridge->reader, byte);
    if (body.count == 0)
        return;
    struct request request = {0};
    const bool known = parse_request(body, &request);
    const struct outcome outcome = known ? act_on(bridge, request) : refuse(REFUSAL_UNKNOWN);
    bridge->statistics.requests++;
    bridge->statistics.refused += outcome.refusal != REFUSAL_NONE;
    const struct response response = {
        .type = request.type,
        .sequence = request.sequence,
        .session = bridge->session,
        .state = (uint8_t)bridge->state,
        .rejects = rejects(bridge),
        .reading = bridge->reading,
        .refusal = (uint8_t)outcome.refusal,
        .detail = outcome.detail,
    };
    uint8_t *start = frame_body(&bridge->writer);
    struct cursor cursor = {start};
    put_response(&cursor, &response);
    if (outcome.refusal == REFUSAL_NONE)
        put_answer(bridge, &cursor, request.type);
    frame_write(&bridge->writer, (unsigned)(cursor.at - start));
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
}

// Take the reading if it can be reckoned with.
static void take_reading(struct bridge *bridge, uint32_t raw_count, int64_t at_ns)
{
    const bool in_range = counter_take(&bridge->counter, raw_count);
    const int64_t position_um = counter_position_um(&bridge->counter);
    const int64_t jump_um = position_um - bridge->reading.position_um;
    if (!in_range || jump_um < -JUMP_LIMIT_UM || jump_um > JUMP_LIMIT_UM) {
        fail(bridge, STATE_ENCODER_FAILED);
        return;
    }
    bridge->reading = (struct reading){position_um, at_ns};
    tracker_advance(&bridge->tracker, bridge->reading);
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
    if (bridge->state != STATE_RUNNING)
        return rejects(bridge);
    if (turn_ns < 0 || turn_ns > PAUSE_LIMIT_NS) {
        fail(bridge, STATE_STALLED);
    } else if (watchdog_barks(&bridge->watchdog, now_ns)) {
        fail(bridge, STATE_SILENT);
    } else {
        count_turn(&bridge->statistics, turn_ns);
        take_reading(bridge, raw_count, now_ns);
    }
    return rejects(bridge);
}
