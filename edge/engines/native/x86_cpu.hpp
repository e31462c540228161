// What this x86 CPU has, and its system lets programs use, asked of the CPU itself: of the compilers'
// own words for it one answers nothing where its runtime is linked statically.
#pragma once

#include <cpuid.h>

#include <cstdint>

namespace trackside {
namespace x86 {

struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

inline Registers leaf(unsigned number, unsigned part) {
    Registers found;
    if (!__get_cpuid_count(number, part, &found.a, &found.b, &found.c, &found.d)) return {};
    return found;
}

// The registers that the system keeps for each thread.
inline std::uint32_t kept() {
    constexpr unsigned OSXSAVE = 1u << 27;
    if (!(leaf(1, 0).c & OSXSAVE)) return 0;
    std::uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

inline bool keeps_ymm() { return (kept() & 0x06) == 0x06; }
inline bool keeps_zmm() { return (kept() & 0xe6) == 0xe6; }

inline bool has_avx2() { return keeps_ymm() && (leaf(7, 0).b >> 5 & 1); }
inline bool has_avxvnni() { return has_avx2() && (leaf(7, 1).a >> 4 & 1); }
inline bool has_avx512() {
    const Registers seven = leaf(7, 0);
    const bool f = seven.b >> 16 & 1, bw = seven.b >> 30 & 1, vl = seven.b >> 31 & 1;
    return keeps_zmm() && f && bw && vl && (seven.c >> 11 & 1);
}

}  // namespace x86
}  // namespace trackside
