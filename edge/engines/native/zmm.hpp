// Vectors of 64 bytes. Included below a target pragma.
#pragma once

#include <immintrin.h>

#include "body.hpp"

namespace trackside {
namespace {

struct Zmm {
    using Vector = __m512i;
    static constexpr int BYTES = 64, REGISTERS = 32;

    static Vector load(const void* from) { return _mm512_loadu_si512(from); }
    static void store(void* to, Vector v) { _mm512_storeu_si512(to, v); }
    static void store_low(void* to, Vector v) {
        _mm256_storeu_si256(static_cast<__m256i*>(to), _mm512_castsi512_si256(v));
    }
    static void store_high(void* to, Vector v) {
        _mm256_storeu_si256(static_cast<__m256i*>(to), _mm512_extracti64x4_epi64(v, 1));
    }
    static Vector zero() { return _mm512_setzero_si512(); }
    static Vector broadcast(s32 bytes) { return _mm512_set1_epi32(bytes); }
    static Vector all16(s16 value) { return _mm512_set1_epi16(value); }

    static Vector unpack_low8(Vector a, Vector b) { return _mm512_unpacklo_epi8(a, b); }
    static Vector unpack_high8(Vector a, Vector b) { return _mm512_unpackhi_epi8(a, b); }
    static Vector unpack_low16(Vector a, Vector b) { return _mm512_unpacklo_epi16(a, b); }
    static Vector unpack_high16(Vector a, Vector b) { return _mm512_unpackhi_epi16(a, b); }
    static Vector pack32(Vector a, Vector b) { return _mm512_packs_epi32(a, b); }
    static Vector pack_positive32(Vector a, Vector b) { return _mm512_packus_epi32(a, b); }
    static Vector pack_positive16(Vector a, Vector b) { return _mm512_packus_epi16(a, b); }

    static Vector add16(Vector a, Vector b) { return _mm512_add_epi16(a, b); }
    static Vector add_saturated16(Vector a, Vector b) { return _mm512_adds_epi16(a, b); }
    static Vector max16(Vector a, Vector b) { return _mm512_max_epi16(a, b); }
    static Vector scale16(Vector a, Vector multiplier) { return _mm512_mulhrs_epi16(a, multiplier); }
    static Vector shift_right32(Vector a, Vector by) { return _mm512_srav_epi32(a, by); }
    template <int BY>
    static Vector shift_left16(Vector a) {
        return _mm512_slli_epi16(a, BY);
    }
    static Vector widen(const u8* from) {
        return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    static Vector dot(Vector sum, Vector four, Vector w) { return _mm512_dpbusd_epi32(sum, four, w); }

    // Lanes of 16 bytes, moved on by one.
    static Vector last_lane_then(Vector a, Vector b) { return _mm512_alignr_epi64(b, a, 6); }
    static Vector then_first_lane(Vector a, Vector b) { return _mm512_alignr_epi64(b, a, 2); }

    // Of two pixels of 32 bytes, woven by a pack: one pixel, and then the other.
    static Vector pixel_by_pixel2(Vector v) {
        return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
    }
    // Of four pixels of 16 bytes, woven by two packs; it is its own inverse.
    static Vector pixel_by_pixel4(Vector v) {
        const Vector order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        return _mm512_permutexvar_epi32(order, v);
    }
};

}  // namespace
}  // namespace trackside
