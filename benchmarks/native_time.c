// Preloaded by native_time.py: notes where a program is, as often in its processor time as the kernel's
// clock ticks (100 to 1,000 times a second), and writes the addresses to the file that SAMPLES names.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

enum { MOST = 1 << 20 };

static unsigned long samples[MOST];
static volatile sig_atomic_t count;

static void note(int signal, siginfo_t *info, void *context) {
    if (count < MOST) samples[count++] = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)signal, (void)info;
}

static void set_period(long us) {
    const struct itimerval timer = {{0, us}, {0, us}};
    setitimer(ITIMER_PROF, &timer, NULL);
}

static void write_samples(void) {
    set_period(0);
    FILE *file = fopen(getenv("SAMPLES"), "w");
    for (int i = 0; file && i < count; ++i) fprintf(file, "%lx\n", samples[i]);
    if (file) fclose(file);
}

__attribute__((constructor)) static void begin(void) {
    const struct sigaction noting = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGPROF, &noting, NULL);
    atexit(write_samples);
    set_period(1000);
}
