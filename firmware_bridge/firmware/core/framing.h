// Frames on a stream of bytes: a body and its CRC-32, in COBS, between noughts. See PROTOCOL.md.
#ifndef TRACKSIDE_FRAMING_H
#define TRACKSIDE_FRAMING_H

#include "types.h"

// So short that a COBS code of 255 cannot occur.
enum { BODY_BYTES = 249, CRC_BYTES = 4, CODED_BYTES = 1 + BODY_BYTES + CRC_BYTES };

struct frame_reader {
    uint8_t coded[CODED_BYTES];
    unsigned count;
    bool overlong;
    uint32_t damaged; // frames that were not what had been sent
};

struct body {
    uint8_t *bytes; // in the reader, until its next byte
    unsigned count; // nought where no frame has ended
};

// Take one byte. If it ends an undamaged frame, that frame's body.
struct body frame_read(struct frame_reader *reader, uint8_t byte);

struct frame_writer {
    uint8_t bytes[1 + CODED_BYTES + 1]; // coded, between two noughts
    unsigned count;
    unsigned sent;
};

// Where the next body is to be written.
uint8_t *frame_body(struct frame_writer *writer);

// Make a frame of the `count` bytes that were written there. What was not yet sent is lost.
void frame_write(struct frame_writer *writer, unsigned count);

// The next byte to send; false if there is none.
bool frame_next(struct frame_writer *writer, uint8_t *byte);

#endif
