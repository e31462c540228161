// The AVX-512 VNNI body.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vnni,prefer-vector-width=512")
#include "x86.hpp"

namespace trackside {
namespace {

struct Zmm {
    using Vector = __m512i;
    static constexpr int BYTES = 64;

    static Vector load(const void* from) { return _mm512_loadu_si512(from); }
    static void store(void* to, Vector v) { _mm512_storeu_si512(to, v); }
    static Vector zero() { return _mm512_setzero_si512(); }
    static Vector all16(s16 value) { return _mm512_set1_epi16(value); }

    static Vector unpack_low(Vector a, Vector b) { return _mm512_unpacklo_epi8(a, b); }
    static Vector unpack_high(Vector a, Vector b) { return _mm512_unpackhi_epi8(a, b); }
    static Vector multiply_pairs(Vector pixels, Vector w) { return _mm512_maddubs_epi16(pixels, w); }
    static Vector add16(Vector a, Vector b) { return _mm512_add_epi16(a, b); }
    static Vector add_saturated16(Vector a, Vector b) { return _mm512_adds_epi16(a, b); }
    static Vector min16(Vector a, Vector b) { return _mm512_min_epi16(a, b); }
    static Vector max16(Vector a, Vector b) { return _mm512_max_epi16(a, b); }
    static Vector scale16(Vector a, Vector multiplier) { return _mm512_mulhrs_epi16(a, multiplier); }
    static Vector pack_within_lanes(Vector a, Vector b) { return _mm512_packus_epi16(a, b); }

    static Vector shift_right32(Vector a, Vector by) { return _mm512_srav_epi32(a, by); }
    template <int BY>
    static Vector shift_left16(Vector a) { return _mm512_slli_epi16(a, BY); }
    static Vector widen(const u8* from) {
        return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    static Vector narrow32(Vector a, Vector b) { return in_order(_mm512_packs_epi32(a, b)); }
    static Vector narrow16(Vector a, Vector b) { return in_order(_mm512_packus_epi16(a, b)); }
    static Vector in_order(Vector v) {
        return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
    }

    static Vector broadcast(s32 bytes) { return _mm512_set1_epi32(bytes); }
    static Vector dot(Vector sum, Vector four, Vector w) { return _mm512_dpbusd_epi32(sum, four, w); }
};

bool supported() {
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

// Blocks of 24 sums leave room for their weights among 32 registers.
void pointwise(const PackedPointwise& w, const u8* in, int width, const u8* residual, u8* out) {
    switch (w.outputs) {
        case 16: return along<Zmm, 16, 1>(w, in, width, 0, residual, out);
        case 32: return along<Zmm, 12, 2>(w, in, width, 0, residual, out);
        case 96: return along<Zmm, 4, 6>(w, in, width, 0, residual, out);
    }
    for (int n = 0; n < w.outputs; n += 64) along<Zmm, 6, 4>(w, in, width, n, residual, out);
}

}  // namespace

const Body AVX512 = {"avx512", true, supported, pack_quads, depthwise<Zmm>, pointwise, add<Zmm>};

}  // namespace trackside
#pragma GCC pop_options
#endif
