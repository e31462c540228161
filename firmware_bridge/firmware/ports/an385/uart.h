// The board's UARTs, all alike, each by the address of its registers.
#ifndef TRACKSIDE_AN385_UART_H
#define TRACKSIDE_AN385_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "../cortex_m.h"

static const uintptr_t UART0 = 0x40004000; // the link
static const uintptr_t UART1 = 0x40005000; // a rig's, where there is one

enum { UART_DATA = 0x0, UART_STATE = 0x4, UART_CTRL = 0x8, UART_BAUDDIV = 0x10 };
enum { UART_TX_FULL = 1, UART_RX_FULL = 2, UART_RX_OVERRUN = 8 }; // in UART_STATE
enum { UART_TX_ENABLE = 1, UART_RX_ENABLE = 2 }; // in UART_CTRL
enum { UART_BAUD_DIVISOR = 217 }; // 115,200 baud

static inline void uart_init(uintptr_t uart)
{
    *hardware(uart + UART_BAUDDIV) = UART_BAUD_DIVISOR;
    *hardware(uart + UART_CTRL) = UART_TX_ENABLE | UART_RX_ENABLE;
}

// Since it was last asked; at least so many.
static inline uint32_t uart_lost_bytes(uintptr_t uart)
{
    if ((*hardware(uart + UART_STATE) & UART_RX_OVERRUN) == 0)
        return 0;
    *hardware(uart + UART_STATE) = UART_RX_OVERRUN;
    return 1;
}

static inline bool uart_read(uintptr_t uart, uint8_t *byte)
{
    if ((*hardware(uart + UART_STATE) & UART_RX_FULL) == 0)
        return false;
    *byte = (uint8_t)*hardware(uart + UART_DATA);
    return true;
}

static inline bool uart_can_write(uintptr_t uart)
{
    return (*hardware(uart + UART_STATE) & UART_TX_FULL) == 0;
}

static inline void uart_write(uintptr_t uart, uint8_t byte)
{
    *hardware(uart + UART_DATA) = byte;
}

#endif
