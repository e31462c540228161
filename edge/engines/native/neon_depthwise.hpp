// The depthwise convolution on ARM: that of x86_depthwise_quads.hpp, whose comments say why.
//
// Its dot product is of signed bytes: pixels are taken less 128, and 128 times the weights' sum is in the bias.
#pragma once

#include <algorithm>

#include "body.hpp"

namespace trackside {
namespace {

// Rows above, at and below, woven into quads of which the last weighs nothing, in four planes: of each
// `next` bytes the first `piece`.
void weave(const u8* const rows[3], std::ptrdiff_t from, int piece, int next, int size, u8* quads, int plane) {
    const uint8x16_t less128 = vdupq_n_u8(0x80);
    for (const u8* const end = quads + size; quads < end; from += next - piece)
        for (int i = 0; i < piece; i += 16, from += 16, quads += 16) {
            const uint8x16_t a = veorq_u8(vld1q_u8(rows[0] + from), less128);
            const uint8x16_t b = veorq_u8(vld1q_u8(rows[1] + from), less128);
            const uint8x16_t c = veorq_u8(vld1q_u8(rows[2] + from), less128);
            const uint16x8_t pairs[] = {vreinterpretq_u16_u8(vzip1q_u8(a, b)), vreinterpretq_u16_u8(vzip2q_u8(a, b))};
            const uint16x8_t belows[] = {vreinterpretq_u16_u8(vzip1q_u8(c, c)), vreinterpretq_u16_u8(vzip2q_u8(c, c))};
            for (int half = 0; half < 2; ++half) {
                u8* to = quads + 2 * half * plane;
                vst1q_u8(to, vreinterpretq_u8_u16(vzip1q_u16(pairs[half], belows[half])));
                vst1q_u8(to + plane, vreinterpretq_u8_u16(vzip2q_u16(pairs[half], belows[half])));
            }
        }
}

// Where output `from` finds each column's quads, once its chunk is woven.
struct Columns {
    const u8* at[3];
};

Columns weave_chunk(const PackedBranches& packed, const BranchRow& row, int from, int count, Workspace& work) {
    const int plane = work.plane, reach = row.reach;
    u8* quads = work.woven[0].get();
    if (packed.stride == 1) {
        const int all = count + 2 * reach;
        weave(row.rows, from - reach, all, all, all, quads, plane);
        return {{quads, quads + reach, quads + 2 * reach}};
    }
    // A pixel, and the one between it and the next by turns: these are the right ones, and then the left ones.
    u8* between = work.woven[1].get();
    weave(row.rows, 2 * from, reach, 2 * reach, count, quads, plane);
    weave(row.rows, 2 * from - reach, reach, 2 * reach, count + reach, between, plane);
    return {{between, quads, between + reach}};
}

// 16 channels of a branch, with what they weigh: 32 registers hold it all.
struct Sixteen {
    int8x16_t weights[3][4];
    int32x4_t bias[4];
    int16x8_t back[2];

    Sixteen(const PackedBranch& branch, int period, int phase) {
        for (int plane = 0; plane < 4; ++plane) {
            for (int column = 0; column < 3; ++column)
                weights[column][plane] = vld1q_s8(branch.quads.get() + (4 * column + plane) * period + phase);
            bias[plane] = vld1q_s32(branch.wide_bias.get() + (plane * period + phase) / 4);
        }
        for (int half = 0; half < 2; ++half) back[half] = vld1q_s16(branch.back.get() + (half * period + phase) / 2);
    }

    int32x4_t sum(const Columns& columns, std::ptrdiff_t at, int plane) const {
        int32x4_t z = bias[plane];
        for (int column = 0; column < 3; ++column)
            z = vdotq_s32(z, vreinterpretq_s8_u8(vld1q_u8(columns.at[column] + at)), weights[column][plane]);
        return z;
    }

    // 8 channels, clamped. In a plain module negative ones are 0 and that is all.
    int16x8_t clamped(const Columns& columns, std::ptrdiff_t at, int plane_size, int half, bool plain) const {
        const int32x4_t a = sum(columns, at + 2 * half * plane_size, 2 * half);
        const int32x4_t b = sum(columns, at + (2 * half + 1) * plane_size, 2 * half + 1);
        if (plain) return vreinterpretq_s16_u16(vqmovun_high_s32(vqmovun_s32(a), b));
        return vaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), back[half]);
    }
};

template <Place PLACE>
void branch(const PackedBranches& packed, const PackedBranch& from, const Columns& columns, int size, int plane,
            s16* sums, u8* out) {
    for (int phase = 0; phase < packed.period; phase += 16) {
        const Sixteen sixteen(from, packed.period, phase);
        for (int at = phase; at < size; at += packed.period) {
            int16x8_t s[2];
            for (int half = 0; half < 2; ++half) {
                const int slot = (half * packed.period + phase) / 2;
                s[half] = sixteen.clamped(columns, at, plane, half, PLACE == Place::PLAIN);
                if (PLACE != Place::PLAIN) {
                    const s16* before = begins(PLACE) ? packed.mix.get() + slot : sums + at + 8 * half;
                    s[half] = vqaddq_s16(vld1q_s16(before), s[half]);
                }
                if (ends(PLACE)) {
                    s[half] = vqrdmulhq_s16(s[half], vld1q_s16(packed.squeeze.get() + slot));
                } else {
                    vst1q_s16(sums + at + 8 * half, s[half]);
                }
            }
            if (ends(PLACE)) vst1q_u8(out + at, vqmovun_high_s16(vqmovun_s16(s[0]), s[1]));
        }
    }
}

void depthwise(const PackedBranches& packed, const BranchRow* rows, int size, Workspace& work, u8* out) {
    const int step = chunk(packed.period);
    for (int from = 0; from < size; from += step) {
        const int count = std::min(step, size - from);
        for (std::size_t i = 0; i < packed.branches.size(); ++i) {
            const Columns columns = weave_chunk(packed, rows[i], from, count, work);
            auto* kernel = branch<Place::BETWEEN>;
            switch (place(packed, i)) {
                case Place::PLAIN: kernel = branch<Place::PLAIN>; break;
                case Place::ONLY: kernel = branch<Place::ONLY>; break;
                case Place::FIRST: kernel = branch<Place::FIRST>; break;
                case Place::LAST: kernel = branch<Place::LAST>; break;
                case Place::BETWEEN: break;
            }
            kernel(packed, packed.branches[i], columns, count, work.plane, work.sums.get(), out + from);
        }
    }
}

}  // namespace
}  // namespace trackside
