// Sums of tensors, of which those of half the size are doubled on the way, over a vector type V.
#pragma once

#include <algorithm>
#include <cstring>

#include "x86_pointwise.hpp"

namespace trackside {
namespace {

// 3, 1 parts of half a vector of channels, in 16 bits.
template <class V>
typename V::Vector weighed(typename V::Vector near, typename V::Vector far) {
    return V::add16(V::add16(V::template shift_left16<1>(near), near), far);
}

// What lies between each pixel of half the size and its two neighbours, a quarter of the way: both, side by side.
template <class V>
void double_pixels(const s16* at, int half, int channels, s16* out) {
    constexpr int LANES = V::BYTES / 2;
    for (int x = 0; x < half; ++x, out += channels)
        for (int c = 0; c < channels; c += LANES, at += LANES, out += LANES) {
            const auto here = V::load(at);
            V::store(out, weighed<V>(here, V::load(at - channels)));
            V::store(out + channels, weighed<V>(here, V::load(at + channels)));
        }
}

// Of pixels that fill half a vector, two at a time: a row has room for one more than it holds.
template <class V>
void double_pairs(const s16* at, int half, s16* out) {
    constexpr int LANES = V::BYTES / 2;
    for (int x = 0; x < half; x += 2, at += LANES, out += 2 * LANES) {
        const auto here = V::load(at);
        const auto left = weighed<V>(here, V::load(at - LANES / 2)), right = weighed<V>(here, V::load(at + LANES / 2));
        V::store(out, V::low_halves(left, right));
        V::store(out + LANES, V::high_halves(left, right));
    }
}

// Bilinear doubling of a row, in sixteenths. `column` has room for a pixel before and after it. Vectors of
// V where a pixel fills them or half of one, else of HALF, of 16 channels.
template <class V, class HALF>
void double_row(const u8* near, const u8* far, int half, int channels, s16* column, s16* out) {
    constexpr int LANES = V::BYTES / 2;
    s16* at = column + channels;
    const int size = half * channels;
    for (int i = 0; i < size; i += LANES) V::store(at + i, weighed<V>(V::widen(near + i), V::widen(far + i)));
    std::memcpy(column, at, channels * sizeof(s16));
    std::memcpy(at + size, at + size - channels, channels * sizeof(s16));
    if (channels % LANES == 0) {
        double_pixels<V>(at, half, channels, out);
    } else if (channels == LANES / 2) {
        double_pairs<V>(at, half, out);
    } else {
        double_pixels<HALF>(at, half, channels, out);
    }
}

// Half a vector of outputs, in 16 bits, before they are rounded.
template <class V, int COUNT>
typename V::Vector summed(const SummandRow* rows, const s16* const* doubled, int at, int channel) {
    auto sum = V::zero();
    for (int i = 0; i < COUNT; ++i) {
        const auto multiplier = V::load(rows[i].multiplier + channel);
        const auto x = rows[i].far ? V::template shift_left16<3>(V::load(doubled[i] + at))
                                   : V::template shift_left16<7>(V::widen(rows[i].near + at));
        sum = V::add_saturated16(sum, V::scale16(x, multiplier));
    }
    return V::scale16(sum, V::all16(SIXTY_FOURTH));
}

template <class V, int COUNT>
void sum_rows(const SummandRow* rows, const s16* const* doubled, int size, int channels, u8* out) {
    int channel = 0;
    for (int at = 0; at < size; at += V::BYTES) {
        const auto low = summed<V, COUNT>(rows, doubled, at, channel);
        const auto high = summed<V, COUNT>(rows, doubled, at + V::BYTES / 2, channel + V::BYTES / 2);
        put<V>(out, at, size, V::pixel_by_pixel2(V::pack_positive16(low, high)));
        for (channel += V::BYTES; channel >= channels;) channel -= channels;
    }
}

// HALF has half of V's bytes, or is V where there is none smaller.
template <class V, class HALF>
void add(const SummandRow* rows, int count, int width, int channels, Workspace& work, u8* out) {
    const s16* doubled[5];
    for (int i = 0; i < count; ++i) {
        s16* to = work.doubled[i].get();
        doubled[i] = to;
        if (rows[i].far)
            double_row<V, HALF>(rows[i].near, rows[i].far, width / 2, channels, work.column.get(), to);
    }
    constexpr decltype(&sum_rows<V, 2>) BY_COUNT[] = {sum_rows<V, 2>, sum_rows<V, 3>, sum_rows<V, 4>, sum_rows<V, 5>};
    BY_COUNT[count - 2](rows, doubled, width * channels, channels, out);
}

}  // namespace
}  // namespace trackside
