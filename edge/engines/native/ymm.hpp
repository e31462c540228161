// Vectors of 32 bytes, of the two bodies that have them. Included below a target pragma.
#pragma once

#include <immintrin.h>

#include "body.hpp"

namespace trackside {
namespace {

struct Ymm {
    using Vector = __m256i;
    static constexpr int BYTES = 32, REGISTERS = 16;

    static Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
    static void store(void* to, Vector v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }
    static void store_low(void* to, Vector v) {
        _mm_storeu_si128(static_cast<__m128i*>(to), _mm256_castsi256_si128(v));
    }
    static void store_high(void* to, Vector v) {
        _mm_storeu_si128(static_cast<__m128i*>(to), _mm256_extracti128_si256(v, 1));
    }
    static Vector zero() { return _mm256_setzero_si256(); }
    static Vector broadcast(s32 bytes) { return _mm256_set1_epi32(bytes); }
    static Vector all16(s16 value) { return _mm256_set1_epi16(value); }

    static Vector unpack_low8(Vector a, Vector b) { return _mm256_unpacklo_epi8(a, b); }
    static Vector unpack_high8(Vector a, Vector b) { return _mm256_unpackhi_epi8(a, b); }
    static Vector unpack_low16(Vector a, Vector b) { return _mm256_unpacklo_epi16(a, b); }
    static Vector unpack_high16(Vector a, Vector b) { return _mm256_unpackhi_epi16(a, b); }
    static Vector unpack_low32(Vector a, Vector b) { return _mm256_unpacklo_epi32(a, b); }
    static Vector unpack_high32(Vector a, Vector b) { return _mm256_unpackhi_epi32(a, b); }
    static Vector unpack_low64(Vector a, Vector b) { return _mm256_unpacklo_epi64(a, b); }
    static Vector unpack_high64(Vector a, Vector b) { return _mm256_unpackhi_epi64(a, b); }
    static Vector pack32(Vector a, Vector b) { return _mm256_packs_epi32(a, b); }
    static Vector pack_positive32(Vector a, Vector b) { return _mm256_packus_epi32(a, b); }
    static Vector pack_positive16(Vector a, Vector b) { return _mm256_packus_epi16(a, b); }

    static Vector multiply_pairs(Vector pixels, Vector w) { return _mm256_maddubs_epi16(pixels, w); }
    static Vector add32(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
    static Vector add16(Vector a, Vector b) { return _mm256_add_epi16(a, b); }
    static Vector add_saturated16(Vector a, Vector b) { return _mm256_adds_epi16(a, b); }
    static Vector min16(Vector a, Vector b) { return _mm256_min_epi16(a, b); }
    static Vector max16(Vector a, Vector b) { return _mm256_max_epi16(a, b); }
    static Vector scale16(Vector a, Vector multiplier) { return _mm256_mulhrs_epi16(a, multiplier); }
    static Vector shift_right32(Vector a, Vector by) { return _mm256_srav_epi32(a, by); }
    template <int BY>
    static Vector shift_left16(Vector a) {
        return _mm256_slli_epi16(a, BY);
    }
    static Vector widen(const u8* from) {
        return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }

    static Vector add_products16(Vector sum, Vector a, Vector b) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
    }

    static void store_floats(float* to, Vector v, float scale, float bias) {
        const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_set1_ps(scale));
        _mm256_storeu_ps(to, _mm256_add_ps(scaled, _mm256_set1_ps(bias)));
    }

    // 16 bytes, in both lanes; or twice 16, each in its own.
    static Vector load_lane(const void* from) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(from)));
    }
    static Vector load_lanes(const u8* from, int apart) {
        return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(from + apart),
                                   reinterpret_cast<const __m128i*>(from));
    }

    // Lanes of 16 bytes, moved on by one.
    static Vector last_lane_then(Vector a, Vector b) { return _mm256_permute2x128_si256(a, b, 0x21); }
    static Vector then_first_lane(Vector a, Vector b) { return _mm256_permute2x128_si256(a, b, 0x21); }

    static Vector even_lanes(Vector a, Vector b) { return _mm256_permute2x128_si256(a, b, 0x20); }
    static Vector odd_lanes(Vector a, Vector b) { return _mm256_permute2x128_si256(a, b, 0x31); }

    // Of two pixels' halves of 16 bytes, woven by a pack: one pixel, and then the other.
    static Vector pixel_by_pixel2(Vector v) { return _mm256_permute4x64_epi64(v, 0xD8); }

    // Of two lanes with four bytes of every second pixel.
    static Vector pixel_by_pixel4(Vector v) {
        return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    }
};

}  // namespace
}  // namespace trackside
