// What the two bodies with 32-byte vectors share. Included below a target pragma.
#pragma once

#include <immintrin.h>

#include "x86.hpp"

namespace trackside {
namespace {

struct Ymm {
    using Vector = __m256i;
    static constexpr int BYTES = 32;

    static Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
    static void store(void* to, Vector v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }
    static Vector zero() { return _mm256_setzero_si256(); }
    static Vector broadcast(s32 bytes) { return _mm256_set1_epi32(bytes); }
    static Vector all16(s16 value) { return _mm256_set1_epi16(value); }

    static Vector unpack_low(Vector a, Vector b) { return _mm256_unpacklo_epi8(a, b); }
    static Vector unpack_high(Vector a, Vector b) { return _mm256_unpackhi_epi8(a, b); }
    static Vector multiply_pairs(Vector pixels, Vector w) { return _mm256_maddubs_epi16(pixels, w); }
    static Vector add16(Vector a, Vector b) { return _mm256_add_epi16(a, b); }
    static Vector add_saturated16(Vector a, Vector b) { return _mm256_adds_epi16(a, b); }
    static Vector min16(Vector a, Vector b) { return _mm256_min_epi16(a, b); }
    static Vector max16(Vector a, Vector b) { return _mm256_max_epi16(a, b); }
    static Vector scale16(Vector a, Vector multiplier) { return _mm256_mulhrs_epi16(a, multiplier); }
    static Vector pack_within_lanes(Vector a, Vector b) { return _mm256_packus_epi16(a, b); }

    static Vector shift_right32(Vector a, Vector by) { return _mm256_srav_epi32(a, by); }
    template <int BY>
    static Vector shift_left16(Vector a) { return _mm256_slli_epi16(a, BY); }
    static Vector widen(const u8* from) {
        return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    static Vector narrow32(Vector a, Vector b) { return in_order(_mm256_packs_epi32(a, b)); }
    static Vector narrow16(Vector a, Vector b) { return in_order(_mm256_packus_epi16(a, b)); }
    static Vector in_order(Vector v) { return _mm256_permute4x64_epi64(v, 0xD8); }
};

template <class V>
void pointwise(const PackedPointwise& w, const u8* in, int width, const u8* residual, u8* out) {
    if (w.outputs % 32) {
        along<V, 4, 2>(w, in, width, 0, residual, out);
    } else {
        for (int n = 0; n < w.outputs; n += 32) along<V, 2, 4>(w, in, width, n, residual, out);
    }
}

}  // namespace
}  // namespace trackside
