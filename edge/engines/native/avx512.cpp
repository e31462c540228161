// The AVX-512 VNNI body.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#include "x86_cpu.hpp"
#ifdef __clang__  // which reads GCC's pragma and lets it be
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vnni,prefer-vector-width=512")
#endif
#include "x86_depthwise_quads.hpp"
#include "x86_head.hpp"
#include "x86_pointwise_lanes.hpp"
#include "x86_sum.hpp"
#include "xmm.hpp"
#include "ymm.hpp"
#include "zmm.hpp"

namespace trackside {
namespace {

struct HalfZmm : Ymm {
    static constexpr int REGISTERS = 32;
    static Vector dot(Vector sum, Vector four, Vector w) { return _mm256_dpbusd_epi32(sum, four, w); }
};

struct QuarterZmm : Xmm {
    static constexpr int REGISTERS = 32;
    static Vector dot(Vector sum, Vector four, Vector w) { return _mm_dpbusd_epi32(sum, four, w); }
};

void pointwise(const PackedPointwise& w, const Quads& in, int width, const u8* residual, u8* out) {
    if (w.outputs == 16 && w.inputs == 16) return pointwise_lanes(w, in, width, residual, out);
    if (w.outputs == 16 && in.quad != 4) return stem_lanes(w, in, width, out);
    const int whole = w.outputs / 64 * 64;
    for (int n = 0; n < whole; n += 64) along<Zmm, 4, 4>(w, in, width, n, residual, out);
    if (w.outputs - whole == 32) along<Zmm, 8, 2>(w, in, width, whole, residual, out);
    if (w.outputs == 16) along<Zmm, 16, 1>(w, in, width, 0, residual, out);
}

}  // namespace

const Body AVX512 = {"avx512",
                     Weave::QUADS,
                     0,
                     x86::has_avx512,
                     pack_pointwise<Zmm::BYTES>,
                     depthwise_quads<Zmm, HalfZmm, QuarterZmm>,
                     pointwise,
                     add<Zmm, HalfZmm>,
                     head<Zmm>};

}  // namespace trackside
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
