// What the Cortex-M ports share: where memory lies, and the way from reset to main.
#ifndef TRACKSIDE_CORTEX_M_H
#define TRACKSIDE_CORTEX_M_H

#include <stdint.h>

typedef void (*handler)(void);

// From the linker script.
extern uint32_t stack_top, data_start, data_end, data_image, bss_start, bss_end;

void reset_handler(void);

// Reject, and wait for the watchdog to reset the board.
void fault_handler(void);

static inline volatile uint32_t *hardware(uintptr_t address)
{
    return (volatile uint32_t *)address;
}

#endif
