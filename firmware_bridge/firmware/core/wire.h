// Numbers in frames: little-endian, two's complement.
#ifndef TRACKSIDE_WIRE_H
#define TRACKSIDE_WIRE_H

#include "types.h"

// Where the next number is read from or written to. Who uses it has seen to it that there is room.
struct cursor {
    uint8_t *at;
};

static inline uint64_t get_number(struct cursor *cursor, unsigned bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < bytes; i++)
        number |= (uint64_t)*cursor->at++ << 8 * i;
    return number;
}

static inline uint8_t get_u8(struct cursor *cursor)
{
    return *cursor->at++;
}

static inline uint16_t get_u16(struct cursor *cursor)
{
    return (uint16_t)get_number(cursor, 2);
}

static inline uint32_t get_u32(struct cursor *cursor)
{
    return (uint32_t)get_number(cursor, 4);
}

static inline int32_t get_i32(struct cursor *cursor)
{
    return (int32_t)get_u32(cursor);
}

static inline int64_t get_i64(struct cursor *cursor)
{
    return (int64_t)get_number(cursor, 8);
}

static inline void put_number(struct cursor *cursor, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *cursor->at++ = (uint8_t)(number >> 8 * i);
}

static inline void put_u8(struct cursor *cursor, uint8_t number)
{
    *cursor->at++ = number;
}

static inline void put_u16(struct cursor *cursor, uint16_t number)
{
    put_number(cursor, number, 2);
}

static inline void put_u32(struct cursor *cursor, uint32_t number)
{
    put_number(cursor, number, 4);
}

static inline void put_i64(struct cursor *cursor, int64_t number)
{
    put_number(cursor, (uint64_t)number, 8);
}

#endif
