// What is said over the link, byte by byte as PROTOCOL.md has it.
#ifndef TRACKSIDE_PROTOCOL_H
#define TRACKSIDE_PROTOCOL_H

#include "events.h"
#include "framing.h"
#include "types.h"
#include "wire.h"

enum { PROTOCOL_VERSION = 1 };

enum request_type {
    REQUEST_HELLO = 1,
    REQUEST_OPEN = 2,
    REQUEST_ORDER = 3,
    REQUEST_PASS = 4,
    REQUEST_POLL = 5,
    REQUEST_STATISTICS = 6,
    REQUEST_CLOSE = 7,
    REQUEST_MODE = 8,
    RESPONSE = 0x80, // or-ed with the type that is answered
};

enum refusal {
    REFUSAL_NONE = 0,
    REFUSAL_UNKNOWN = 1,         // no such request, or one of another length
    REFUSAL_SESSION = 2,         // not the session that is open
    REFUSAL_NOT_RUNNING = 3,     // the session has failed or is closed
    REFUSAL_FULL = 4,            // no room until other orders have gone by
    REFUSAL_SEQUENCE = 5,        // an order before this one has not come
    REFUSAL_STRETCH = 6,         // without length, or too far away
    REFUSAL_SETTING = 7,         // out of range
    REFUSAL_NO_DEFAULT = 8,      // a pass, where nothing is rejected by default
};

// What the board is doing, and why. All but two of these reject.
enum state {
    STATE_NO_SESSION = 0, // since the reset
    STATE_RUNNING = 1,
    STATE_SILENT = 2,         // the host was silent for too long
    STATE_ENCODER_FAILED = 3, // lost counts, or a jump that no rail makes
    STATE_STALLED = 4,        // the board stood still, and cannot have fired what was due
    STATE_CLOSED = 5,
    STATE_RELEASED = 6, // closed, to let everything by
};

struct request {
    uint8_t type;
    uint8_t sequence;
    uint32_t session;
    struct cursor body;
    unsigned count; // bytes of it
};

// What every response begins with. The detail says how many stretches of an order or a pass are on
// board, or which setting was refused, counted from 1.
struct response {
    uint8_t type;
    uint8_t sequence;
    uint32_t session;
    uint8_t state;
    bool rejects;
    struct reading reading;
    uint8_t refusal;
    uint8_t detail;
};

// What the host settles when it opens a session.
struct opening {
    int32_t nm_per_count;
    struct settings settings;
    int64_t silence_ns;
};

// Counted since the session was opened.
struct statistics {
    uint32_t requests;
    uint32_t damaged; // frames
    uint32_t repeated; // orders that had come before
    uint32_t refused;
    uint32_t most_orders;     // on board at once
    uint32_t longest_turn_ns; // from one reading to the next
    int64_t readings;
};

// So few that an answer is made within a fraction of a millisecond on any board.
enum { EVENTS_A_POLL = 4, STRETCHES_A_REQUEST = 8 };

// False if no request is laid out like this.
bool parse_request(struct body body, struct request *request);

unsigned count_stretches(const struct request *request);

struct opening parse_opening(struct cursor body);

// The first setting out of range, counted from 1; 0 if there is none.
uint8_t find_bad_setting(const struct opening *opening);

void put_response(struct cursor *cursor, const struct response *response);
void put_event(struct cursor *cursor, const struct event *event);
void put_statistics(struct cursor *cursor, const struct statistics *statistics);

#endif
