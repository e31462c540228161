// The kernels of the x86 bodies over a vector type V, which says how wide it is and how it multiplies.
//
// Depthwise: `maddubs` multiplies and adds pairs of bytes, so the rows above and below are woven into
// pairs, once for their three taps; the middle row's left and right are another pair, and its middle,
// the same for all branches, is one with nothing. Unpacking weaves within
// lanes of 16 bytes and leaves two planes, the low and the high 8 channels of each 16; packing the
// results undoes that. One branch at a time goes over the row, so that its weights stay in registers.
//
// Pointwise: blocks of PX pixels times NB vectors of channels are summed in registers.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "body.hpp"

namespace trackside {
namespace {

constexpr s16 SIXTY_FOURTH = 1 << 9;  // as a multiplier it is (a + 32) >> 6

template <class V>
void weave(const u8* above, const u8* below, int size, u8* low, u8* high) {
    for (int i = 0; i < size; i += V::BYTES) {
        const auto a = V::load(above + i), b = V::load(below + i);
        V::store(low + i, V::unpack_low(a, b));
        V::store(high + i, V::unpack_high(a, b));
    }
}

template <class V>
void weave_with_nothing(const u8* row, int size, u8* low, u8* high) {
    for (int i = 0; i < size; i += V::BYTES) {
        const auto a = V::load(row + i);
        V::store(low + i, V::unpack_low(a, V::zero()));
        V::store(high + i, V::unpack_high(a, V::zero()));
    }
}

// Where the pairs of each plane begin.
struct Planes {
    const u8 *columns[3], *sides, *middle;
};

// The weights of one vector of a branch, for one plane: they stay in registers along the row.
template <class V>
struct Half {
    typename V::Vector columns[3], sides, middle, bias, low, high;

    Half(const PackedBranch& branch, int period, int at, int plane) {
        const s8* w = branch.pairs.get() + plane * period + at;
        for (auto& column : columns) {
            column = V::load(w);
            w += 2 * period;
        }
        sides = V::load(w);
        middle = V::load(w + 2 * period);
        const int i = plane * period / 2 + at / 2;
        bias = V::load(branch.bias.get() + i);
        low = V::load(branch.low.get() + i);
        high = V::load(branch.high.get() + i);
    }

    typename V::Vector operator()(const Planes& planes, int at) const {
        const auto a = V::multiply_pairs(V::load(planes.middle + at), middle);
        const auto b = V::multiply_pairs(V::load(planes.sides + at), sides);
        const auto c = V::multiply_pairs(V::load(planes.columns[0] + at), columns[0]);
        const auto d = V::multiply_pairs(V::load(planes.columns[1] + at), columns[1]);
        const auto e = V::multiply_pairs(V::load(planes.columns[2] + at), columns[2]);
        const auto z = V::add16(V::add16(V::add16(bias, a), V::add16(b, c)), V::add16(d, e));
        return V::min16(V::max16(z, low), high);
    }
};

template <class V, bool FIRST, bool LAST>
void branch(const PackedBranches& weights, const PackedBranch& packed, const Planes planes[2], int size,
            s16* sums, u8* out) {
    const int period = weights.period;
    for (int phase = 0; phase < period; phase += V::BYTES) {
        const Half<V> low(packed, period, phase, 0), high(packed, period, phase, 1);
        const s16 *mix = weights.mix.get() + phase / 2, *squeeze = weights.squeeze.get() + phase / 2;
        for (int at = phase; at < size; at += period) {
            s16* sum = sums + at;
            auto a = V::add_saturated16(FIRST ? V::load(mix) : V::load(sum), low(planes[0], at));
            auto b = V::add_saturated16(FIRST ? V::load(mix + period / 2) : V::load(sum + V::BYTES / 2),
                                        high(planes[1], at));
            if constexpr (LAST) {
                a = V::scale16(a, V::load(squeeze));
                b = V::scale16(b, V::load(squeeze + period / 2));
                V::store(out + at, V::pack_within_lanes(a, b));
            } else {
                V::store(sum, a);
                V::store(sum + V::BYTES / 2, b);
            }
        }
    }
}

template <class V>
void depthwise(const PackedBranches& weights, const BranchRow* rows, int size, Workspace& work, u8* out) {
    const int border = BORDER * weights.channels, plane = work.plane;
    const std::size_t last = weights.branches.size() - 1;
    u8 *sides = work.sides.get(), *middle = work.middle.get();
    weave_with_nothing<V>(rows[0].rows[1][rows[0].taps[1].source], size, middle, middle + plane);
    for (std::size_t i = 0; i <= last; ++i) {
        const BranchRow& row = rows[i];
        const Tap &left = row.taps[0], &right = row.taps[2];
        for (int s = 0; s <= left.source; ++s) {
            u8* pairs = work.pairs[s].get() + border;
            weave<V>(row.rows[0][s], row.rows[2][s], size, pairs, pairs + plane);
        }
        weave<V>(row.rows[1][left.source] + left.offset, row.rows[1][right.source] + right.offset, size, sides,
                 sides + plane);
        Planes planes[2];
        for (int half = 0; half < 2; ++half) {
            planes[half] = {{}, sides + half * plane, middle + half * plane};
            for (int tap = 0; tap < 3; ++tap)
                planes[half].columns[tap] =
                    work.pairs[row.taps[tap].source].get() + border + half * plane + row.taps[tap].offset;
        }
        const auto kernel = i == 0 ? (last == 0 ? branch<V, true, true> : branch<V, true, false>)
                                   : (i == last ? branch<V, false, true> : branch<V, false, false>);
        kernel(weights, weights.branches[i], planes, size, work.sums.get(), out);
    }
}

// Stores a vector of outputs, or what of it lies in the row.
template <class V>
void put(u8* out, std::ptrdiff_t at, std::ptrdiff_t end, typename V::Vector y) {
    if (at + V::BYTES <= end) {
        V::store(out + at, y);
    } else if (at < end) {
        alignas(64) u8 rest[V::BYTES];
        V::store(rest, y);
        std::memcpy(out + at, rest, end - at);
    }
}

template <class V>
typename V::Vector requantised(const PackedPointwise& w, typename V::Vector t, const u8* residual, int n) {
    const auto multiplier = V::load(w.multiplier.get() + n);
    if (!residual) return V::scale16(t, multiplier);
    const auto own = V::scale16(V::max16(t, V::zero()), multiplier);
    const auto x = V::template shift_left16<7>(V::widen(residual));
    const auto total = V::add_saturated16(own, V::scale16(x, V::load(w.residual.get() + n)));
    return V::scale16(total, V::all16(SIXTY_FOURTH));
}

// PX pixels from `x`, NB vectors of channels from `first`. Four vectors of sums make one of outputs:
// in one pixel where NB is 4, in neighbouring ones where NB vectors are all its channels.
template <class V, int PX, int NB>
void block(const PackedPointwise& w, const u8* in, int x, int width, int first, const u8* residual, u8* out) {
    static_assert(PX * NB % 4 == 0);
    constexpr int L = V::BYTES / 4;
    typename V::Vector sums[PX * NB];
#pragma GCC unroll 32
    for (int i = 0; i < PX * NB; ++i) sums[i] = V::load(w.bias.get() + first + i % NB * L);
    const u8* from = in + static_cast<std::ptrdiff_t>(x) * w.inputs;
    for (int k = 0; k < w.inputs; k += 4) {
        const s8* weights = w.weights.get() + static_cast<std::ptrdiff_t>(k) * w.outputs + 4 * first;
        typename V::Vector columns[NB];
#pragma GCC unroll 8
        for (int b = 0; b < NB; ++b) columns[b] = V::load(weights + b * V::BYTES);
#pragma GCC unroll 32
        for (int p = 0; p < PX; ++p) {
            s32 bytes;
            std::memcpy(&bytes, from + p * w.inputs + k, 4);
            const auto four = V::broadcast(bytes);
#pragma GCC unroll 8
            for (int b = 0; b < NB; ++b) sums[p * NB + b] = V::dot(sums[p * NB + b], four, columns[b]);
        }
    }
    // Without this gcc keeps a copy of every sum in memory up to date inside the loop.
#pragma GCC unroll 32
    for (int i = 0; i < PX * NB; ++i) asm("" : "+v"(sums[i]));
    const std::ptrdiff_t end = static_cast<std::ptrdiff_t>(width) * w.outputs;
#pragma GCC unroll 8
    for (int group = 0; group < PX * NB / 4; ++group) {
        const int i = 4 * group, pixel = i / NB, channel = first + i % NB * L;
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(x + pixel) * w.outputs + channel;
        typename V::Vector t[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j)
            t[j] = V::shift_right32(sums[i + j], V::load(w.shift.get() + first + (i + j) % NB * L));
        const auto low = V::narrow32(t[0], t[1]), high = V::narrow32(t[2], t[3]);
        const u8* x0 = residual ? residual + at : nullptr;
        put<V>(out, at, end,
               V::narrow16(requantised<V>(w, low, x0, channel),
                           requantised<V>(w, high, x0 ? x0 + V::BYTES / 2 : nullptr, channel + V::BYTES / 2)));
    }
}

// The last block overlaps the one before it: the same outputs are computed twice.
template <class V, int PX, int NB>
void along(const PackedPointwise& w, const u8* in, int width, int first, const u8* residual, u8* out) {
    for (int x = 0; x < width; x += PX)
        block<V, PX, NB>(w, in, std::max(0, std::min(x, width - PX)), width, first, residual, out);
}

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
        put<V>(out, at, size, V::narrow16(low, high));
        for (channel += V::BYTES; channel >= channels;) channel -= channels;
    }
}

// Quads of inputs, then outputs, as the dot products of four bytes want them.
inline void pack_quads(const Pointwise& from, PackedPointwise& to) {
    const std::size_t inputs = from.inputs, outputs = from.outputs;
    to.weights = Array<s8>(inputs * outputs);
    for (std::size_t n = 0; n < outputs; ++n)
        for (std::size_t k = 0; k < inputs; k += 4)
            std::memcpy(&to.weights[k * outputs + 4 * n], &from.weights[n * inputs + k], 4);
}

}  // namespace
}  // namespace trackside
