// RP2040 boards: the link on GPIO 0 (TX) and 1 (RX) at 921,600 baud, the encoder's A and B on GPIO 2
// and 3, and the output on GPIO 4, high while the rail may pass, so that a board in reset rejects.
#include "../port.h"

#include "../cortex_m.h"
#include "registers.h"

enum { TX_PIN = 0, RX_PIN = 1, A_PIN = 2, B_PIN = 3, PASS_PIN = 4 };
enum { CRYSTAL_MHZ = 12, PLL_MULTIPLIER = 125, PLL_DIVIDER_1 = 6, PLL_DIVIDER_2 = 2 }; // 125 MHz
enum { BAUD_WHOLE = 8, BAUD_64THS = 31 };
enum { WATCHDOG_HALF_US = 200000 }; // 100 ms: the counter goes down twice a microsecond
enum { ENCODER_EDGES = (EDGE_LOW | EDGE_HIGH) << 4 * A_PIN | (EDGE_LOW | EDGE_HIGH) << 4 * B_PIN };

static volatile uint32_t quadrature_count;
static volatile bool quadrature_lost;
static unsigned quadrature_state;

static unsigned read_quadrature(void)
{
    return *hardware(SIO_GPIO_IN) >> A_PIN & 3;
}

// Four counts a period. Both channels changing at once means that an edge went by unseen.
static void quadrature_handler(void)
{
    static const int8_t steps[4][4] = {
        // to 00, A, B, AB
        {0, 1, -1, 2},
        {-1, 0, 2, 1},
        {1, 2, 0, -1},
        {2, -1, 1, 0},
    };
    *hardware(IO_BANK0_INTR0) = ENCODER_EDGES; // before the pins are read: no edge is forgotten
    const unsigned state = read_quadrature();
    const int8_t step = steps[quadrature_state][state];
    quadrature_state = state;
    if (step == 2)
        quadrature_lost = true;
    else
        quadrature_count += (uint32_t)step;
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    handler handlers[15];
    handler interrupts[26];
} vectors = {
    &stack_top,
    {reset_handler, fault_handler, fault_handler},
    {[IO_IRQ_BANK0] = quadrature_handler},
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

static void set_function(unsigned pin, uint32_t function)
{
    *hardware(IO_BANK0_GPIO0_CTRL + 8 * pin) = function;
}

// From the crystal: 125 MHz for the processor and the UART, microseconds for the timer.
static void start_clocks(void)
{
    *hardware(XOSC_STARTUP) = 47; // about a millisecond
    *hardware(XOSC_CTRL) = XOSC_ENABLE_1_15MHZ;
    wait_for(XOSC_STATUS, UINT32_C(1) << 31);
    *hardware(CLOCKS_CLK_REF_CTRL) = CLK_REF_XOSC;
    wait_for(CLOCKS_CLK_REF_SELECTED, 1 << CLK_REF_XOSC);
    leave_reset(RESET_PLL_SYS);
    *hardware(PLL_SYS_CS) = 1;
    *hardware(PLL_SYS_FBDIV_INT) = PLL_MULTIPLIER;
    *hardware(PLL_SYS_PWR) &= ~(uint32_t)(PLL_PD | PLL_VCOPD);
    wait_for(PLL_SYS_CS, UINT32_C(1) << 31);
    *hardware(PLL_SYS_PRIM) = PLL_DIVIDER_1 << 16 | PLL_DIVIDER_2 << 12;
    *hardware(PLL_SYS_PWR) &= ~(uint32_t)PLL_POSTDIVPD;
    *hardware(CLOCKS_CLK_SYS_CTRL) = CLK_SYS_AUX;
    wait_for(CLOCKS_CLK_SYS_SELECTED, 1 << CLK_SYS_AUX);
    *hardware(CLOCKS_CLK_PERI_CTRL) = CLK_PERI_ENABLE;
    *hardware(WATCHDOG_TICK) = CRYSTAL_MHZ | TICK_ENABLE;
}

struct board port_init(void)
{
    leave_reset(RESET_IO_BANK0 | RESET_PADS_BANK0);
    port_reject(true);
    *hardware(SIO_GPIO_OE_SET) = 1 << PASS_PIN;
    set_function(PASS_PIN, FUNCSEL_SIO);
    start_clocks();
    leave_reset(RESET_TIMER | RESET_UART0);
    *hardware(UART0_IBRD) = BAUD_WHOLE;
    *hardware(UART0_FBRD) = BAUD_64THS;
    *hardware(UART0_LCR_H) = UART_8N1_FIFO;
    *hardware(UART0_CR) = UART_ENABLE_TX_RX;
    set_function(TX_PIN, FUNCSEL_UART);
    set_function(RX_PIN, FUNCSEL_UART);
    set_function(A_PIN, FUNCSEL_SIO);
    set_function(B_PIN, FUNCSEL_SIO);
    quadrature_state = read_quadrature();
    *hardware(IO_BANK0_INTR0) = ENCODER_EDGES;
    *hardware(IO_BANK0_PROC0_INTE0) = ENCODER_EDGES;
    *hardware(NVIC_ISER) = 1 << IO_IRQ_BANK0;
    *hardware(PSM_WDSEL) = WDSEL_ALL_BUT_OSCILLATORS;
    *hardware(WATCHDOG_LOAD) = WATCHDOG_HALF_US;
    *hardware(WATCHDOG_CTRL) |= WATCHDOG_ENABLE;
    return (struct board){"rp2040", 32};
}

void port_turn(void)
{
    *hardware(WATCHDOG_LOAD) = WATCHDOG_HALF_US;
}

int64_t port_now_ns(void)
{
    for (;;) {
        const uint32_t high = *hardware(TIMER_TIMERAWH);
        const uint32_t low = *hardware(TIMER_TIMERAWL);
        if (*hardware(TIMER_TIMERAWH) == high) // else the low half rolled over in between
            return (int64_t)((uint64_t)high << 32 | low) * 1000;
    }
}

uint32_t port_count(void)
{
    return quadrature_count;
}

bool port_lost_counts(void)
{
    const bool lost = quadrature_lost;
    if (lost)
        quadrature_lost = false;
    return lost;
}

void port_reject(bool rejects)
{
    *hardware(rejects ? SIO_GPIO_OUT_CLR : SIO_GPIO_OUT_SET) = 1 << PASS_PIN;
}

bool port_read(uint8_t *byte)
{
    if ((*hardware(UART0_FR) & UART_RXFE) != 0)
        return false;
    *byte = (uint8_t)*hardware(UART0_DR);
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
