// Depthwise convolution by dot products of four bytes, over a vector type V that has them.
//
// A column of the filter is three rows: woven into quads (above, at, below and once more below, which
// weighs nothing), one column serves three outputs, as right, middle and left. Unpacking weaves within
// lanes of 16 bytes, so that each 16 channels lie in four planes, two for each half; packing undoes that.
//
// Where outputs that share columns are whole vectors apart, the kernel rolls from one to the next with the
// columns in registers: with the longest vectors of which that is so, shorter ones where need be. Where they
// are neighbours of 16 channels, it slides left and right columns together from two long ones. Of rows of
// stride 2 every second pixel is a middle; the one after it is this output's right and the next one's left.
//
// A sum of 32 bits is clamped by the very instruction that narrows it: `wide_bias` holds an offset that
// takes the side which is to be 0 beyond what 16 bits hold, and `back` takes the offset off again.
//
// One branch at a time, a chunk at a time: weights and columns stay in registers, sums in the first cache.
// With 16 registers there is room for the weights of half the planes: FIRST and END say which halves.
#pragma once

#include <algorithm>
#include <numeric>

#include "body.hpp"

namespace trackside {
namespace {

// One branch of one chunk.
struct BranchJob {
    const PackedBranches& packed;
    const PackedBranch& branch;
    const BranchRow& row;
    int from, count;  // outputs
    Workspace& work;
    u8* out;
};

// The halves' planes of a column.
template <class V, int FIRST, int END>
struct Column {
    typename V::Vector planes[4];

    static IN_REGISTERS Column woven(const u8* const rows[3], std::ptrdiff_t at) {
        return woven(V::load(rows[0] + at), V::load(rows[1] + at), V::load(rows[2] + at));
    }

    static IN_REGISTERS Column woven(typename V::Vector a, typename V::Vector b, typename V::Vector c) {
        Column column;
#pragma GCC unroll 2
        for (int half = FIRST; half < END; ++half) {
            const auto pairs = half ? V::unpack_high8(a, b) : V::unpack_low8(a, b);
            const auto below = half ? V::unpack_high8(c, c) : V::unpack_low8(c, c);
            column.planes[2 * half] = V::unpack_low16(pairs, below);
            column.planes[2 * half + 1] = V::unpack_high16(pairs, below);
        }
        return column;
    }

    static IN_REGISTERS Column nothing() {
        Column column;
        for (auto& plane : column.planes) plane = V::zero();
        return column;
    }
};

// From columns to sums, and from sums to what is kept of them.
template <class V, Place PLACE, int FIRST, int END>
struct Maker {
    using Vector = typename V::Vector;
    Vector weights[3][4], bias[4], back[2], mix[2], squeeze[2];
    s16* sums[2];  // of each half: vectors of any length find them in the same place
    u8* out;

    IN_REGISTERS Maker(const BranchJob& job, int phase)
        : sums{job.work.sums.get(), job.work.sums.get() + job.work.plane / 2}, out(job.out + job.from) {
        const int period = job.packed.period;
        for (int plane = 2 * FIRST; plane < 2 * END; ++plane) {
            for (int column = 0; column < 3; ++column)
                weights[column][plane] = V::load(job.branch.quads.get() + (4 * column + plane) * period + phase);
            bias[plane] = V::load(job.branch.wide_bias.get() + (plane * period + phase) / 4);
        }
        for (int half = FIRST; half < END; ++half) {
            const int slot = (half * period + phase) / 2;
            back[half] = V::load(job.branch.back.get() + slot);
            mix[half] = V::load(job.packed.mix.get() + slot);
            squeeze[half] = V::load(job.packed.squeeze.get() + slot);
        }
    }

    IN_REGISTERS void operator()(std::ptrdiff_t at, const Vector* left, const Vector* middle, const Vector* right) const {
        Vector s[2];
#pragma GCC unroll 2
        for (int half = FIRST; half < END; ++half) {
            Vector z[2];
#pragma GCC unroll 2
            for (int i = 0; i < 2; ++i) {
                const int p = 2 * half + i;
                z[i] = V::dot(V::dot(V::dot(bias[p], left[p], weights[0][p]), middle[p], weights[1][p]), right[p],
                              weights[2][p]);
            }
            s[half] = summed(z, half, sums[half] + at / 2);
        }
        keep(at, s);
    }

    IN_REGISTERS Vector summed(const Vector z[2], int half, const s16* sum) const {
        if constexpr (PLACE == Place::PLAIN) return V::pack_positive32(z[0], z[1]);
        const Vector before = begins(PLACE) ? mix[half] : V::load(sum);
        return V::add_saturated16(before, V::add16(V::pack32(z[0], z[1]), back[half]));
    }

    // What the first half alone comes to waits in `sums` for the other, whose bytes lie between its own.
    IN_REGISTERS void keep(std::ptrdiff_t at, Vector s[2]) const {
#pragma GCC unroll 2
        for (int half = FIRST; half < END; ++half) {
            if (ends(PLACE)) s[half] = V::scale16(s[half], squeeze[half]);
            if (!ends(PLACE) || END == 1) V::store(sums[half] + at / 2, s[half]);
        }
        if (ends(PLACE) && END == 2)
            V::store(out + at, V::pack_positive16(FIRST == 0 ? s[0] : V::load(sums[0] + at / 2), s[1]));
    }
};

// From one output to the next that shares columns with it, and so over all of a chunk.
template <class V, Place PLACE, int FIRST, int END>
void roll(const BranchJob& job) {
    using C = Column<V, FIRST, END>;
    const int step = job.row.reach, stride = std::lcm(job.packed.channels, V::BYTES);
    const std::ptrdiff_t count = job.count;
    const u8* rows[3];
    for (int r = 0; r < 3; ++r) rows[r] = job.row.rows[r] + job.from;
    for (int phase = 0; phase < std::min(step, stride); phase += V::BYTES) {
        const Maker<V, PLACE, FIRST, END> make(job, phase);
        for (std::ptrdiff_t first = phase; first < step && first < count; first += stride) {
            C a = job.from ? C::woven(rows, first - step) : C::nothing(), b = C::woven(rows, first), c;
            for (std::ptrdiff_t at = first;;) {  // three turns, so that no column changes its registers
                c = C::woven(rows, at + step);
                make(at, a.planes, b.planes, c.planes);
                if ((at += step) >= count) break;
                a = C::woven(rows, at + step);
                make(at, b.planes, c.planes, a.planes);
                if ((at += step) >= count) break;
                b = C::woven(rows, at + step);
                make(at, c.planes, a.planes, b.planes);
                if ((at += step) >= count) break;
            }
        }
    }
}

// Where neighbours are one lane of 16 bytes apart: left and right columns are slid together from two.
template <class V, Place PLACE, int FIRST, int END>
void slide(const BranchJob& job) {
    using C = Column<V, FIRST, END>;
    const u8* rows[3];
    for (int r = 0; r < 3; ++r) rows[r] = job.row.rows[r] + job.from;
    const Maker<V, PLACE, FIRST, END> make(job, 0);
    C before = job.from ? C::woven(rows, -V::BYTES) : C::nothing(), here = C::woven(rows, 0);
    for (std::ptrdiff_t at = 0; at < job.count; at += V::BYTES) {
        const C after = C::woven(rows, at + V::BYTES);
        C left, right;
#pragma GCC unroll 4
        for (int p = 2 * FIRST; p < 2 * END; ++p) {
            left.planes[p] = V::last_lane_then(before.planes[p], here.planes[p]);
            right.planes[p] = V::then_first_lane(here.planes[p], after.planes[p]);
        }
        make(at, left.planes, here.planes, right.planes);
        before = here;
        here = after;
    }
}

// Over every second pixel of the rows; a chunk is whole pixels.
template <class V, Place PLACE, int FIRST, int END>
void roll_by_two(const BranchJob& job) {
    using C = Column<V, FIRST, END>;
    const std::ptrdiff_t pixel = job.packed.channels, count = job.count;
    const u8* rows[3];
    for (int r = 0; r < 3; ++r) rows[r] = job.row.rows[r] + 2 * static_cast<std::ptrdiff_t>(job.from);
    for (int phase = 0; phase < pixel; phase += V::BYTES) {
        const Maker<V, PLACE, FIRST, END> make(job, phase);
        C a = job.from ? C::woven(rows, phase - pixel) : C::nothing(), b;
        const auto middle = [&](std::ptrdiff_t at) { return C::woven(rows, 2 * at - phase); };
        for (std::ptrdiff_t at = phase;;) {  // two turns, so that no column changes its registers
            b = C::woven(rows, 2 * at - phase + pixel);
            make(at, a.planes, middle(at).planes, b.planes);
            if ((at += pixel) >= count) break;
            a = C::woven(rows, 2 * at - phase + pixel);
            make(at, b.planes, middle(at).planes, a.planes);
            if ((at += pixel) >= count) break;
        }
    }
}

// Of pixels that are one lane of 16 bytes, two vectors are dealt into middles and what lies between them.
template <class V, Place PLACE, int FIRST, int END>
void deal(const BranchJob& job) {
    using C = Column<V, FIRST, END>;
    const auto dealt = [&](std::ptrdiff_t at, bool odd) {
        typename V::Vector rows[3];
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r) {
            const u8* from = job.row.rows[r] + 2 * (job.from + at);
            const auto a = V::load(from), b = V::load(from + V::BYTES);
            rows[r] = odd ? V::odd_lanes(a, b) : V::even_lanes(a, b);
        }
        return C::woven(rows[0], rows[1], rows[2]);
    };
    const Maker<V, PLACE, FIRST, END> make(job, 0);
    C before = job.from ? dealt(-V::BYTES, true) : C::nothing();
    for (std::ptrdiff_t at = 0; at < job.count; at += V::BYTES) {
        const C middle = dealt(at, false), right = dealt(at, true);
        C left;
#pragma GCC unroll 4
        for (int p = 2 * FIRST; p < 2 * END; ++p)
            left.planes[p] = V::last_lane_then(before.planes[p], right.planes[p]);
        make(at, left.planes, middle.planes, right.planes);
        before = right;
    }
}

template <class V, Place PLACE, int FIRST, int END>
void make_planes(const BranchJob& job) {
    const bool dense = job.packed.stride == 1;
    if constexpr (V::BYTES > 16)
        if (job.row.reach == 16) return dense ? slide<V, PLACE, FIRST, END>(job) : deal<V, PLACE, FIRST, END>(job);
    if (!dense) return roll_by_two<V, PLACE, FIRST, END>(job);
    roll<V, PLACE, FIRST, END>(job);
}

template <class V, Place PLACE>
void make_outputs(const BranchJob& job) {
    if constexpr (V::REGISTERS == 32) {
        make_planes<V, PLACE, 0, 2>(job);
    } else {
        make_planes<V, PLACE, 0, 1>(job);
        make_planes<V, PLACE, 1, 2>(job);
    }
}

// By the longest vectors that do; the last are of 16 bytes, of which every pixel is some.
template <Place PLACE, class V, class... Shorter>
void make_branch(const BranchJob& job) {
    if constexpr (sizeof...(Shorter) > 0)
        if (job.row.reach != 16 && job.row.reach % V::BYTES) return make_branch<PLACE, Shorter...>(job);
    make_outputs<V, PLACE>(job);
}

template <class... Vectors>
void depthwise_quads(const PackedBranches& packed, const BranchRow* rows, int size, Workspace& work, u8* out) {
    const int step = chunk(packed.period);
    for (int from = 0; from < size; from += step)
        for (std::size_t i = 0; i < packed.branches.size(); ++i) {
            const BranchJob job{packed, packed.branches[i], rows[i], from, std::min(step, size - from), work, out};
            switch (place(packed, i)) {
                case Place::PLAIN: make_branch<Place::PLAIN, Vectors...>(job); break;
                case Place::ONLY: make_branch<Place::ONLY, Vectors...>(job); break;
                case Place::FIRST: make_branch<Place::FIRST, Vectors...>(job); break;
                case Place::BETWEEN: make_branch<Place::BETWEEN, Vectors...>(job); break;
                case Place::LAST: make_branch<Place::LAST, Vectors...>(job); break;
            }
        }
}

}  // namespace
}  // namespace trackside
