// The body for 64-bit ARM with dot products (Raspberry Pi 5, Jetson Orin; not Pi 4).
//
// Its dot product is of signed bytes: activations are taken less 128, and 128 times the weights' sum
// is in the bias. Its depthwise convolution is that of x86_depthwise_quads.hpp, whose comments say why.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#ifdef __clang__  // which reads GCC's pragma and lets it be
#pragma clang attribute push(__attribute__((target("arch=armv8.2-a+dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#include <algorithm>
#include <cstring>

namespace trackside {
namespace {

constexpr unsigned long HAS_DOT_PRODUCT = 1 << 20;  // HWCAP_ASIMDDP

void pack(const Pointwise& from, PackedPointwise& to) {
    const std::size_t inputs = from.inputs, outputs = from.outputs;
    const Requantisation& r = from.requantisation;
    to.bias = copied<s32>(r.bias);
    to.shift = copied<s32>(r.shift);
    to.multiplier = copied<s16>(r.multiplier);
    to.residual = copied<s16>(r.residual);
    to.weights = Array<s8>(inputs * outputs);
    for (std::size_t n = 0; n < outputs; ++n) {
        s32 sum = 0;
        for (std::size_t k = 0; k < inputs; ++k) {
            sum += from.weights[n * inputs + k];
            to.weights[k / 4 * 4 * outputs + 4 * n + k % 4] = from.weights[n * inputs + k];
        }
        to.bias[n] += 128 * sum;
    }
}

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

constexpr int PIXELS = 4, VECTORS = 4;  // of a block: 16 sums of four in registers
using Sums = int32x4_t[PIXELS][VECTORS];

int8x16_t less128(uint8x16_t bytes) { return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(0x80))); }

struct Weights {
    int8x16_t at[VECTORS];

    Weights(const PackedPointwise& w, int k, int n) {
        const s8* from = w.weights.get() + static_cast<std::ptrdiff_t>(k) * w.outputs + 4 * n;
        for (int v = 0; v < VECTORS; ++v) at[v] = vld1q_s8(from + 16 * v);
    }
};

// The stem's inputs, whose quads lie in three rows.
IN_REGISTERS void add_quads(const PackedPointwise& w, const u8* in, const Quads& row, int n, Sums& sums) {
    for (int k = 0; k < w.inputs; k += 4) {
        const Weights weights(w, k, n);
        for (int p = 0; p < PIXELS; ++p) {
            s32 bytes;
            std::memcpy(&bytes, in + p * row.pixel + k / 4 * row.quad, 4);
            const int8x16_t four = less128(vreinterpretq_u8_s32(vdupq_n_s32(bytes)));
            for (int v = 0; v < VECTORS; ++v) sums[p][v] = vdotq_s32(sums[p][v], weights.at[v], four);
        }
    }
}

template <int LANE>
IN_REGISTERS void add_lane(const PackedPointwise& w, const int8x16_t pixels[PIXELS], int k, int n, Sums& sums) {
    const Weights weights(w, k + 4 * LANE, n);
    for (int p = 0; p < PIXELS; ++p)
        for (int v = 0; v < VECTORS; ++v) sums[p][v] = vdotq_laneq_s32(sums[p][v], weights.at[v], pixels[p], LANE);
}

// 16 inputs of a pixel lie side by side: they are loaded once, and each dot product takes four of them.
IN_REGISTERS void add_sixteens(const PackedPointwise& w, const u8* in, std::ptrdiff_t pixel, int n, Sums& sums) {
    for (int k = 0; k < w.inputs; k += 16) {
        int8x16_t pixels[PIXELS];
        for (int p = 0; p < PIXELS; ++p) pixels[p] = less128(vld1q_u8(in + p * pixel + k));
        add_lane<0>(w, pixels, k, n, sums);
        add_lane<1>(w, pixels, k, n, sums);
        add_lane<2>(w, pixels, k, n, sums);
        add_lane<3>(w, pixels, k, n, sums);
    }
}

// What 16 outputs are made of their sums by: loaded once for the pixels of a block.
template <bool RESIDUAL>
struct Requantise {
    int32x4_t shift[VECTORS];  // to the left
    int16x8_t multiplier[2], residual[2];

    Requantise(const PackedPointwise& w, int n) {
        for (int v = 0; v < VECTORS; ++v) shift[v] = vnegq_s32(vld1q_s32(w.shift.get() + n + 4 * v));
        for (int half = 0; half < 2; ++half) {
            multiplier[half] = vld1q_s16(w.multiplier.get() + n + 8 * half);
            if (RESIDUAL) residual[half] = vld1q_s16(w.residual.get() + n + 8 * half);
        }
    }

    // 8 outputs of one pixel, with the module's input there if it counts.
    int16x8_t eight(const int32x4_t* sums, int half, uint8x8_t x) const {
        const int32x4_t low = vshlq_s32(sums[2 * half], shift[2 * half]);
        const int32x4_t high = vshlq_s32(sums[2 * half + 1], shift[2 * half + 1]);
        const int16x8_t t = vqmovn_high_s32(vqmovn_s32(low), high);
        if (!RESIDUAL) return vqrdmulhq_s16(t, multiplier[half]);
        const int16x8_t own = vqrdmulhq_s16(vmaxq_s16(t, vdupq_n_s16(0)), multiplier[half]);
        const int16x8_t wide = vreinterpretq_s16_u16(vshll_n_u8(x, 7));
        return vrshrq_n_s16(vqaddq_s16(own, vqrdmulhq_s16(wide, residual[half])), 6);
    }
};

template <bool RESIDUAL>
void block(const PackedPointwise& w, const u8* in, const Quads& row, int count, int n, const u8* residual, u8* out) {
    Sums sums;
    for (auto& pixel : sums)
        for (int v = 0; v < VECTORS; ++v) pixel[v] = vld1q_s32(w.bias.get() + n + 4 * v);
    if (row.quad == 4) {
        add_sixteens(w, in, row.pixel, n, sums);
    } else {
        add_quads(w, in, row, n, sums);
    }
    const Requantise<RESIDUAL> requantise(w, n);
    for (int p = 0; p < count; ++p) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(p) * w.outputs + n;
        const uint8x16_t x = RESIDUAL ? vld1q_u8(residual + at) : vdupq_n_u8(0);
        const int16x8_t first = requantise.eight(sums[p], 0, vget_low_u8(x));
        const int16x8_t second = requantise.eight(sums[p], 1, vget_high_u8(x));
        vst1q_u8(out + at, vqmovun_high_s16(vqmovun_s16(first), second));
    }
}

void pointwise(const PackedPointwise& w, const Quads& in, int width, const u8* residual, u8* out) {
    for (int n = 0; n < w.outputs; n += 4 * VECTORS)
        for (int x = 0; x < width; x += PIXELS) {
            const u8* from = in.first + x * in.pixel;
            const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(x) * w.outputs;
            const int count = std::min(PIXELS, width - x);
            if (residual) {
                block<true>(w, from, in, count, n, residual + at, out + at);
            } else {
                block<false>(w, from, in, count, n, nullptr, out + at);
            }
        }
}

int16x8_t eight(const u8* from) { return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from))); }

// 3, 1 parts.
int16x8_t weighed(int16x8_t near, int16x8_t far) { return vmlaq_n_s16(far, near, 3); }

// Bilinear doubling of a row, in sixteenths. `column` has room for a pixel before and after it.
void double_row(const u8* near, const u8* far, int half, int channels, s16* column, s16* out) {
    s16* at = column + channels;
    const int size = half * channels;
    for (int i = 0; i < size; i += 8) vst1q_s16(at + i, weighed(eight(near + i), eight(far + i)));
    std::memcpy(column, at, channels * sizeof(s16));
    std::memcpy(at + size, at + size - channels, channels * sizeof(s16));
    for (int x = 0; x < half; ++x, out += channels)
        for (int c = 0; c < channels; c += 8, at += 8, out += 8) {
            const int16x8_t here = vld1q_s16(at);
            vst1q_s16(out, weighed(here, vld1q_s16(at - channels)));
            vst1q_s16(out + channels, weighed(here, vld1q_s16(at + channels)));
        }
}

void add(const SummandRow* rows, int count, int width, int channels, Workspace& work, u8* out) {
    for (int i = 0; i < count; ++i)
        if (rows[i].far)
            double_row(rows[i].near, rows[i].far, width / 2, channels, work.column.get(), work.doubled[i].get());
    for (int x = 0; x < width; ++x)
        for (int c = 0; c < channels; c += 8) {
            const int at = x * channels + c;
            int16x8_t sum = vdupq_n_s16(0);
            for (int i = 0; i < count; ++i) {
                const int16x8_t value = rows[i].far ? vshlq_n_s16(vld1q_s16(work.doubled[i].get() + at), 3)
                                                    : vshlq_n_s16(eight(rows[i].near + at), 7);
                sum = vqaddq_s16(sum, vqrdmulhq_s16(value, vld1q_s16(rows[i].multiplier + c)));
            }
            vst1_u8(out + at, vqmovun_s16(vrshrq_n_s16(sum, 6)));
        }
}

s32 sum_of(const u8* pixel, const s16* weights, int inputs) {
    int32x4_t sums[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int c = 0; c < inputs; c += 8) {
        const int16x8_t values = eight(pixel + c), w = vld1q_s16(weights + c);
        sums[0] = vmlal_s16(sums[0], vget_low_s16(values), vget_low_s16(w));
        sums[1] = vmlal_high_s16(sums[1], values, w);
    }
    return vaddvq_s32(vaddq_s32(sums[0], sums[1]));
}

void head(const PackedHead& w, const u8* in, int width, float* logits, std::ptrdiff_t plane) {
    for (int n = 0; n < w.outputs; ++n, logits += plane)
        for (std::ptrdiff_t x = 0; x < width; ++x) {
            const s32 sum = sum_of(in + x * w.inputs, w.weights.get() + n * w.inputs, w.inputs);
            logits[x] = static_cast<float>(sum) * w.scale[n] + w.bias[n];
        }
}

}  // namespace

const Body NEON = {"neon",
                   Weave::QUADS,
                   128,
                   [] { return (getauxval(AT_HWCAP) & HAS_DOT_PRODUCT) != 0; },
                   pack,
                   depthwise,
                   pointwise,
                   add,
                   head};

}  // namespace trackside
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
