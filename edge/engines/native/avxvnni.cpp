// The AVX-VNNI body: AVX2's vectors with a dot product of bytes, as in today's small Intel CPUs.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#include "x86_cpu.hpp"
#ifdef __clang__  // which reads GCC's pragma and lets it be
#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,avxvnni")
#endif
#include "x86_depthwise_quads.hpp"
#include "x86_head.hpp"
#include "x86_pointwise.hpp"
#include "x86_sum.hpp"
#include "xmm.hpp"
#include "ymm.hpp"

namespace trackside {
namespace {

struct Dot : Ymm {
    static Vector dot(Vector sum, Vector four, Vector w) { return _mm256_dpbusd_avx_epi32(sum, four, w); }
};

struct HalfDot : Xmm {
    static Vector dot(Vector sum, Vector four, Vector w) { return _mm_dpbusd_avx_epi32(sum, four, w); }
};

}  // namespace

const Body AVX_VNNI = {"avxvnni",
                       Weave::QUADS,
                       0,
                       x86::has_avxvnni,
                       pack_pointwise<Ymm::BYTES>,
                       depthwise_quads<Dot, HalfDot>,
                       pointwise_ymm<Dot>,
                       add<Ymm>,
                       head<Ymm>};

}  // namespace trackside
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
