// Vectors of 16 bytes: a pixel is always whole ones. Included below a target pragma.
#pragma once

#include <immintrin.h>

#include "body.hpp"

namespace trackside {
namespace {

struct Xmm {
    using Vector = __m128i;
    static constexpr int BYTES = 16, REGISTERS = 16;

    static Vector load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
    static void store(void* to, Vector v) { _mm_storeu_si128(static_cast<__m128i*>(to), v); }
    static Vector zero() { return _mm_setzero_si128(); }

    static Vector unpack_low8(Vector a, Vector b) { return _mm_unpacklo_epi8(a, b); }
    static Vector unpack_high8(Vector a, Vector b) { return _mm_unpackhi_epi8(a, b); }
    static Vector unpack_low16(Vector a, Vector b) { return _mm_unpacklo_epi16(a, b); }
    static Vector unpack_high16(Vector a, Vector b) { return _mm_unpackhi_epi16(a, b); }
    static Vector pack32(Vector a, Vector b) { return _mm_packs_epi32(a, b); }
    static Vector pack_positive32(Vector a, Vector b) { return _mm_packus_epi32(a, b); }
    static Vector pack_positive16(Vector a, Vector b) { return _mm_packus_epi16(a, b); }

    static Vector add16(Vector a, Vector b) { return _mm_add_epi16(a, b); }
    static Vector add_saturated16(Vector a, Vector b) { return _mm_adds_epi16(a, b); }
    static Vector scale16(Vector a, Vector multiplier) { return _mm_mulhrs_epi16(a, multiplier); }
};

}  // namespace
}  // namespace trackside
