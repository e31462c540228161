// Preloaded by benchmarks/only_avx2.py: has the CPU's CPUID instruction fault in each thread, and answers it
// without what came after AVX2, so that any library chooses what it would on such a CPU.
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// The bits of leaf 7 that are not shown, by subleaf and register: AVX-512, AMX, AVX-VNNI and AVX10.
struct Hidden {
    uint32_t eax, ebx, ecx, edx;
};

static const struct Hidden HIDDEN[2] = {
    {0,
     1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31,
     1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14,
     1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25},
    {1u << 4 | 1u << 5 | 1u << 21 | 1u << 23, 0, 0, 1u << 4 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 19},
};

static struct sigaction others;  // what a fault that is not CPUID's goes on to

static void allow_cpuid(unsigned long allowed) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed); }

static void answer(int signal, siginfo_t* info, void* context) {
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    const uint8_t* instruction = (const uint8_t*)registers[REG_RIP];
    if (instruction[0] != 0x0f || instruction[1] != 0xa2) {
        sigaction(signal, &others, NULL);  // it faults again, and is dealt with as if this were not here
        return;
    }
    const uint32_t leaf = registers[REG_RAX], subleaf = registers[REG_RCX];
    uint32_t eax = leaf, ebx, ecx = subleaf, edx;
    allow_cpuid(1);
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    allow_cpuid(0);
    if (leaf == 7 && subleaf < 2) {
        eax &= ~HIDDEN[subleaf].eax;
        ebx &= ~HIDDEN[subleaf].ebx;
        ecx &= ~HIDDEN[subleaf].ecx;
        edx &= ~HIDDEN[subleaf].edx;
    }
    registers[REG_RAX] = eax;
    registers[REG_RBX] = ebx;
    registers[REG_RCX] = ecx;
    registers[REG_RDX] = edx;
    registers[REG_RIP] += 2;
    (void)info;
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction by_us = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &by_us, &others);
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0)) _exit(69);
}
