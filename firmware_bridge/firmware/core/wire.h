// Numbers in frames: little-endian, two's complement.
#ifndef TRACKSIDE_WIRE_H
#define TRACKSIDE_WIRE_H

#include "types.h"

// Where the next number is read from or written to. Who uses it has seen to it that there is room.
struct cursor {
    uint8_t *at;
};

static inline uint8_t get_u8(struct cursor *cursor)
{
    return *cursor->at++;
}

static inline uint16_t get_u16(struct cursor *cursor)
{
    const unsigned low = get_u8(cursor);
    return (uint16_t)(low | (unsigned)get_u8(cursor) << 8);
}

static inline uint32_t get_u32(struct cursor *cursor)
{
    const uint32_t low = get_u16(cursor);
    return low | (uint32_t)get_u16(cursor) << 16;
}

static inline int64_t get_i64(struct cursor *cursor)
{
    const uint64_t low = get_u32(cursor);
    return (int64_t)(low | (uint64_t)get_u32(cursor) << 32);
}

static inline void put_u8(struct cursor *cursor, uint8_t number)
{
    *cursor->at++ = number;
}

static inline void put_u16(struct cursor *cursor, uint16_t number)
{
    put_u8(cursor, (uint8_t)number);
    put_u8(cursor, (uint8_t)(number >> 8));
}

static inline void put_u32(struct cursor *cursor, uint32_t number)
{
    put_u16(cursor, (uint16_t)number);
    put_u16(cursor, (uint16_t)(number >> 16));
}

static inline void put_i64(struct cursor *cursor, int64_t number)
{
    put_u32(cursor, (uint32_t)number);
    put_u32(cursor, (uint32_t)((uint64_t)number >> 32));
}

#endif
