// What is said over the link, byte by byte as PROTOCOL.md has it.
#ifndef TRACKSIDE_PROTOCOL_H
#define TRACKSIDE_PROTOCOL_H

#include "events.h"
#include "framing.h"
#include "types.h"
#include "wire.h"

enum { PROTOCOL_VERSION = 2 };

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
    REFUSAL_UNKNOWN = 1,     // no such request, or one of another length
    REFUSAL_SESSION = 2,     // not the session that is open
    REFUSAL_NOT_RUNNING = 3, // the session has failed or is closed
    REFUSAL_FULL = 4,        // no room until other orders have gone by
    REFUSAL_SEQUENCE = 5,    // an order before this one has not come
    REFUSAL_STRETCH = 6,     // without length, or too far away
    REFUSAL_SETTING = 7,     // out of range
    REFUSAL_NO_DEFAULT = 8,  // a pass, where nothing is rejected by default
    REFUSAL_FAULT = 9,       // the board does not trust itself; detail: its faults
    REFUSAL_STALE = 10,      // an opening whose host has not heard how it was greeted of late
};

// What the board is doing, and why. All but two of these reject.
enum state {
    STATE_NO_SESSION = 0, // since the reset
    STATE_RUNNING = 1,
    STATE_SILENT = 2,         // the host was silent for too long
    STATE_ENCODER_FAILED = 3, // lost counts, a jump that no rail makes, or a dead channel
    STATE_STALLED = 4,        // the board stood still, and cannot have fired what was due
    STATE_CLOSED = 5,
    STATE_RELEASED = 6, // closed, to let everything by
    STATE_FAULTY = 7,   // it does not trust itself any more
};

// What a board finds wrong with itself, at its start or later. They stand until its next reset.
enum fault {
    FAULT_IMAGE = 1,  // the program in its flash is not what was built
    FAULT_MEMORY = 2, // does not keep what was written to it
    FAULT_OUTPUT = 4, // its pin is not at the level that it is driven to
    FAULT_CLOCK = 8,  // its crystal, held against another oscillator
};

// Why the board started last.
enum reset_cause {
    RESET_UNKNOWN = 0,
    RESET_POWER = 1,
    RESET_PIN = 2,
    RESET_WATCHDOG = 3, // its loop stood still
    RESET_PROGRAM = 4,  // the processor met what it cannot execute
    RESET_STACK = 5,    // which had grown into its guard
};

struct request {
    uint8_t type;
    uint32_t sequence;
    uint32_t session;
    uint32_t heard; // number of the newest answer that the host has
    struct cursor body;
    unsigned count; // bytes of it
};

// What every response begins with. The detail says how many stretches of an order or a pass are on
// board, or which setting was refused, counted from 1.
struct response {
    uint8_t type;
    uint32_t sequence;
    uint32_t session;
    uint32_t number; // of this answer, since the reset
    uint8_t state;
    bool rejects;
    uint8_t mode;
    uint32_t settings; // CRC of those that the board acts by
    uint32_t order;    // number of the last that was taken
    uint32_t orders;   // CRC of all that were taken
    struct reading reading;
    uint8_t refusal;
    uint8_t detail;
};

// What the host settles when it opens a session.
struct opening {
    int32_t nm_per_count;
    struct settings settings;
    int64_t silence_ns;
    int64_t fastest_um_s; // beyond which no rail of this line moves
    int64_t greeting_ns;  // time of the answer to the HELLO before it; none of the settings
};

// Counted since the session was opened.
struct statistics {
    uint32_t requests;
    uint32_t damaged;  // frames
    uint32_t overrun;  // bytes that came faster than they were taken
    uint32_t stale;    // requests that were not newer than the last; nobody answers them
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
uint32_t settings_crc(const struct opening *opening);

// The first setting out of range, counted from 1; 0 if there is none.
uint8_t find_bad_setting(const struct opening *opening);

void put_response(struct cursor *cursor, const struct response *response);
void put_event(struct cursor *cursor, const struct event *event);
void put_statistics(struct cursor *cursor, const struct statistics *statistics);

#endif
