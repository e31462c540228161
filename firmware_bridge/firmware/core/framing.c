// Frames on a stream of bytes: a body and its CRC-32, in COBS, between noughts.
#include "framing.h"

#include "crc.h"
#include "wire.h"

// A code is the distance to the next one, and stands where a nought was; the first precedes the
// data, and the last reaches just beyond its end. False if they do not fit.
static bool uncode(uint8_t *coded, unsigned count)
{
    unsigned at = 0;
    while (at < count) {
        const unsigned next = at + coded[at];
        coded[at] = 0;
        at = next;
    }
    return at == count;
}

static void code(uint8_t *coded, unsigned count)
{
    unsigned next = count;
    for (unsigned at = count; at-- > 0;) {
        if (at == 0 || coded[at] == 0) {
            coded[at] = (uint8_t)(next - at);
            next = at;
        }
    }
}

static struct body end_frame(struct frame_reader *reader)
{
    const struct body none = {NULL, 0};
    const unsigned count = reader->count;
    const bool overlong = reader->overlong;
    reader->count = 0;
    reader->overlong = false;
    if (count == 0)
        return none; // two noughts on end
    uint8_t *data = reader->coded + 1;
    if (!overlong && count > 1 + CRC_BYTES && uncode(reader->coded, count)) {
        const unsigned body = count - 1 - CRC_BYTES;
        struct cursor sent = {data + body};
        if (crc32(0, data, body) == get_u32(&sent))
            return (struct body){data, body};
    }
    reader->damaged++;
    return none;
}

struct body frame_read(struct frame_reader *reader, uint8_t byte)
{
    if (byte == 0)
        return end_frame(reader);
    if (reader->count < CODED_BYTES)
        reader->coded[reader->count++] = byte;
    else
        reader->overlong = true;
    return (struct body){NULL, 0};
}

uint8_t *frame_body(struct frame_writer *writer)
{
    return writer->bytes + 2; // after the nought and the first code
}

void frame_write(struct frame_writer *writer, unsigned count)
{
    uint8_t *body = frame_body(writer);
    struct cursor end = {body + count};
    put_u32(&end, crc32(0, body, count));
    const unsigned coded = 1 + count + CRC_BYTES;
    writer->bytes[0] = 0;
    code(writer->bytes + 1, coded);
    writer->bytes[1 + coded] = 0;
    writer->count = coded + 2;
    writer->sent = 0;
}

bool frame_next(struct frame_writer *writer, uint8_t *byte)
{
    if (writer->sent == writer->count)
        return false;
    *byte = writer->bytes[writer->sent++];
    return true;
}
