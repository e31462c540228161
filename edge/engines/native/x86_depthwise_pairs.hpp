// Depthwise convolution by products of pairs of bytes, over a vector type V: for CPUs without dot
// products of four.
//
// The rows above and below are woven into pairs, once for their three taps; the middle row's left and
// right are another pair, and its middle, the same for all branches, is one with nothing. Unpacking
// weaves within lanes of 16 bytes and leaves two planes, the low and the high 8 channels of each 16;
// packing the results undoes that.
//
// One branch at a time goes over a chunk, so that its weights stay in registers and what it weaves
// in the first cache.
#pragma once

#include <algorithm>

#include "body.hpp"

namespace trackside {
namespace {

// Of two rows, of each `next` bytes the first `piece`.
template <class V>
void weave_pairs(const u8* first, const u8* second, int piece, int next, int size, u8* low, u8* high) {
    const std::ptrdiff_t apart = second - first;
    for (const u8* const end = low + size; low < end; first += next - piece)
        for (int i = 0; i < piece; i += V::BYTES, first += V::BYTES, low += V::BYTES, high += V::BYTES) {
            const auto a = V::load(first), b = V::load(first + apart);
            V::store(low, V::unpack_low8(a, b));
            V::store(high, V::unpack_high8(a, b));
        }
}

template <class V>
void weave_with_nothing(const u8* row, int piece, int next, int size, u8* low, u8* high) {
    for (const u8* const end = low + size; low < end; row += next - piece)
        for (int i = 0; i < piece; i += V::BYTES, row += V::BYTES, low += V::BYTES, high += V::BYTES) {
            const auto a = V::load(row);
            V::store(low, V::unpack_low8(a, V::zero()));
            V::store(high, V::unpack_high8(a, V::zero()));
        }
}

// Where the pairs of each plane begin, once their chunk is woven.
struct Planes {
    const u8 *columns[3], *sides, *middle;
};

// The planes of a chunk from output `from`; the middle's are woven already. A buffer of `woven` holds
// columns' pairs in its first two planes, the sides or the middle in its last two.
template <class V>
void weave_chunk(const PackedBranches& packed, const BranchRow& row, int from, int count, Workspace& work,
                 Planes planes[2]) {
    const int plane = work.plane, reach = row.reach;
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(packed.stride) * from;
    const u8 *above = row.rows[0] + at, *middle = row.rows[1] + at, *below = row.rows[2] + at;
    u8 *columns = work.woven[0].get(), *between = work.woven[1].get(), *sides = columns + 2 * plane;
    const u8* starts[3] = {columns, columns + reach, columns + 2 * reach};
    if (packed.stride == 1) {
        const int all = count + 2 * reach;
        weave_pairs<V>(above - reach, below - reach, all, all, all, columns, columns + plane);
        weave_pairs<V>(middle - reach, middle + reach, count, count, count, sides, sides + plane);
    } else {  // a pixel, and the one between it and the next: these are the right ones, and then the left ones
        const int pixel = reach, next = 2 * pixel;
        weave_pairs<V>(above, below, pixel, next, count, columns, columns + plane);
        weave_pairs<V>(above - pixel, below - pixel, pixel, next, count + pixel, between, between + plane);
        weave_pairs<V>(middle - pixel, middle + pixel, pixel, next, count, sides, sides + plane);
        starts[0] = between, starts[1] = columns, starts[2] = between + pixel;
    }
    for (int half = 0; half < 2; ++half) {
        for (int column = 0; column < 3; ++column) planes[half].columns[column] = starts[column] + half * plane;
        planes[half].sides = sides + half * plane;
        planes[half].middle = between + (2 + half) * plane;
    }
}

// The weights of one vector of a branch, for one plane: they stay in registers along the row.
template <class V>
struct EightsOfPairs {
    typename V::Vector columns[3], sides, middle, bias, low, high;

    EightsOfPairs(const PackedBranch& branch, int period, int phase, int half) {
        const s8* w = branch.pairs.get() + half * period + phase;
        for (auto& column : columns) {
            column = V::load(w);
            w += 2 * period;
        }
        sides = V::load(w);
        middle = V::load(w + 2 * period);
        const int i = (half * period + phase) / 2;
        bias = V::load(branch.bias.get() + i);
        low = V::load(branch.low.get() + i);
        high = V::load(branch.high.get() + i);
    }

    // z, clamped. In a plain module negative ones are 0 and that is all.
    template <bool PLAIN>
    typename V::Vector clamped(const Planes& planes, int at) const {
        const auto a = V::multiply_pairs(V::load(planes.middle + at), middle);
        const auto b = V::multiply_pairs(V::load(planes.sides + at), sides);
        const auto c = V::multiply_pairs(V::load(planes.columns[0] + at), columns[0]);
        const auto d = V::multiply_pairs(V::load(planes.columns[1] + at), columns[1]);
        const auto e = V::multiply_pairs(V::load(planes.columns[2] + at), columns[2]);
        const auto z = V::add16(V::add16(V::add16(bias, a), V::add16(b, c)), V::add16(d, e));
        if constexpr (PLAIN) return V::max16(z, V::zero());
        return V::min16(V::max16(z, low), high);
    }
};

template <class V, Place PLACE>
struct BranchOfPairs {
    using Vector = typename V::Vector;
    static constexpr bool PLAIN = PLACE == Place::PLAIN;

    static Vector summed(Vector mix, const s16* sum, Vector z) {
        if constexpr (PLAIN) return z;
        return V::add_saturated16(begins(PLACE) ? mix : V::load(sum), z);
    }

    static void run(const PackedBranches& packed, const PackedBranch& branch, const Planes planes[2], int size,
                    s16* sums, u8* out) {
        const int period = packed.period;
        for (int phase = 0; phase < period; phase += V::BYTES) {
            const EightsOfPairs<V> low(branch, period, phase, 0), high(branch, period, phase, 1);
            const s16 *mix = packed.mix.get() + phase / 2, *squeeze = packed.squeeze.get() + phase / 2;
            for (int at = phase; at < size; at += period) {
                s16* sum = sums + at;
                Vector a = summed(V::load(mix), sum, low.template clamped<PLAIN>(planes[0], at));
                Vector b = summed(V::load(mix + period / 2), sum + V::BYTES / 2,
                                  high.template clamped<PLAIN>(planes[1], at));
                if constexpr (ends(PLACE)) {
                    a = V::scale16(a, V::load(squeeze));
                    b = V::scale16(b, V::load(squeeze + period / 2));
                    V::store(out + at, V::pack_positive16(a, b));
                } else {
                    V::store(sum, a);
                    V::store(sum + V::BYTES / 2, b);
                }
            }
        }
    }
};

// The planes of a chunk of every branch, one after the other.
template <class V, class Weaver>
void depthwise_woven_by(const PackedBranches& packed, const BranchRow* rows, int size, Workspace& work, u8* out) {
    const int step = chunk(packed.period), stride = packed.stride;
    for (int from = 0; from < size; from += step) {
        const int count = std::min(step, size - from);
        u8* middle = work.woven[1].get() + 2 * work.plane;
        const int piece = stride == 1 ? count : packed.channels;
        weave_with_nothing<Weaver>(rows[0].rows[1] + static_cast<std::ptrdiff_t>(stride) * from, piece,
                                   stride * piece, count, middle, middle + work.plane);
        for (std::size_t i = 0; i < packed.branches.size(); ++i) {
            Planes planes[2];
            weave_chunk<Weaver>(packed, rows[i], from, count, work, planes);
            auto* kernel = BranchOfPairs<V, Place::BETWEEN>::run;
            switch (place(packed, i)) {
                case Place::PLAIN: kernel = BranchOfPairs<V, Place::PLAIN>::run; break;
                case Place::ONLY: kernel = BranchOfPairs<V, Place::ONLY>::run; break;
                case Place::FIRST: kernel = BranchOfPairs<V, Place::FIRST>::run; break;
                case Place::LAST: kernel = BranchOfPairs<V, Place::LAST>::run; break;
                case Place::BETWEEN: break;
            }
            kernel(packed, packed.branches[i], planes, count, work.sums.get(), out + from);
        }
    }
}

// `Short` are vectors of which every pixel is whole ones: where rows of stride 2 have pixels that V's are too long for.
template <class V, class Short>
void depthwise_pairs(const PackedBranches& packed, const BranchRow* rows, int size, Workspace& work, u8* out) {
    if (packed.stride == 1 || packed.channels % V::BYTES == 0) {
        depthwise_woven_by<V, V>(packed, rows, size, work, out);
    } else {
        depthwise_woven_by<V, Short>(packed, rows, size, work, out);
    }
}

}  // namespace
}  // namespace trackside
