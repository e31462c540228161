// The body for 64-bit ARM with dot products (Raspberry Pi 5, Jetson Orin; not Pi 4).
//
// Its dot product is of signed bytes: activations are taken less 128, and 128 times the weights' sum
// is in the bias. Depthwise weights stay in registers along the row, as in the x86 bodies.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")

#include <algorithm>
#include <cstring>

namespace trackside {
namespace {

constexpr unsigned long HAS_DOT_PRODUCT = 1 << 20;  // HWCAP_ASIMDDP

void pack(const Pointwise& from, PackedPointwise& to) {
    const std::size_t inputs = from.inputs, outputs = from.outputs;
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

// 8 channels of a branch.
struct Eight {
    int16x8_t weights[9], bias, low, high;

    Eight(const PackedBranch& branch, int period, int at)
        : bias(vld1q_s16(branch.bias.get() + at)),
          low(vld1q_s16(branch.low.get() + at)),
          high(vld1q_s16(branch.high.get() + at)) {
        for (int tap = 0; tap < 9; ++tap) weights[tap] = vld1q_s16(branch.taps.get() + tap * period + at);
    }

    int16x8_t operator()(const u8* const* taps, int at) const {
        int16x8_t z = bias;
        for (int tap = 0; tap < 9; ++tap)
            z = vmlaq_s16(z, vreinterpretq_s16_u16(vmovl_u8(vld1_u8(taps[tap] + at))), weights[tap]);
        return vminq_s16(vmaxq_s16(z, low), high);
    }
};

void depthwise(const PackedBranches& weights, const BranchRow* rows, int size, Workspace& work, u8* out) {
    s16* sums = work.sums.get();
    const std::size_t last = weights.branches.size() - 1;
    for (std::size_t i = 0; i <= last; ++i) {
        const u8* taps[9];
        for (int tap = 0; tap < 9; ++tap) {
            const Tap& column = rows[i].taps[tap % 3];
            taps[tap] = rows[i].rows[tap / 3][column.source] + column.offset;
        }
        for (int phase = 0; phase < weights.period; phase += 8) {
            const Eight eight(weights.branches[i], weights.period, phase);
            const int16x8_t mix = vld1q_s16(weights.mix.get() + phase);
            const int16x8_t squeeze = vld1q_s16(weights.squeeze.get() + phase);
            for (int at = phase; at < size; at += weights.period) {
                const int16x8_t before = i == 0 ? mix : vld1q_s16(sums + at);
                const int16x8_t sum = vqaddq_s16(before, eight(taps, at));
                vst1q_s16(sums + at, sum);
                if (i == last) vst1_u8(out + at, vqmovun_s16(vqrdmulhq_s16(sum, squeeze)));
            }
        }
    }
}

// 8 outputs of one pixel, from two sums of four.
uint8x8_t requantised(const PackedPointwise& w, int32x4_t a, int32x4_t b, int n, const u8* residual) {
    const int32x4_t shift_a = vnegq_s32(vld1q_s32(w.shift.get() + n));
    const int32x4_t shift_b = vnegq_s32(vld1q_s32(w.shift.get() + n + 4));
    const int16x8_t t = vcombine_s16(vqmovn_s32(vshlq_s32(a, shift_a)), vqmovn_s32(vshlq_s32(b, shift_b)));
    const int16x8_t multiplier = vld1q_s16(w.multiplier.get() + n);
    if (!residual) return vqmovun_s16(vqrdmulhq_s16(t, multiplier));
    const int16x8_t own = vqrdmulhq_s16(vmaxq_s16(t, vdupq_n_s16(0)), multiplier);
    const int16x8_t x = vreinterpretq_s16_u16(vshll_n_u8(vld1_u8(residual), 7));
    const int16x8_t total = vqaddq_s16(own, vqrdmulhq_s16(x, vld1q_s16(w.residual.get() + n)));
    return vqmovun_s16(vrshrq_n_s16(total, 6));
}

constexpr int PIXELS = 4, VECTORS = 4;  // of a block: 16 sums in registers

void block(const PackedPointwise& w, const u8* in, int count, int n, const u8* residual, u8* out) {
    int32x4_t sums[PIXELS][VECTORS];
    for (auto& pixel : sums)
        for (int v = 0; v < VECTORS; ++v) pixel[v] = vld1q_s32(w.bias.get() + n + 4 * v);
    for (int k = 0; k < w.inputs; k += 4) {
        const s8* weights = w.weights.get() + static_cast<std::ptrdiff_t>(k) * w.outputs + 4 * n;
        int8x16_t columns[VECTORS];
        for (int v = 0; v < VECTORS; ++v) columns[v] = vld1q_s8(weights + 16 * v);
        for (int p = 0; p < PIXELS; ++p) {
            s32 bytes;
            std::memcpy(&bytes, in + p * w.inputs + k, 4);
            const uint8x16_t four = vreinterpretq_u8_s32(vdupq_n_s32(bytes));
            const int8x16_t less128 = vreinterpretq_s8_u8(veorq_u8(four, vdupq_n_u8(0x80)));
            for (int v = 0; v < VECTORS; ++v) sums[p][v] = vdotq_s32(sums[p][v], columns[v], less128);
        }
    }
    for (int p = 0; p < count; ++p)
        for (int v = 0; v < VECTORS; v += 2) {
            const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(p) * w.outputs + n + 4 * v;
            vst1_u8(out + at, requantised(w, sums[p][v], sums[p][v + 1], n + 4 * v, residual ? residual + at : nullptr));
        }
}

void pointwise(const PackedPointwise& w, const u8* in, int width, const u8* residual, u8* out) {
    for (int n = 0; n < w.outputs; n += 4 * VECTORS)
        for (int x = 0; x < width; x += PIXELS) {
            const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(x) * w.outputs;
            block(w, in + static_cast<std::ptrdiff_t>(x) * w.inputs, std::min(PIXELS, width - x), n,
                  residual ? residual + at : nullptr, out + at);
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

}  // namespace

const Body NEON = {"neon", false, [] { return (getauxval(AT_HWCAP) & HAS_DOT_PRODUCT) != 0; },
                   pack, depthwise, pointwise, add};

}  // namespace trackside
#pragma GCC pop_options
#endif
