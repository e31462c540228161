// Pointwise convolution, and the stem, on ARM: blocks of four pixels and 16 outputs stay in registers.
//
// `Summed` says how a block's sums are made; what becomes of them is the same for all.
#pragma once

#include "body.hpp"

namespace trackside {
namespace {

constexpr int PIXELS = 4, VECTORS = 4;  // of a block: 16 sums of four
using Sums = int32x4_t[PIXELS][VECTORS];

void pack_requantisation(const Requantisation& from, PackedPointwise& to) {
    to.bias = copied<s32>(from.bias);
    to.shift = copied<s32>(from.shift);
    to.multiplier = copied<s16>(from.multiplier);
    to.residual = copied<s16>(from.residual);
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

// 16 outputs, from `n` on, of every pixel.
template <class Summed, bool RESIDUAL>
void along(const PackedPointwise& w, const Quads& in, int width, int n, const u8* residual, u8* out) {
    const Requantise<RESIDUAL> requantise(w, n);
    for (int x = 0; x < width; x += PIXELS) {
        Sums sums;
        Summed::sum(w, in.first + x * in.pixel, in, n, sums);
#pragma GCC unroll 4
        for (int p = 0; p < PIXELS; ++p) {
            if (x + p >= width) break;
            const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(x + p) * w.outputs + n;
            const uint8x16_t own = RESIDUAL ? vld1q_u8(residual + at) : vdupq_n_u8(0);
            const int16x8_t first = requantise.eight(sums[p], 0, vget_low_u8(own));
            const int16x8_t second = requantise.eight(sums[p], 1, vget_high_u8(own));
            vst1q_u8(out + at, vqmovun_high_s16(vqmovun_s16(first), second));
        }
    }
}

template <class Summed>
void pointwise(const PackedPointwise& w, const Quads& in, int width, const u8* residual, u8* out) {
    for (int n = 0; n < w.outputs; n += 4 * VECTORS)
        residual ? along<Summed, true>(w, in, width, n, residual, out)
                 : along<Summed, false>(w, in, width, n, residual, out);
}

}  // namespace
}  // namespace trackside
