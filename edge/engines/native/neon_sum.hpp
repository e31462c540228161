// Sums of tensors on ARM, those of half the size doubled.
#pragma once

#include <cstring>

#include "body.hpp"

namespace trackside {
namespace {

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

}  // namespace
}  // namespace trackside
