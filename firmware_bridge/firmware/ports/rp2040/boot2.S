// The RP2040's second boot stage: its boot ROM copies these 252 bytes to memory, holds them against the
// CRC behind them (seal.py), and calls them to make the flash readable where programs run. They use
// read command 03h, one bit wide: slow, and known to every flash chip.
    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .equ SSI, 0x18000000
    .equ SSI_CTRLR0, 0x00
    .equ SSI_CTRLR1, 0x04
    .equ SSI_SSIENR, 0x08
    .equ SSI_BAUDR, 0x14
    .equ SSI_SPI_CTRLR0, 0x180000F4
    .equ CLOCK_DIVIDER, 4             // 31 MHz at 125 MHz
    .equ FRAMES_32_BITS_READ, 0x001F0300 // send command and address, then receive 32 bits
    .equ COMMAND_03_ADDRESS_24, 0x03000218
    .equ VECTORS, 0x10000100
    .equ VECTOR_TABLE_OFFSET, 0xE000ED08

    .section .boot2, "ax"
    .global second_stage
    .type second_stage, %function
    .thumb_func
second_stage:
    push {lr}
    ldr r3, =SSI
    movs r1, #0
    str r1, [r3, #SSI_SSIENR]
    movs r1, #CLOCK_DIVIDER
    str r1, [r3, #SSI_BAUDR]
    ldr r1, =FRAMES_32_BITS_READ
    str r1, [r3, #SSI_CTRLR0]
    ldr r1, =COMMAND_03_ADDRESS_24
    ldr r0, =SSI_SPI_CTRLR0
    str r1, [r0]
    movs r1, #0
    str r1, [r3, #SSI_CTRLR1]
    movs r1, #1
    str r1, [r3, #SSI_SSIENR]
    pop {r0}
    cmp r0, #0                        // the boot ROM leaves no way back
    beq start
    bx r0
start:
    ldr r0, =VECTORS
    ldr r1, =VECTOR_TABLE_OFFSET
    str r0, [r1]
    ldmia r0!, {r1, r2}
    msr msp, r1
    bx r2
    .ltorg
