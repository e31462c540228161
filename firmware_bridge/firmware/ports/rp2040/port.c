// RP2040 boards: the link on GPIO 0 (TX) and 1 (RX) at 921,600 baud, the encoder's A and B on GPIO 2
// and 3, and the output on GPIO 4, high while the rail may pass, so that a board in reset rejects.
//
// The processor, the UART and the time go by the crystal; the watchdog and the timer by the chip's own
// ring oscillator, which is rough and stops for nothing. Each is held against the other.
#include "../port.h"

#include "../cortex_m.h"
#include "quadrature.h"
#include "registers.h"

enum { TX_PIN = 0, RX_PIN = 1, A_PIN = 2, PASS_PIN = 4 };
enum { PLL_MULTIPLIER = 125, PLL_DIVIDER_1 = 6, PLL_DIVIDER_2 = 2 }; // 125 MHz of 12
enum { TICK_NS = 8, TICKS_MASK = 0xFFFFFF };
enum { BAUD_WHOLE = 8, BAUD_64THS = 31 };
enum { RING_MHZ = 6 };              // about: from 1.8 to 12
enum { WATCHDOG_HALF_US = 200000 }; // 100 ms: the counter goes down twice a microsecond
enum { LOOKS_FOR_A_COUNT = 100 };   // of the decoder, which pushes one each ten cycles
enum { RING_WINDOW_US = 20000 };    // over which the oscillators are compared

static bool decoder_stands;

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    handler handlers[15];
} vectors = {
    &stack_top,
    // there are no interrupts: what is not a fault cannot come
    {reset_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler},
};

static void wait_for(uintptr_t address, uint32_t bits)
{
    while ((*hardware(address) & bits) != bits) {
    }
}

static void leave_reset(uint32_t blocks)
{
    *hardware(RESETS_RESET) &= ~blocks;
    wait_for(RESETS_RESET_DONE, blocks);
}

// An input pulls up: an open collector only pulls down, and a broken wire is a level that stays.
static void set_pin(unsigned pin, uint32_t function, uint32_t pad)
{
    *hardware(PADS_BANK0_GPIO0 + 4 * pin) = pad | PAD_INPUT | PAD_SCHMITT;
    *hardware(IO_BANK0_GPIO0_CTRL + 8 * pin) = function;
}

// The reference stays on the ring oscillator. Without a crystal this never returns, and the output
// rejects.
static void start_clocks(void)
{
    *hardware(CLOCKS_CLK_REF_CTRL) = CLK_REF_ROSC;
    *hardware(XOSC_STARTUP) = 47; // about a millisecond
    *hardware(XOSC_CTRL) = XOSC_ENABLE_1_15MHZ;
    wait_for(XOSC_STATUS, XOSC_STABLE);
    leave_reset(RESET_PLL_SYS);
    *hardware(PLL_SYS_CS) = 1;
    *hardware(PLL_SYS_FBDIV_INT) = PLL_MULTIPLIER;
    *hardware(PLL_SYS_PWR) &= ~(uint32_t)(PLL_PD | PLL_VCOPD);
    wait_for(PLL_SYS_CS, PLL_LOCK);
    *hardware(PLL_SYS_PRIM) = PLL_DIVIDER_1 << 16 | PLL_DIVIDER_2 << 12;
    *hardware(PLL_SYS_PWR) &= ~(uint32_t)PLL_POSTDIVPD;
    *hardware(CLOCKS_CLK_SYS_CTRL) = CLK_SYS_AUX;
    wait_for(CLOCKS_CLK_SYS_SELECTED, 1 << CLK_SYS_AUX);
    *hardware(CLOCKS_CLK_SYS_RESUS_CTRL) = RESUS_ENABLE | RESUS_TIMEOUT; // a system clock that stops
    *hardware(CLOCKS_CLK_PERI_CTRL) = CLK_PERI_ENABLE;
    *hardware(WATCHDOG_TICK) = RING_MHZ | TICK_ENABLE;
    *hardware(SYST_RVR) = TICKS_MASK;
    *hardware(SYST_CVR) = 0;
    *hardware(SYST_CSR) = SYST_FROM_PROCESSOR | SYST_ENABLE;
}

static void start_link(void)
{
    *hardware(UART0_IBRD) = BAUD_WHOLE;
    *hardware(UART0_FBRD) = BAUD_64THS;
    *hardware(UART0_LCR_H) = UART_8N1_FIFO;
    *hardware(UART0_CR) = UART_ENABLE_TX_RX;
    set_pin(TX_PIN, FUNCSEL_UART, PAD_PULL_UP);
    set_pin(RX_PIN, FUNCSEL_UART, PAD_PULL_UP);
}

static void start_decoder(void)
{
    for (unsigned i = 0; i < QUADRATURE_BITS; i++)
        set_pin(A_PIN + i, FUNCSEL_SIO, PAD_PULL_UP);
    for (unsigned i = 0; i < sizeof QUADRATURE / sizeof QUADRATURE[0]; i++)
        *hardware(PIO0_INSTR_MEM0 + 4 * i) = QUADRATURE[i];
    *hardware(PIO0_SM0_CLKDIV) = 1 << 16;
    *hardware(PIO0_SM0_EXECCTRL) = QUADRATURE_WRAP << 12 | QUADRATURE_WRAP_TARGET << 7;
    *hardware(PIO0_SM0_SHIFTCTRL) = 1 << 19; // out to the right, in to the left
    *hardware(PIO0_SM0_PINCTRL) = A_PIN << 15;
    for (unsigned i = 0; i < sizeof QUADRATURE_START / sizeof QUADRATURE_START[0]; i++)
        *hardware(PIO0_SM0_INSTR) = QUADRATURE_START[i];
    *hardware(PIO0_IRQ) = 1;
    *hardware(PIO0_CTRL) = PIO_ENABLE_SM0;
}

static void start_watchdog(void)
{
    *hardware(PSM_WDSEL) = WDSEL_ALL_BUT_OSCILLATORS;
    *hardware(WATCHDOG_LOAD) = WATCHDOG_HALF_US;
    *hardware(WATCHDOG_CTRL) |= WATCHDOG_ENABLE;
}

void reset_now(void)
{
    *hardware(PSM_WDSEL) = WDSEL_ALL_BUT_OSCILLATORS;
    *hardware(WATCHDOG_CTRL) |= WATCHDOG_TRIGGER;
}

// The chip keeps its power's cause through a reset by the watchdog, so that is asked last.
static enum reset_cause find_cause(void)
{
    const enum reset_cause kept = cause_kept();
    const uint32_t chip = *hardware(VREG_AND_CHIP_RESET_CHIP_RESET);
    if ((*hardware(WATCHDOG_REASON) & REASON_TIMER) != 0)
        return RESET_WATCHDOG;
    if (*hardware(WATCHDOG_REASON) != 0)
        return kept;
    if ((chip & HAD_RUN) != 0)
        return RESET_PIN;
    return (chip & HAD_POR) != 0 ? RESET_POWER : kept;
}

struct board port_init(void)
{
    leave_reset(RESET_IO_BANK0 | RESET_PADS_BANK0);
    port_reject(true);
    *hardware(SIO_GPIO_OE_SET) = 1 << PASS_PIN;
    set_pin(PASS_PIN, FUNCSEL_SIO, PAD_PULL_DOWN | PAD_8_MA);
    start_clocks();
    leave_reset(RESET_TIMER | RESET_UART0 | RESET_PIO0);
    start_link();
    start_decoder();
    const struct board board = {
        .name = "rp2040",
        .counter_bits = 32,
        .serial = serial_number(),
        .firmware = image_crc(),
        .faults = find_start_faults(),
        .reset_cause = (uint8_t)find_cause(),
    };
    start_watchdog();
    return board;
}

// So many nanoseconds by the crystal while the ring oscillator counted RING_WINDOW_US: what they were
// at the start they stay, but for the temperature. False once they do not.
static bool oscillators_agree(int64_t now_ns)
{
    static bool started;
    static uint32_t from_us;
    static int64_t from_ns, at_start_ns;
    const uint32_t now_us = *hardware(TIMER_TIMERAWL);
    if (!started || now_us - from_us > 2 * RING_WINDOW_US) {
        const bool paused = started; // longer than the watchdog lets it
        started = true;
        from_us = now_us;
        from_ns = now_ns;
        return !paused;
    }
    if (now_us - from_us < RING_WINDOW_US)
        return true;
    const int64_t took_ns = (now_ns - from_ns) * RING_WINDOW_US / (int64_t)(now_us - from_us);
    from_us = now_us;
    from_ns = now_ns;
    if (at_start_ns == 0)
        at_start_ns = took_ns;
    return 2 * took_ns > at_start_ns && took_ns < 2 * at_start_ns;
}

uint8_t port_turn(void)
{
    *hardware(WATCHDOG_LOAD) = WATCHDOG_HALF_US;
    watch_stack();
    const bool keeps_time = oscillators_agree(port_now_ns())
        && (*hardware(XOSC_STATUS) & XOSC_STABLE) != 0 && (*hardware(PLL_SYS_CS) & PLL_LOCK) != 0
        && *hardware(CLOCKS_CLK_SYS_RESUS_STATUS) == 0;
    return keeps_time ? 0 : FAULT_CLOCK;
}

// Turns are far shorter than the 134 ms in which these ticks roll over.
int64_t port_now_ns(void)
{
    static uint32_t last;
    static int64_t ticks;
    const uint32_t now = TICKS_MASK - *hardware(SYST_CVR);
    ticks += (now - last) & TICKS_MASK;
    last = now;
    return ticks * TICK_NS;
}

// The newest that the decoder pushed: what its FIFO holds is old, and what comes after is not.
uint32_t port_count(void)
{
    static uint32_t count;
    for (unsigned old = (*hardware(PIO0_FLEVEL) >> 4 & 15); old > 0; old--)
        count = *hardware(PIO0_RXF0);
    for (unsigned i = 0; i < LOOKS_FOR_A_COUNT; i++)
        if ((*hardware(PIO0_FSTAT) & PIO_RX_EMPTY_SM0) == 0)
            return count = *hardware(PIO0_RXF0);
    decoder_stands = true;
    return count;
}

bool port_lost_counts(void)
{
    const bool lost = (*hardware(PIO0_IRQ) & 1) != 0 || decoder_stands;
    *hardware(PIO0_IRQ) = 1;
    decoder_stands = false;
    return lost;
}

void port_reject(bool rejects)
{
    *hardware(rejects ? SIO_GPIO_OUT_CLR : SIO_GPIO_OUT_SET) = 1 << PASS_PIN;
}

bool port_rejects(void)
{
    return (*hardware(SIO_GPIO_IN) >> PASS_PIN & 1) == 0;
}

static uint32_t lost_bytes;

uint32_t port_lost_bytes(void)
{
    const uint32_t lost = lost_bytes;
    lost_bytes = 0;
    return lost;
}

bool port_read(uint8_t *byte)
{
    if ((*hardware(UART0_FR) & UART_RXFE) != 0)
        return false;
    const uint32_t received = *hardware(UART0_DR);
    if ((received & UART_OVERRUN) != 0)
        lost_bytes++; // at least
    *byte = (uint8_t)received;
    return true;
}

bool port_can_write(void)
{
    return (*hardware(UART0_FR) & UART_TXFF) == 0;
}

void port_write(uint8_t byte)
{
    *hardware(UART0_DR) = byte;
}
