// The head: eight pixels' logits at a time, in vectors of 32 bytes on every body.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "body.hpp"

namespace trackside {
namespace {

inline __m256i products(const u8* pixel, const s16* weights) {
    const __m256i values = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel)));
    return _mm256_madd_epi16(values, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights)));
}

inline __m256i sums_of_eight(const u8* pixels, const s16* weights, int inputs) {
    __m256i sums[8];
    for (int p = 0; p < 8; ++p) {
        sums[p] = products(pixels + p * inputs, weights);
        for (int c = 16; c < inputs; c += 16)
            sums[p] = _mm256_add_epi32(sums[p], products(pixels + p * inputs + c, weights + c));
    }
    __m256i fours[2];  // four pixels' sums of the low lanes, and of the high ones
    for (int i = 0; i < 2; ++i)
        fours[i] = _mm256_hadd_epi32(_mm256_hadd_epi32(sums[4 * i], sums[4 * i + 1]),
                                     _mm256_hadd_epi32(sums[4 * i + 2], sums[4 * i + 3]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(fours[0], fours[1], 0x20),
                            _mm256_permute2x128_si256(fours[0], fours[1], 0x31));
}

inline void head(const PackedHead& packed, const u8* in, int width, float* logits, std::ptrdiff_t plane) {
    for (int n = 0; n < packed.outputs; ++n, logits += plane) {
        const s16* weights = packed.weights.get() + n * packed.inputs;
        const __m256 scale = _mm256_set1_ps(packed.scale[n]), bias = _mm256_set1_ps(packed.bias[n]);
        for (int x = 0; x < width; x += 8) {
            const u8* pixels = in + static_cast<std::ptrdiff_t>(x) * packed.inputs;
            const __m256i sums = sums_of_eight(pixels, weights, packed.inputs);
            const __m256 eight = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), scale), bias);
            if (x + 8 <= width) {
                _mm256_storeu_ps(logits + x, eight);
            } else {
                float row[8];
                _mm256_storeu_ps(row, eight);
                std::memcpy(logits + x, row, (width - x) * sizeof(float));
            }
        }
    }
}

}  // namespace
}  // namespace trackside
