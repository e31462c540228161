// The way from reset to main, the self-tests of memory, image and stack, and the functions that
// compilers call without being asked.
#include "cortex_m.h"

#include "../core/crc.h"
#include "port.h"

enum { GUARD_WORDS = 16 };
static const uint32_t GUARD = 0x57AC6A4D;
static const uint32_t KEPT = 0xCA05E000; // marks a cause that was kept

int main(void);
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

// No reset touches these but that of the power, which leaves them at random.
__attribute__((section(".survives"))) static volatile uint32_t kept_cause;
__attribute__((section(".survives"))) static volatile uint32_t memory_fault;

// Whether each word between the two keeps a pattern, its opposite, and is no other's neighbour.
static bool keeps_patterns(volatile uint32_t *from, const volatile uint32_t *end)
{
    bool keeps = true;
    for (unsigned round = 0; round < 2; round++) {
        const uint32_t flip = round == 0 ? 0 : UINT32_MAX;
        for (volatile uint32_t *word = from; word < end; word++)
            *word = (uint32_t)(uintptr_t)word ^ flip;
        for (volatile uint32_t *word = from; word < end; word++)
            keeps &= *word == ((uint32_t)(uintptr_t)word ^ flip);
    }
    return keeps;
}

void reset_handler(void)
{
    memory_fault = !keeps_patterns(&data_start, &memory_end);
    const uint32_t *image = &data_image;
    for (uint32_t *to = &data_start; to < &data_end; to++)
        *to = *image++;
    for (uint32_t *to = &bss_start; to < &bss_end; to++)
        *to = 0;
    for (unsigned i = 0; i < GUARD_WORDS; i++)
        (&stack_guard)[i] = GUARD;
    main();
}

void restart(enum reset_cause cause)
{
    port_reject(true);
    kept_cause = KEPT | (uint32_t)cause;
    __asm volatile("dsb" ::: "memory");
    reset_now();
    for (;;) {
    }
}

void fault_handler(void)
{
    restart(RESET_PROGRAM);
}

enum reset_cause cause_kept(void)
{
    const uint32_t kept = kept_cause;
    kept_cause = 0;
    return (kept & ~UINT32_C(7)) == KEPT ? (enum reset_cause)(kept & 7) : RESET_UNKNOWN;
}

uint32_t image_crc(void)
{
    return crc32(0, &image_start, (uintptr_t)image_seal - (uintptr_t)&image_start);
}

uint64_t serial_number(void)
{
    const uint64_t number = (uint64_t)image_seal[2] << 32 | image_seal[1];
    return number == UINT64_MAX ? 0 : number;
}

uint8_t find_start_faults(void)
{
    const unsigned memory = memory_fault != 0 ? FAULT_MEMORY : 0;
    const unsigned image = image_crc() != image_seal[0] ? FAULT_IMAGE : 0;
    return (uint8_t)(memory | image);
}

void watch_stack(void)
{
    const volatile uint32_t *guard = &stack_guard;
    for (unsigned i = 0; i < GUARD_WORDS; i++)
        if (guard[i] != GUARD)
            restart(RESET_STACK);
}

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    while (count-- > 0)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t count)
{
    uint8_t *t = to;
    while (count-- > 0)
        *t++ = (uint8_t)value;
    return to;
}
