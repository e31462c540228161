// What is said over the link, byte by byte as PROTOCOL.md has it.
#include "protocol.h"

#include "counter.h"
#include "crc.h"

enum { HEADER_BYTES = 13, SETTINGS_BYTES = 61, STRETCH_BYTES = 16 };

// Whether a request has this many bytes after its header.
static bool is_laid_out(uint8_t type, unsigned count)
{
    switch (type) {
    case REQUEST_HELLO:
        return count == 2;
    case REQUEST_OPEN:
        return count == 8 + SETTINGS_BYTES;
    case REQUEST_ORDER:
    case REQUEST_PASS:
        return count > 4 && (count - 4) % STRETCH_BYTES == 0
            && (count - 4) / STRETCH_BYTES <= STRETCHES_A_REQUEST;
    case REQUEST_POLL:
        return count == 4;
    case REQUEST_STATISTICS:
        return count == 0;
    case REQUEST_CLOSE:
    case REQUEST_MODE:
        return count == 1;
    default:
        return false;
    }
}

bool parse_request(struct body body, struct request *request)
{
    if (body.count < HEADER_BYTES)
        return false;
    struct cursor cursor = {body.bytes};
    request->type = get_u8(&cursor);
    request->sequence = get_u32(&cursor);
    request->session = get_u32(&cursor);
    request->heard = get_u32(&cursor);
    request->body = cursor;
    request->count = body.count - HEADER_BYTES;
    return is_laid_out(request->type, request->count);
}

unsigned count_stretches(const struct request *request)
{
    return (request->count - 4) / STRETCH_BYTES;
}

struct opening parse_opening(struct cursor body)
{
    struct opening opening;
    opening.greeting_ns = get_i64(&body);
    opening.nm_per_count = (int32_t)get_u32(&body);
    opening.settings.offset_um = get_i64(&body);
    opening.settings.delay_ns = get_i64(&body);
    opening.settings.margin_um = get_i64(&body);
    opening.settings.dwell_ns = get_i64(&body);
    opening.settings.min_gap_um = get_i64(&body);
    opening.silence_ns = get_i64(&body);
    opening.fastest_um_s = get_i64(&body);
    opening.settings.default_reject = get_u8(&body) != 0;
    return opening;
}

uint32_t settings_crc(const struct opening *opening)
{
    uint8_t bytes[SETTINGS_BYTES];
    struct cursor cursor = {bytes};
    put_u32(&cursor, (uint32_t)opening->nm_per_count);
    put_i64(&cursor, opening->settings.offset_um);
    put_i64(&cursor, opening->settings.delay_ns);
    put_i64(&cursor, opening->settings.margin_um);
    put_i64(&cursor, opening->settings.dwell_ns);
    put_i64(&cursor, opening->settings.min_gap_um);
    put_i64(&cursor, opening->silence_ns);
    put_i64(&cursor, opening->fastest_um_s);
    put_u8(&cursor, opening->settings.default_reject);
    return crc32(0, bytes, sizeof bytes);
}

uint8_t find_bad_setting(const struct opening *opening)
{
    const struct settings *settings = &opening->settings;
    const struct {
        int64_t value, least, most;
    } ranges[] = {
        {opening->nm_per_count, -NM_PER_COUNT_LIMIT, NM_PER_COUNT_LIMIT},
        {settings->offset_um, -1000000000000, 1000000000000},
        {settings->delay_ns, 0, SECOND_NS},
        {settings->margin_um, 0, 1000000000},
        {settings->dwell_ns, 0, 3600 * SECOND_NS},
        {settings->min_gap_um, 0, 1000000000},
        {opening->silence_ns, SECOND_NS / 1000, 60 * SECOND_NS},
        {opening->fastest_um_s, 1, 1000000000000},
    };
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most)
            return (uint8_t)(i + 1);
    return opening->nm_per_count == 0;
}

void put_response(struct cursor *cursor, const struct response *response)
{
    put_u8(cursor, response->type | RESPONSE);
    put_u32(cursor, response->sequence);
    put_u32(cursor, response->session);
    put_u32(cursor, response->number);
    put_u8(cursor, response->state);
    put_u8(cursor, response->rejects);
    put_u8(cursor, response->mode);
    put_u32(cursor, response->settings);
    put_u32(cursor, response->order);
    put_u32(cursor, response->orders);
    put_i64(cursor, response->reading.at_ns);
    put_i64(cursor, response->reading.position_um);
    put_u8(cursor, response->refusal);
    put_u8(cursor, response->detail);
}

void put_event(struct cursor *cursor, const struct event *event)
{
    put_u8(cursor, event->kind);
    put_u8(cursor, event->reason);
    put_u32(cursor, event->order);
    put_i64(cursor, event->first_um);
    put_i64(cursor, event->second_um);
    put_i64(cursor, event->end_um);
}

void put_statistics(struct cursor *cursor, const struct statistics *statistics)
{
    put_u32(cursor, statistics->requests);
    put_u32(cursor, statistics->damaged);
    put_u32(cursor, statistics->overrun);
    put_u32(cursor, statistics->stale);
    put_u32(cursor, statistics->repeated);
    put_u32(cursor, statistics->refused);
    put_u32(cursor, statistics->most_orders);
    put_u32(cursor, statistics->longest_turn_ns);
    put_i64(cursor, statistics->readings);
}
