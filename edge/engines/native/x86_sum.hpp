// Sums of tensors, of which those of half the size are doubled on the way, over a vector type V.
#pragma once

#include <algorithm>
#include <cstring>

#include "x86_pointwise.hpp"

namespace trackside {
namespace {

inline __m256i sixteen(const u8* from) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

inline __m256i sixteen(const s16* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

// 3, 1 parts of 16 channels.
inline void weigh(__m256i near, __m256i far, s16* out) {
    const __m256i threefold = _mm256_add_epi16(_mm256_slli_epi16(near, 1), near);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_add_epi16(threefold, far));
}

// Bilinear doubling of a row, in sixteenths. `column` has room for a pixel before and after it.
inline void double_row(const u8* near, const u8* far, int half, int channels, s16* column, s16* out) {
    s16* at = column + channels;
    const int size = half * channels;
    for (int i = 0; i < size; i += 16) weigh(sixteen(near + i), sixteen(far + i), at + i);
    std::memcpy(column, at, channels * sizeof(s16));
    std::memcpy(at + size, at + size - channels, channels * sizeof(s16));
    for (int x = 0; x < half; ++x, out += channels)
        for (int c = 0; c < channels; c += 16, at += 16, out += 16) {
            const __m256i here = sixteen(at);
            weigh(here, sixteen(at - channels), out);
            weigh(here, sixteen(at + channels), out + channels);
        }
}

// Half a vector of outputs, in 16 bits, before they are rounded.
template <class V>
typename V::Vector summed(const SummandRow* rows, int count, const s16* const* doubled, int at, int channel) {
    auto sum = V::zero();
    for (int i = 0; i < count; ++i) {
        const auto multiplier = V::load(rows[i].multiplier + channel);
        const auto x = rows[i].far ? V::template shift_left16<3>(V::load(doubled[i] + at))
                                   : V::template shift_left16<7>(V::widen(rows[i].near + at));
        sum = V::add_saturated16(sum, V::scale16(x, multiplier));
    }
    return V::scale16(sum, V::all16(SIXTY_FOURTH));
}

template <class V>
void add(const SummandRow* rows, int count, int width, int channels, Workspace& work, u8* out) {
    const s16* doubled[5];
    for (int i = 0; i < count; ++i) {
        doubled[i] = work.doubled[i].get();
        if (rows[i].far)
            double_row(rows[i].near, rows[i].far, width / 2, channels, work.column.get(), work.doubled[i].get());
    }
    const int size = width * channels;
    int channel = 0;
    for (int at = 0; at < size; at += V::BYTES) {
        const auto low = summed<V>(rows, count, doubled, at, channel);
        const auto high = summed<V>(rows, count, doubled, at + V::BYTES / 2, channel + V::BYTES / 2);
        put<V>(out, at, size, V::pixel_by_pixel2(V::pack_positive16(low, high)));
        for (channel += V::BYTES; channel >= channels;) channel -= channels;
    }
}

}  // namespace
}  // namespace trackside
