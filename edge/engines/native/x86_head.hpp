// The head, over a vector type V: a pixel's products of 16 inputs at a time lie in its lane of 16 bytes.
//
// Of four vectors of pixels the lanes' four sums are added crosswise, so that one vector of logits comes of them.
#pragma once

#include <cstring>

#include "body.hpp"

namespace trackside {
namespace {

// A vector of pixels, each with four sums that are yet to be added.
template <class V>
typename V::Vector sums_of_pixels(const u8* pixels, const s16* weights, int inputs) {
    auto sum = V::zero();
    for (int c = 0; c < inputs; c += 16) {
        const auto x = inputs == 16 ? V::load(pixels) : V::load_lanes(pixels + c, inputs);
        sum = V::add_products16(sum, V::unpack_low8(x, V::zero()), V::load_lane(weights + c));
        sum = V::add_products16(sum, V::unpack_high8(x, V::zero()), V::load_lane(weights + c + 8));
    }
    return sum;
}

template <class V>
typename V::Vector sums_of_four(const u8* pixels, const s16* weights, int inputs) {
    typename V::Vector sums[4], pairs[2];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) sums[i] = sums_of_pixels<V>(pixels + i * (V::BYTES / 16) * inputs, weights, inputs);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)
        pairs[i] = V::add32(V::unpack_low32(sums[2 * i], sums[2 * i + 1]),
                            V::unpack_high32(sums[2 * i], sums[2 * i + 1]));
    return V::pixel_by_pixel4(
        V::add32(V::unpack_low64(pairs[0], pairs[1]), V::unpack_high64(pairs[0], pairs[1])));
}

template <class V>
void head(const PackedHead& packed, const u8* in, int width, float* logits, std::ptrdiff_t plane) {
    constexpr int PIXELS = V::BYTES / 4;
    for (int n = 0; n < packed.outputs; ++n, logits += plane) {
        const s16* weights = packed.weights.get() + n * packed.inputs;
        for (int x = 0; x < width; x += PIXELS) {
            const u8* pixels = in + static_cast<std::ptrdiff_t>(x) * packed.inputs;
            float made[PIXELS];
            float* to = x + PIXELS <= width ? logits + x : made;
            V::store_floats(to, sums_of_four<V>(pixels, weights, packed.inputs), packed.scale[n], packed.bias[n]);
            if (to == made) std::memcpy(logits + x, made, (width - x) * sizeof(float));
        }
    }
}

}  // namespace
}  // namespace trackside
