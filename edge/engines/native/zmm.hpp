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
    static Vector unpack_low32(Vector a, Vector b) { return _mm512_unpacklo_epi32(a, b); }
    static Vector unpack_high32(Vector a, Vector b) { return _mm512_unpackhi_epi32(a, b); }
    static Vector unpack_low64(Vector a, Vector b) { return _mm512_unpacklo_epi64(a, b); }
    static Vector unpack_high64(Vector a, Vector b) { return _mm512_unpackhi_epi64(a, b); }
    static Vector pack32(Vector a, Vector b) { return _mm512_packs_epi32(a, b); }
    static Vector pack_positive32(Vector a, Vector b) { return _mm512_packus_epi32(a, b); }
    static Vector pack_positive16(Vector a, Vector b) { return _mm512_packus_epi16(a, b); }

    static Vector add32(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
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

    static Vector add_products16(Vector sum, Vector a, Vector b) { return _mm512_dpwssd_epi32(sum, a, b); }

    static void store_floats(float* to, Vector v, float scale, float bias) {
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_set1_ps(scale));
        _mm512_storeu_ps(to, _mm512_add_ps(scaled, _mm512_set1_ps(bias)));
    }

    // 16 bytes, in every lane; or four times 16, each in its own.
    static Vector load_lane(const void* from) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(from)));
    }
    static Vector load_lanes(const u8* from, int apart) {
        const auto lane = [&](int i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * apart)); };
        const Vector two = _mm512_inserti32x4(_mm512_castsi128_si512(lane(0)), lane(1), 1);
        return _mm512_inserti32x4(_mm512_inserti32x4(two, lane(2), 2), lane(3), 3);
    }

    // Four bytes of each lane, in all of it: the same of each, or two bytes further on from lane to lane.
    template <int QUAD>
    static Vector quad_of_lane(Vector v) {
        return _mm512_shuffle_epi32(v, static_cast<_MM_PERM_ENUM>(0x55 * QUAD));
    }
    static Vector quad_of_two_bytes_more(Vector v) {
        const __m128i first = _mm_set1_epi32(0x03020100), more = _mm_set1_epi32(0x02020202);
        const __m128i second = _mm_add_epi32(first, more), third = _mm_add_epi32(second, more);
        const Vector two = _mm512_inserti32x4(_mm512_castsi128_si512(first), second, 1);
        const Vector three = _mm512_inserti32x4(two, third, 2);
        return _mm512_shuffle_epi8(v, _mm512_inserti32x4(three, _mm_add_epi32(third, more), 3));
    }

    // Lanes of 16 bytes, moved on by one.
    static Vector last_lane_then(Vector a, Vector b) { return _mm512_alignr_epi64(b, a, 6); }
    static Vector then_first_lane(Vector a, Vector b) { return _mm512_alignr_epi64(b, a, 2); }

    static Vector even_lanes(Vector a, Vector b) { return _mm512_shuffle_i64x2(a, b, 0x88); }
    static Vector odd_lanes(Vector a, Vector b) { return _mm512_shuffle_i64x2(a, b, 0xDD); }

    // The first, or the last, 32 bytes of each.
    static Vector low_halves(Vector a, Vector b) { return _mm512_shuffle_i64x2(a, b, 0x44); }
    static Vector high_halves(Vector a, Vector b) { return _mm512_shuffle_i64x2(a, b, 0xEE); }

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
