// Pointwise convolution of 16 inputs to 16 outputs, and the stem of 16: four pixels in a vector of 64 bytes.
//
// A lane of 16 bytes is a pixel, of its inputs as of its outputs. One load brings what four pixels' products
// take, a shuffle puts the same four inputs everywhere in a lane, and narrowing leaves the outputs where they
// are stored. So few weights stay in registers along the row, each repeated in every lane.
#pragma once

#include "x86_pointwise.hpp"
#include "zmm.hpp"

namespace trackside {
namespace {

// Inputs of four pixels from `x`, four of each in all of its lane: of pixels that are 16 inputs side by side.
struct SixteenInputs {
    static constexpr int QUADS = 4;
    const Quads& in;

    IN_REGISTERS void operator()(std::ptrdiff_t x, Zmm::Vector quads[QUADS]) const {
        const auto pixels = Zmm::load(in.first + 16 * x);
        quads[0] = Zmm::quad_of_lane<0>(pixels);
        quads[1] = Zmm::quad_of_lane<1>(pixels);
        quads[2] = Zmm::quad_of_lane<2>(pixels);
        quads[3] = Zmm::quad_of_lane<3>(pixels);
    }
};

// The same of an image's rows, of which each pixel's inputs begin two bytes after the one's before.
struct StemInputs {
    static constexpr int QUADS = 3;
    const Quads& in;

    IN_REGISTERS void operator()(std::ptrdiff_t x, Zmm::Vector quads[QUADS]) const {
#pragma GCC unroll 3
        for (int row = 0; row < QUADS; ++row)
            quads[row] = Zmm::quad_of_two_bytes_more(Zmm::load_lane(in.first + 2 * x + row * in.quad));
    }
};

template <class Inputs, bool RESIDUAL>
void along_lanes(const PackedPointwise& w, const Inputs& inputs, int width, const u8* residual, u8* out) {
    using Vector = Zmm::Vector;
    constexpr int QUADS = Inputs::QUADS;
    Vector weights[QUADS][4], bias[4], shift[4], multiplier[2], share[2];
    for (int j = 0; j < 4; ++j) {  // four outputs each
        for (int q = 0; q < QUADS; ++q) weights[q][j] = Zmm::load_lane(w.weights.get() + 64 * q + 16 * j);
        bias[j] = Zmm::load_lane(w.bias.get() + 4 * j);
        shift[j] = Zmm::load_lane(w.shift.get() + 4 * j);
    }
    s16 own[16], given[16];  // as the outputs lie: they are packed for whole vectors of sums
    for (int n = 0; n < 16; ++n) {
        const int slot = 8 * (n / 4) + n % 4;
        own[n] = w.multiplier.get()[slot];
        given[n] = w.residual.get()[slot];
    }
    for (int half = 0; half < 2; ++half) {
        multiplier[half] = Zmm::load_lane(own + 8 * half);
        share[half] = Zmm::load_lane(given + 8 * half);
    }
    const std::ptrdiff_t end = 16 * static_cast<std::ptrdiff_t>(width);
    for (std::ptrdiff_t x = 0; x < width; x += 4) {
        Vector quads[QUADS], t[4], y[2];
        inputs(x, quads);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
            Vector sum = bias[j];
#pragma GCC unroll 4
            for (int q = 0; q < QUADS; ++q) sum = Zmm::dot(sum, quads[q], weights[q][j]);
            t[j] = Zmm::shift_right32(sum, shift[j]);
        }
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            y[half] = Zmm::pack32(t[2 * half], t[2 * half + 1]);
            if constexpr (RESIDUAL) {
                const auto bytes = Zmm::load(residual + 16 * x);
                const auto given16 =
                    half ? Zmm::unpack_high8(bytes, Zmm::zero()) : Zmm::unpack_low8(bytes, Zmm::zero());
                y[half] = with_residual<Zmm>(y[half], multiplier[half], given16, share[half]);
            } else {
                y[half] = Zmm::scale16(y[half], multiplier[half]);
            }
        }
        put<Zmm>(out, 16 * x, end, Zmm::pack_positive16(y[0], y[1]));
    }
}

inline void pointwise_lanes(const PackedPointwise& w, const Quads& in, int width, const u8* residual, u8* out) {
    if (residual) {
        along_lanes<SixteenInputs, true>(w, {in}, width, residual, out);
    } else {
        along_lanes<SixteenInputs, false>(w, {in}, width, residual, out);
    }
}

inline void stem_lanes(const PackedPointwise& w, const Quads& in, int width, u8* out) {
    along_lanes<StemInputs, false>(w, {in}, width, nullptr, out);
}

}  // namespace
}  // namespace trackside
