// A quadrature decoder for a PIO state machine: every edge up to 10 MHz, whatever the processor does.
//
// It counts in Y, four counts a period, and pushes the count over and over. The states of A (bit 0) and
// B (bit 1), before and now, are the address of the instruction to go on at. Both channels changing at
// once means that an edge went by unseen: that raises the PIO's flag 0.
#ifndef TRACKSIDE_QUADRATURE_H
#define TRACKSIDE_QUADRATURE_H

#include <stdint.h>

enum { QUADRATURE_WRAP_TARGET = 15, QUADRATURE_WRAP = 25, QUADRATURE_BITS = 2 };

#define JMP(address) (0x0000 | (address))
#define JMP_Y_DECREMENT(address) (0x0080 | (address))

enum { SAME = 15, BACK = 21, ON = 23, LOST = 26 };

static const uint16_t QUADRATURE[] = {
    JMP(SAME), JMP(ON),   JMP(BACK), JMP(LOST), // from 00 to 00, A, B, AB
    JMP(BACK), JMP(SAME), JMP(LOST), JMP(ON),   // from A
    JMP(ON),   JMP(LOST), JMP(SAME), JMP(BACK), // from B
    JMP(LOST), JMP(BACK), JMP(ON),              // from AB; to AB goes on right here
    0xA0C2,                                     // 15 SAME: mov isr, y
    0x8000,                                     // 16 push noblock
    0x60C2,                                     // 17 out isr, 2: the state before
    0x4002,                                     // 18 in pins, 2: the state now
    0xA0E6,                                     // 19 mov osr, isr
    0xA0A6,                                     // 20 mov pc, isr
    JMP_Y_DECREMENT(22),                        // 21 BACK: the next one either way
    JMP(SAME),                                  // 22
    0xA04A,                                     // 23 ON: mov y, ~y
    JMP_Y_DECREMENT(25),                        // 24
    0xA04A,                                     // 25 mov y, ~y, and on at 15
    0xC000,                                     // 26 LOST: irq nowait 0
    JMP(SAME),                                  // 27
};

// To begin with, run one after another: the state now is the state before, and the count nought.
static const uint16_t QUADRATURE_START[] = {
    0xA0C3,    // mov isr, null
    0x4002,    // in pins, 2
    0xA0E6,    // mov osr, isr
    0xE040,    // set y, 0
    JMP(SAME),
};

#endif
