// A PC as the board: the link on standard input and output, a simulated encoder, and the output
// as lines on standard error, each the time in nanoseconds of CLOCK_MONOTONIC and the level.
#include "../port.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../simulated_encoder.h"

enum { TURN_NS = 50000 }; // as long as a count; a PC has others to serve meanwhile

static bool is_rejecting;

static void show_output(void)
{
    fprintf(stderr, "%lld %d\n", (long long)port_now_ns(), is_rejecting);
}

struct board port_init(void)
{
    is_rejecting = true;
    show_output();
    const char *serial = getenv("TRACKSIDE_SERIAL"); // in hexadecimal digits
    return (struct board){
        .name = "host",
        .counter_bits = SIMULATED_BITS,
        .serial = serial == NULL ? 0 : strtoull(serial, NULL, 16),
    };
}

uint8_t port_turn(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    const struct timespec turn = {.tv_nsec = TURN_NS};
    ppoll(&input, 1, &turn, NULL);
    return 0;
}

int64_t port_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

uint32_t port_count(void)
{
    return simulated_count(port_now_ns());
}

bool port_lost_counts(void)
{
    return false;
}

void port_reject(bool rejects)
{
    if (rejects != is_rejecting) {
        is_rejecting = rejects;
        show_output();
    }
}

bool port_rejects(void)
{
    return is_rejecting;
}

uint32_t port_lost_bytes(void)
{
    return 0;
}

bool port_read(uint8_t *byte)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 0) != 1)
        return false;
    if (read(STDIN_FILENO, byte, 1) != 1)
        exit(EXIT_SUCCESS); // the other end of the link is gone
    return true;
}

bool port_can_write(void)
{
    return true;
}

void port_write(uint8_t byte)
{
    while (write(STDOUT_FILENO, &byte, 1) != 1)
        if (errno != EAGAIN && errno != EINTR)
            exit(EXIT_SUCCESS);
}
