// The body for 64-bit ARM with products of matrices of bytes (Neoverse V1 and N2, Cortex-A510 to A715, Jetson Thor):
// that of neon.cpp, but that pointwise convolutions and the stem multiply two pixels by two outputs at a time.
//
// One instruction adds to four sums what eight inputs of two pixels make of the weights of two outputs, which is twice
// what a dot product of four bytes does. It takes pixels without a sign, so the bias is the network's own.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>

#include <cstddef>
#include <cstring>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#ifdef __clang__  // which reads GCC's pragma and lets it be
#pragma clang attribute push(__attribute__((target("arch=armv8.2-a+dotprod+i8mm"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod+i8mm")
#endif
#include "neon_pointwise.hpp"

namespace trackside {
namespace {

constexpr unsigned long HAS_MATRIX_PRODUCT = 1 << 13;  // HWCAP2_I8MM

// Eight inputs of an output lie side by side, then those of the next; inputs are filled up with weights of nothing.
void pack(const Pointwise& from, PackedPointwise& to) {
    const std::size_t inputs = from.inputs, outputs = from.outputs;
    pack_requantisation(from.requantisation, to);
    to.weights = Array<s8>((inputs + 7) / 8 * 8 * outputs);
    for (std::size_t n = 0; n < outputs; ++n)
        for (std::size_t k = 0; k < inputs; ++k)
            to.weights[(k / 8 * outputs + n) * 8 + k % 8] = from.weights[n * inputs + k];
}

constexpr int PAIRS = PIXELS / 2, COUPLES = 2 * VECTORS;  // of pixels, and of outputs
using PairedSums = int32x4_t[PAIRS][COUPLES];

// Eight inputs, from k on, of each pair of pixels.
IN_REGISTERS void add_eight(const PackedPointwise& w, const uint8x16_t pairs[PAIRS], int k, int n, PairedSums& sums) {
    const s8* weights = w.weights.get() + static_cast<std::ptrdiff_t>(k) * w.outputs + 8 * n;
    for (int couple = 0; couple < COUPLES; ++couple) {
        const int8x16_t two = vld1q_s8(weights + 16 * couple);
        for (int pair = 0; pair < PAIRS; ++pair)
            sums[pair][couple] = vusmmlaq_s32(sums[pair][couple], pairs[pair], two);
    }
}

uint8x16_t paired(uint64x2_t first, uint64x2_t second, bool high) {
    return vreinterpretq_u8_u64(high ? vzip2q_u64(first, second) : vzip1q_u64(first, second));
}

// 16 inputs of a pixel lie side by side.
IN_REGISTERS void add_sixteens(const PackedPointwise& w, const u8* in, std::ptrdiff_t pixel, int n, PairedSums& sums) {
    for (int k = 0; k < w.inputs; k += 16) {
        uint8x16_t low[PAIRS], high[PAIRS];
        for (int pair = 0; pair < PAIRS; ++pair) {
            const u8* from = in + 2 * pair * pixel + k;
            const uint64x2_t first = vreinterpretq_u64_u8(vld1q_u8(from));
            const uint64x2_t second = vreinterpretq_u64_u8(vld1q_u8(from + pixel));
            low[pair] = paired(first, second, false);
            high[pair] = paired(first, second, true);
        }
        add_eight(w, low, k, n, sums);
        add_eight(w, high, k + 8, n, sums);
    }
}

// The stem's inputs, whose quads lie in three rows. After the last of an odd count it comes again, and weighs nothing.
IN_REGISTERS void add_quads(const PackedPointwise& w, const u8* in, const Quads& row, int n, PairedSums& sums) {
    const int last = w.inputs / 4 - 1;
    for (int quad = 0; quad <= last; quad += 2) {
        uint8x16_t pairs[PAIRS];
        for (int pair = 0; pair < PAIRS; ++pair) {
            u8 bytes[16];
            for (int p = 0; p < 2; ++p) {
                const u8* from = in + (2 * pair + p) * row.pixel;
                std::memcpy(bytes + 8 * p, from + quad * row.quad, 4);
                std::memcpy(bytes + 8 * p + 4, from + std::min(quad + 1, last) * row.quad, 4);
            }
            pairs[pair] = vld1q_u8(bytes);
        }
        add_eight(w, pairs, 4 * quad, n, sums);
    }
}

struct MatrixProducts {
    static IN_REGISTERS void sum(const PackedPointwise& w, const u8* in, const Quads& row, int n, Sums& sums) {
        PairedSums paired;
        for (int v = 0; v < VECTORS; ++v) {
            const int64x2_t bias = vreinterpretq_s64_s32(vld1q_s32(w.bias.get() + n + 4 * v));
            for (auto& pair : paired) {
                pair[2 * v] = vreinterpretq_s32_s64(vzip1q_s64(bias, bias));
                pair[2 * v + 1] = vreinterpretq_s32_s64(vzip2q_s64(bias, bias));
            }
        }
        if (row.quad == 4) {
            add_sixteens(w, in, row.pixel, n, paired);
        } else {
            add_quads(w, in, row, n, paired);
        }
        for (int pair = 0; pair < PAIRS; ++pair)
            for (int v = 0; v < VECTORS; ++v) {
                const int64x2_t a = vreinterpretq_s64_s32(paired[pair][2 * v]);
                const int64x2_t b = vreinterpretq_s64_s32(paired[pair][2 * v + 1]);
                sums[2 * pair][v] = vreinterpretq_s32_s64(vzip1q_s64(a, b));
                sums[2 * pair + 1][v] = vreinterpretq_s32_s64(vzip2q_s64(a, b));
            }
    }
};

bool supported() { return NEON.supported() && (getauxval(AT_HWCAP2) & HAS_MATRIX_PRODUCT) != 0; }

}  // namespace

const Body I8MM = {"i8mm", NEON.weave, NEON.zero, supported, pack, NEON.depthwise, pointwise<MatrixProducts>,
                   NEON.add, NEON.head};

}  // namespace trackside
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
