// The registers of the RP2040 that the port touches; names and numbers are the datasheet's.
#ifndef TRACKSIDE_REGISTERS_H
#define TRACKSIDE_REGISTERS_H

#include <stdint.h>

static const uintptr_t CLOCKS_CLK_REF_CTRL = 0x40008030;
static const uintptr_t CLOCKS_CLK_SYS_CTRL = 0x4000803C;
static const uintptr_t CLOCKS_CLK_SYS_SELECTED = 0x40008044;
static const uintptr_t CLOCKS_CLK_PERI_CTRL = 0x40008048;
static const uintptr_t CLOCKS_CLK_SYS_RESUS_CTRL = 0x40008078;
static const uintptr_t CLOCKS_CLK_SYS_RESUS_STATUS = 0x4000807C;
static const uintptr_t RESETS_RESET = 0x4000C000;
static const uintptr_t RESETS_RESET_DONE = 0x4000C008;
static const uintptr_t PSM_WDSEL = 0x40010008;
static const uintptr_t IO_BANK0_GPIO0_CTRL = 0x40014004; // 8 bytes a pin
static const uintptr_t PADS_BANK0_GPIO0 = 0x4001C004;    // 4 bytes a pin
static const uintptr_t XOSC_CTRL = 0x40024000;
static const uintptr_t XOSC_STATUS = 0x40024004;
static const uintptr_t XOSC_STARTUP = 0x4002400C;
static const uintptr_t PLL_SYS_CS = 0x40028000;
static const uintptr_t PLL_SYS_PWR = 0x40028004;
static const uintptr_t PLL_SYS_FBDIV_INT = 0x40028008;
static const uintptr_t PLL_SYS_PRIM = 0x4002800C;
static const uintptr_t UART0_DR = 0x40034000;
static const uintptr_t UART0_FR = 0x40034018;
static const uintptr_t UART0_IBRD = 0x40034024;
static const uintptr_t UART0_FBRD = 0x40034028;
static const uintptr_t UART0_LCR_H = 0x4003402C;
static const uintptr_t UART0_CR = 0x40034030;
static const uintptr_t TIMER_TIMERAWL = 0x40054028;
static const uintptr_t WATCHDOG_CTRL = 0x40058000;
static const uintptr_t WATCHDOG_LOAD = 0x40058004;
static const uintptr_t WATCHDOG_REASON = 0x40058008;
static const uintptr_t WATCHDOG_TICK = 0x4005802C;
static const uintptr_t VREG_AND_CHIP_RESET_CHIP_RESET = 0x40064008;
static const uintptr_t PIO0_CTRL = 0x50200000;
static const uintptr_t PIO0_FSTAT = 0x50200004;
static const uintptr_t PIO0_FLEVEL = 0x5020000C;
static const uintptr_t PIO0_RXF0 = 0x50200020;
static const uintptr_t PIO0_IRQ = 0x50200030;
static const uintptr_t PIO0_INSTR_MEM0 = 0x50200048; // 4 bytes an instruction
static const uintptr_t PIO0_SM0_CLKDIV = 0x502000C8;
static const uintptr_t PIO0_SM0_EXECCTRL = 0x502000CC;
static const uintptr_t PIO0_SM0_SHIFTCTRL = 0x502000D0;
static const uintptr_t PIO0_SM0_INSTR = 0x502000D8;
static const uintptr_t PIO0_SM0_PINCTRL = 0x502000DC;
static const uintptr_t SIO_GPIO_IN = 0xD0000004;
static const uintptr_t SIO_GPIO_OUT_SET = 0xD0000014;
static const uintptr_t SIO_GPIO_OUT_CLR = 0xD0000018;
static const uintptr_t SIO_GPIO_OE_SET = 0xD0000024;
static const uintptr_t SYST_CSR = 0xE000E010;
static const uintptr_t SYST_RVR = 0xE000E014;
static const uintptr_t SYST_CVR = 0xE000E018;

enum {
    RESET_IO_BANK0 = 1 << 5,
    RESET_PADS_BANK0 = 1 << 8,
    RESET_PIO0 = 1 << 10,
    RESET_PLL_SYS = 1 << 12,
    RESET_TIMER = 1 << 21,
    RESET_UART0 = 1 << 22,
};
enum { FUNCSEL_UART = 2, FUNCSEL_SIO = 5 };
enum { PAD_SCHMITT = 1 << 1, PAD_PULL_DOWN = 1 << 2, PAD_PULL_UP = 1 << 3, PAD_8_MA = 2 << 4 };
enum { PAD_INPUT = 1 << 6 };
enum { XOSC_ENABLE_1_15MHZ = 0xFABAA0 };
enum { PLL_PD = 1 << 0, PLL_POSTDIVPD = 1 << 3, PLL_VCOPD = 1 << 5 };
enum { CLK_REF_ROSC = 0, CLK_SYS_AUX = 1, CLK_PERI_ENABLE = 1 << 11 };
enum { RESUS_TIMEOUT = 0xFF, RESUS_ENABLE = 1 << 8 };
enum { TICK_ENABLE = 1 << 9, WATCHDOG_ENABLE = 1 << 30 };
enum { REASON_TIMER = 1 << 0 };
enum { HAD_POR = 1 << 8, HAD_RUN = 1 << 16 };
enum { WDSEL_ALL_BUT_OSCILLATORS = 0x1FFFC };
enum { UART_RXFE = 1 << 4, UART_TXFF = 1 << 5, UART_OVERRUN = 1 << 11 };
enum { UART_8N1_FIFO = 0x70, UART_ENABLE_TX_RX = 0x301 };
enum { PIO_ENABLE_SM0 = 1 << 0, PIO_RX_EMPTY_SM0 = 1 << 8 };
enum { SYST_FROM_PROCESSOR = 1 << 2, SYST_ENABLE = 1 << 0 };

// The highest bits of their registers, which no int holds.
static const uint32_t WATCHDOG_TRIGGER = UINT32_C(1) << 31;
static const uint32_t XOSC_STABLE = UINT32_C(1) << 31;
static const uint32_t PLL_LOCK = UINT32_C(1) << 31;

#endif
