// Depthwise convolution by dot products of four bytes, over a vector type V that has them.
//
// A column of the filter is three rows: woven into quads (above, at, below and once more below, which
// weighs nothing), one column serves three outputs, as right, middle and left. Unpacking weaves within
// lanes of 16 bytes, so that each 16 channels lie in four planes, two for each half; packing undoes that.
//
// Where outputs that share columns are whole vectors apart, or whole half ones, the kernel rolls from one
// to the next with the columns in registers. Where they are neighbours of 16 channels, it slides left and right
// columns together from two. Where they are neither, and where rows are split in two, it weaves a chunk of
// the row to memory first, and reads that at three places.
//
// A sum of 32 bits is clamped by the very instruction that narrows it: `wide_bias` holds an offset that
// takes the side which is to be 0 beyond what 16 bits hold, and `back` takes the offset off again.
//
// One branch at a time, a chunk at a time: weights stay in registers, what is woven in the first cache.
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

    static Column woven(const u8* const rows[3], std::ptrdiff_t at) {
        const auto a = V::load(rows[0] + at), b = V::load(rows[1] + at), c = V::load(rows[2] + at);
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

    static Column nothing() {
        Column column;
        for (auto& plane : column.planes) plane = V::zero();
        return column;
    }

    static Column load(const u8* from, int plane) {
        Column column;
#pragma GCC unroll 4
        for (int p = 2 * FIRST; p < 2 * END; ++p) column.planes[p] = V::load(from + p * plane);
        return column;
    }

    void store(u8* to, int plane) const {
#pragma GCC unroll 4
        for (int p = 2 * FIRST; p < 2 * END; ++p) V::store(to + p * plane, planes[p]);
    }
};

// From columns to sums, and from sums to what is kept of them.
template <class V, Place PLACE, int FIRST, int END>
struct Maker {
    using Vector = typename V::Vector;
    Vector weights[3][4], bias[4], back[2], mix[2], squeeze[2];
    s16* sums[2];  // of each half: vectors of any length find them in the same place
    u8* out;

    Maker(const BranchJob& job, int phase)
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

    void operator()(std::ptrdiff_t at, const Vector* left, const Vector* middle, const Vector* right) const {
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

    Vector summed(const Vector z[2], int half, const s16* sum) const {
        if constexpr (PLACE == Place::PLAIN) return V::pack_positive32(z[0], z[1]);
        const Vector before = begins(PLACE) ? mix[half] : V::load(sum);
        return V::add_saturated16(before, V::add16(V::pack32(z[0], z[1]), back[half]));
    }

    // What the first half alone comes to waits in `sums` for the other, whose bytes lie between its own.
    void keep(std::ptrdiff_t at, Vector s[2]) const {
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
    const int step = job.row.taps[2].offset, stride = std::lcm(job.packed.channels, V::BYTES);
    const std::ptrdiff_t count = job.count;
    const u8* rows[3];
    for (int r = 0; r < 3; ++r) rows[r] = job.row.rows[r][0] + job.from;
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
    for (int r = 0; r < 3; ++r) rows[r] = job.row.rows[r][0] + job.from;
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

// Where output 0 of a chunk finds each column, once all are woven.
struct Columns {
    const u8* at[3];
};

template <class V>
Columns weave_chunk(const BranchJob& job) {
    Columns columns;
    for (int source = 0; source <= job.row.taps[0].source; ++source) {
        const auto [first, last] = job.row.reach(source);
        u8* woven = job.work.woven[source].get();
        const u8* rows[3];
        for (int r = 0; r < 3; ++r) rows[r] = job.row.rows[r][source] + job.from + first;
        for (std::ptrdiff_t i = 0; i < job.count + last - first; i += V::BYTES)
            Column<V, 0, 2>::woven(rows, i).store(woven + i, job.work.plane);
        for (int tap = 0; tap < 3; ++tap)
            if (job.row.taps[tap].source == source) columns.at[tap] = woven + job.row.taps[tap].offset - first;
    }
    return columns;
}

template <class V, Place PLACE, int FIRST, int END>
void use_woven(const BranchJob& job, const Columns& columns) {
    using C = Column<V, FIRST, END>;
    const int stride = std::lcm(job.packed.channels, V::BYTES), plane = job.work.plane;
    for (int phase = 0; phase < stride; phase += V::BYTES) {
        const Maker<V, PLACE, FIRST, END> make(job, phase);
        for (std::ptrdiff_t at = phase; at < job.count; at += stride)
            make(at, C::load(columns.at[0] + at, plane).planes, C::load(columns.at[1] + at, plane).planes,
                 C::load(columns.at[2] + at, plane).planes);
    }
}

enum class Way { ROLL, SLIDE, WEAVE_FIRST };

template <class V>
Way way(const BranchRow& row) {
    const int step = row.taps[2].offset;
    if (row.taps[0].source) return Way::WEAVE_FIRST;  // a row split in two
    return step % V::BYTES == 0 ? Way::ROLL : step == 16 ? Way::SLIDE : Way::WEAVE_FIRST;
}

template <class V, Place PLACE, int FIRST, int END>
void make_planes(const BranchJob& job, const Columns& woven) {
    switch (way<V>(job.row)) {
        case Way::ROLL: return roll<V, PLACE, FIRST, END>(job);
        case Way::SLIDE: return slide<V, PLACE, FIRST, END>(job);
        case Way::WEAVE_FIRST: return use_woven<V, PLACE, FIRST, END>(job, woven);
    }
}

template <class V, Place PLACE>
void make_outputs(const BranchJob& job) {
    const Columns woven = way<V>(job.row) == Way::WEAVE_FIRST ? weave_chunk<V>(job) : Columns{};
    if constexpr (V::REGISTERS == 32) {
        make_planes<V, PLACE, 0, 2>(job, woven);
    } else {
        make_planes<V, PLACE, 0, 1>(job, woven);
        make_planes<V, PLACE, 1, 2>(job, woven);
    }
}

// `Half` is a vector type of half the bytes, for what rolls with no longer ones.
template <class V, class Half, Place PLACE>
void make_branch(const BranchJob& job) {
    if (way<V>(job.row) == Way::WEAVE_FIRST && way<Half>(job.row) == Way::ROLL) {
        make_outputs<Half, PLACE>(job);
    } else {
        make_outputs<V, PLACE>(job);
    }
}

template <class V, class Half = V>
void depthwise_quads(const PackedBranches& packed, const BranchRow* rows, int size, Workspace& work, u8* out) {
    const int step = chunk(packed.period);
    for (int from = 0; from < size; from += step)
        for (std::size_t i = 0; i < packed.branches.size(); ++i) {
            const BranchJob job{packed, packed.branches[i], rows[i], from, std::min(step, size - from), work, out};
            switch (place(packed, i)) {
                case Place::PLAIN: make_branch<V, Half, Place::PLAIN>(job); break;
                case Place::ONLY: make_branch<V, Half, Place::ONLY>(job); break;
                case Place::FIRST: make_branch<V, Half, Place::FIRST>(job); break;
                case Place::BETWEEN: make_branch<V, Half, Place::BETWEEN>(job); break;
                case Place::LAST: make_branch<V, Half, Place::LAST>(job); break;
            }
        }
}

}  // namespace
}  // namespace trackside
