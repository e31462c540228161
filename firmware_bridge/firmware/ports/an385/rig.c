// A rail that a rig outside moves, step by step, on UART1: a byte is a step, and says in its upper
// three bits how many counts the encoder goes on, in the lower five how many milliseconds that took.
// Once the output has followed, the board answers with its level: so the rig's rail is never ahead of
// the board, and their clocks agree, however unevenly their machines run.
#include "../port.h"

#include "rail.h"
#include "uart.h"

enum { COUNT_SHIFT = 5, ELAPSED_MASK = 0x1F, MILLISECOND_NS = 1000000 };
enum { REJECTS = '0', PASSES = '1' }; // what the board answers

// Of the board's own clock: after so long without a step the rig is gone, and time goes on without it.
static const int64_t PATIENCE_NS = 10 * (int64_t)SECOND_NS;

static uint32_t count;

void rail_init(void)
{
    uart_init(UART1);
}

int64_t port_now_ns(void)
{
    static int64_t now_ns;
    static int64_t stepped_ns; // the rig's time
    static int64_t heard_ns;   // the board's own, then
    static bool owes_answer;
    const int64_t own_ns = timer_ns();
    uint8_t step;
    if (owes_answer && uart_can_write(UART1)) {
        uart_write(UART1, port_rejects() ? REJECTS : PASSES);
        owes_answer = false;
    }
    if (!owes_answer && uart_read(UART1, &step)) {
        count += step >> COUNT_SHIFT;
        stepped_ns = now_ns + (step & ELAPSED_MASK) * MILLISECOND_NS;
        heard_ns = own_ns;
        owes_answer = true;
    }
    now_ns = stepped_ns;
    if (own_ns - heard_ns > PATIENCE_NS)
        now_ns += own_ns - heard_ns - PATIENCE_NS;
    return now_ns;
}

uint32_t port_count(void)
{
    return count;
}
