// Arm MPS2 board with the AN385 image (Cortex-M3 at 25 MHz), which QEMU emulates: the link on
// UART0, and the output on LED 0, lit while the rail may pass. Its rail is wheel.c's or rig.c's.
#include "../port.h"

#include "../cortex_m.h"
#include "../simulated_encoder.h"
#include "rail.h"
#include "uart.h"

enum { TICK_NS = 40 };
enum { WATCHDOG_TICKS = 2500000 }; // 100 ms without a turn, and as long again: reset

enum { WATCHDOG_UNLOCK = 0x1ACCE551 };

static const uintptr_t TIMER0_CTRL = 0x40000000;
static const uintptr_t TIMER0_VALUE = 0x40000004;
static const uintptr_t TIMER0_RELOAD = 0x40000008;
static const uintptr_t WATCHDOG_LOAD = 0x40008000;
static const uintptr_t WATCHDOG_CTRL = 0x40008008;
static const uintptr_t WATCHDOG_LOCK = 0x40008C00;
static const uintptr_t LEDS = 0x40028000;
static const uintptr_t APPLICATION_INTERRUPT_AND_RESET = 0xE000ED0C;
static const uint32_t REQUEST_RESET = 0x05FA0004;

// The watchdog's first notice; its second would be the reset.
static void notice_handler(void)
{
    restart(RESET_WATCHDOG);
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    handler handlers[15];
} vectors = {
    &stack_top,
    {reset_handler, notice_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler},
};

void reset_now(void)
{
    *hardware(APPLICATION_INTERRUPT_AND_RESET) = REQUEST_RESET;
}

struct board port_init(void)
{
    *hardware(LEDS) = 0;
    *hardware(TIMER0_RELOAD) = UINT32_MAX; // counts down and starts again
    *hardware(TIMER0_VALUE) = UINT32_MAX;
    *hardware(TIMER0_CTRL) = 1;
    uart_init(UART0);
    rail_init();
    *hardware(WATCHDOG_LOCK) = WATCHDOG_UNLOCK;
    *hardware(WATCHDOG_LOAD) = WATCHDOG_TICKS;
    *hardware(WATCHDOG_CTRL) = 3; // an NMI first, then a reset
    return (struct board){
        .name = "mps2-an385",
        .counter_bits = SIMULATED_BITS,
        .serial = serial_number(),
        .firmware = image_crc(),
        .faults = find_start_faults(),
        .reset_cause = (uint8_t)cause_kept(),
    };
}

uint8_t port_turn(void)
{
    *hardware(WATCHDOG_LOAD) = WATCHDOG_TICKS;
    watch_stack();
    return 0;
}

// Turns are far shorter than the 171 s in which the timer rolls over.
int64_t timer_ns(void)
{
    static uint32_t last;
    static int64_t ticks;
    const uint32_t elapsed = UINT32_MAX - *hardware(TIMER0_VALUE);
    ticks += elapsed - last;
    last = elapsed;
    return ticks * TICK_NS;
}

bool port_lost_counts(void)
{
    return false;
}

void port_reject(bool rejects)
{
    *hardware(LEDS) = !rejects;
}

bool port_rejects(void)
{
    return (*hardware(LEDS) & 1) == 0;
}

uint32_t port_lost_bytes(void)
{
    return uart_lost_bytes(UART0);
}

bool port_read(uint8_t *byte)
{
    return uart_read(UART0, byte);
}

bool port_can_write(void)
{
    return uart_can_write(UART0);
}

void port_write(uint8_t byte)
{
    uart_write(UART0, byte);
}
