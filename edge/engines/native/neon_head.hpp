// The head on ARM: a pixel's products of eight inputs at a time, added across at its end.
#pragma once

#include "neon_sum.hpp"

namespace trackside {
namespace {

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
}  // namespace trackside
