// The way from reset to main, and the two functions that compilers call without being asked.
#include "cortex_m.h"

#include <stddef.h>

#include "port.h"

int main(void);
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

void reset_handler(void)
{
    const uint32_t *image = &data_image;
    for (uint32_t *to = &data_start; to < &data_end; to++)
        *to = *image++;
    for (uint32_t *to = &bss_start; to < &bss_end; to++)
        *to = 0;
    main();
}

void fault_handler(void)
{
    port_reject(true);
    for (;;) {
    }
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
