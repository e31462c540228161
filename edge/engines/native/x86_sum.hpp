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

// A row between two of half the size, a quarter of the way, with its first and last pixel once more beside it.
template <class V>
const s16* between(const u8* near, const u8* far, int half, int channels, s16* out) {
    s16* first = out + channels;
    const int size = half * channels;
    for (int i = 0; i < size; i += V::BYTES / 2)
        V::store(first + i, weighed<V>(V::widen(near + i), V::widen(far + i)));
    std::memcpy(out, first, channels * sizeof(s16));
    std::memcpy(first + size, first + size - channels, channels * sizeof(s16));
    return first;
}

// Half a vector of outputs and another one, in 16 bits.
template <class V>
struct Two {
    typename V::Vector first, second;

    void add(const Two& x, const Two& multiplier) {
        first = V::add_saturated16(first, V::scale16(x.first, multiplier.first));
        second = V::add_saturated16(second, V::scale16(x.second, multiplier.second));
    }

    // In bytes, one after the other.
    typename V::Vector rounded() const {
        const auto part = V::all16(SIXTY_FOURTH);
        return V::pixel_by_pixel2(V::pack_positive16(V::scale16(first, part), V::scale16(second, part)));
    }
};

// Of a summand that has the sum's size.
template <class V>
Two<V> as_large(const u8* first, const u8* second) {
    return {V::template shift_left16<7>(V::widen(first)), V::template shift_left16<7>(V::widen(second))};
}

// Of one of half the size: what lies between a pixel and its two neighbours, a quarter of the way. PAIRED are
// pixels that fill half of half a vector: those before and after each of two.
template <class V, bool PAIRED>
Two<V> doubled(const s16* at, int channels) {
    const auto here = V::load(at);
    const auto left = V::template shift_left16<3>(weighed<V>(here, V::load(at - channels)));
    const auto right = V::template shift_left16<3>(weighed<V>(here, V::load(at + channels)));
    if constexpr (PAIRED) return {V::low_halves(left, right), V::high_halves(left, right)};
    return {left, right};
}

template <class V, int COUNT>
void sum_as_large(const SummandRow* rows, int width, int channels, u8* out) {
    constexpr int LANES = V::BYTES / 2;
    const int size = width * channels;
    for (int at = 0, channel = 0; at < size; at += V::BYTES) {
        Two<V> sum = {V::zero(), V::zero()};
        for (int i = 0; i < COUNT; ++i) {
            const s16* multiplier = rows[i].multiplier + channel;
            const u8* x = rows[i].near + at;
            sum.add(as_large<V>(x, x + LANES), {V::load(multiplier), V::load(multiplier + LANES)});
        }
        put<V>(out, at, size, sum.rounded());
        for (channel += V::BYTES; channel >= channels;) channel -= channels;
    }
}

// Where some are doubled, so that two neighbouring pixels are made at a time.
template <class V, int COUNT, bool PAIRED>
void sum_doubled(const SummandRow* rows, const s16* const* halves, int width, int channels, u8* out) {
    constexpr int LANES = V::BYTES / 2;
    const int size = width * channels, apart = PAIRED ? LANES : channels;
    for (int half = 0, channel = 0; half < size / 2; half += LANES) {
        const int at = 2 * half - channel;
        Two<V> sum = {V::zero(), V::zero()};
        for (int i = 0; i < COUNT; ++i) {
            const auto multiplier = V::load(rows[i].multiplier + channel);
            const u8* x = rows[i].near + at;
            sum.add(rows[i].far ? doubled<V, PAIRED>(halves[i] + half, channels) : as_large<V>(x, x + apart),
                    {multiplier, multiplier});
        }
        if (apart == LANES) {
            put<V>(out, at, size, sum.rounded());
        } else {
            V::store_low(out + at, sum.rounded());
            V::store_high(out + at + apart, sum.rounded());
        }
        if (!PAIRED && (channel += LANES) == channels) channel = 0;
    }
}

// Pixels are whole vectors of 16 channels. So half a vector of 32 bytes always fits them; of longer ones it may
// not, and HALF has half of V's bytes.
template <int COUNT, class V, class... HALF>
void sum(const SummandRow* rows, const s16* const* halves, int width, int channels, u8* out) {
    if (std::all_of(rows, rows + COUNT, [](const SummandRow& row) { return !row.far; }))
        return sum_as_large<V, COUNT>(rows, width, channels, out);
    if constexpr (sizeof...(HALF) > 0) {
        constexpr int LANES = V::BYTES / 2;
        if (channels == LANES / 2) return sum_doubled<V, COUNT, true>(rows, halves, width, channels, out);
        if (channels % LANES) return sum_doubled<HALF..., COUNT, false>(rows, halves, width, channels, out);
    }
    sum_doubled<V, COUNT, false>(rows, halves, width, channels, out);
}

template <class V, class... HALF>
void add(const SummandRow* rows, int count, int width, int channels, Workspace& work, u8* out) {
    const s16* halves[5];
    for (int i = 0; i < count; ++i)
        if (const SummandRow& row = rows[i]; row.far)
            halves[i] = between<V>(row.near, row.far, width / 2, channels, work.doubled[i].get());
    constexpr decltype(&sum<2, V, HALF...>) BY_COUNT[] = {sum<2, V, HALF...>, sum<3, V, HALF...>,
                                                          sum<4, V, HALF...>, sum<5, V, HALF...>};
    BY_COUNT[count - 2](rows, halves, width, channels, out);
}

}  // namespace
}  // namespace trackside
