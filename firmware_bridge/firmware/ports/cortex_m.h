// What the Cortex-M ports share: where memory lies, the way from reset to main, and the self-tests.
#ifndef TRACKSIDE_CORTEX_M_H
#define TRACKSIDE_CORTEX_M_H

#include "../core/bridge.h"

typedef void (*handler)(void);

// From the linker script.
extern uint32_t stack_guard, stack_top, data_start, data_end, data_image, bss_start, bss_end;
extern uint32_t memory_end;
extern const uint8_t image_start;
extern const uint32_t image_seal[3]; // its CRC, and the board's serial number

void reset_handler(void);

// Written by the port: reset the board now, its pins included.
void reset_now(void);

// Reject, keep the cause for after the reset, and reset.
void fault_handler(void);
__attribute__((noreturn)) void restart(enum reset_cause cause);

// The CRC of the image as it lies in flash, and the number that seal.py gave this board; 0 for none.
uint32_t image_crc(void);
uint64_t serial_number(void);

// Faults of the image, which is not what it was sealed as, and of memory.
uint8_t find_start_faults(void);

// Why `restart` was called before this reset; RESET_UNKNOWN if it was not.
enum reset_cause cause_kept(void);

// Restarts if the stack has grown into its guard.
void watch_stack(void);

static inline volatile uint32_t *hardware(uintptr_t address)
{
    return (volatile uint32_t *)address;
}

#endif
