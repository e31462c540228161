// The body for 64-bit ARM with dot products (Raspberry Pi 5, Jetson Orin; not Pi 4).
//
// Its dot product is of signed bytes: pixels are taken less 128, and 128 times the weights' sum is in the bias.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>

#include <cstddef>
#include <cstring>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#ifdef __clang__  // which reads GCC's pragma and lets it be
#pragma clang attribute push(__attribute__((target("arch=armv8.2-a+dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif
#include "neon_depthwise.hpp"
#include "neon_head.hpp"
#include "neon_pointwise.hpp"
#include "neon_sum.hpp"

namespace trackside {
namespace {

constexpr unsigned long HAS_DOT_PRODUCT = 1 << 20;  // HWCAP_ASIMDDP

void pack(const Pointwise& from, PackedPointwise& to) {
    const std::size_t inputs = from.inputs, outputs = from.outputs;
    pack_requantisation(from.requantisation, to);
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

struct Dots {
    static IN_REGISTERS void sum(const PackedPointwise& w, const u8* in, const Quads& row, int n, Sums& sums) {
        for (auto& pixel : sums)
            for (int v = 0; v < VECTORS; ++v) pixel[v] = vld1q_s32(w.bias.get() + n + 4 * v);
        if (row.quad == 4) {
            add_sixteens(w, in, row.pixel, n, sums);
        } else {
            add_quads(w, in, row, n, sums);
        }
    }
};

}  // namespace

const Body NEON = {"neon",
                   Weave::QUADS,
                   128,
                   [] { return (getauxval(AT_HWCAP) & HAS_DOT_PRODUCT) != 0; },
                   pack,
                   depthwise,
                   pointwise<Dots>,
                   add,
                   head};

}  // namespace trackside
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
