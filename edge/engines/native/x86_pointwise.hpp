// Pointwise convolution, and the stem, over a vector type V with dot products of four bytes.
//
// Blocks of PX pixels times NB vectors of 32-bit sums stay in registers: sixteen sums, so that every
// width of 16, 8 or 4 pixels is whole blocks. Narrowing to bytes weaves within lanes of 16 bytes, and
// the outputs are packed in such an order that four vectors of one pixel come out of it in place; two
// vectors each of two pixels, or one each of four, want one permutation more.
#pragma once

#include <algorithm>
#include <cstring>

#include "body.hpp"

namespace trackside {
namespace {

constexpr s16 SIXTY_FOURTH = 1 << 9;  // as a multiplier it is (a + 32) >> 6

// Stores a vector of outputs, or what of it lies in the row.
template <class V>
void put(u8* out, std::ptrdiff_t at, std::ptrdiff_t end, typename V::Vector y) {
    if (at + V::BYTES <= end) {
        V::store(out + at, y);
    } else if (at < end) {
        alignas(64) u8 rest[V::BYTES];
        V::store(rest, y);
        std::memcpy(out + at, rest, end - at);
    }
}

// How outputs lie in vectors of BYTES: as many times BYTES as there are, and a half or a quarter left.
template <int BYTES>
struct Order {
    int outputs, whole = outputs / BYTES * BYTES;

    // The output whose sum is in a slot.
    int summed(int slot) const {
        constexpr int SUMS = BYTES / 4;
        const int base = slot < whole ? slot / BYTES * BYTES : whole;
        const int vectors = slot < whole ? 4 : (outputs - whole) / SUMS;
        const int vector = (slot - base) / SUMS, lane = slot % SUMS / 4;
        return base + 4 * vectors * lane + 4 * vector + slot % 4;
    }

    // The output whose 16 bits are in a slot once two vectors of sums are packed into one.
    int packed(int slot) const {
        constexpr int HALF = BYTES / 2;
        const int i = slot % BYTES, lane = i % HALF / 8;
        if (slot < whole) return slot - i + 16 * lane + i / HALF * 8 + i % 8;
        return whole + (outputs - whole == HALF ? i : 4 * lane + i % 4);
    }

    int packed_slots() const { return whole + (whole < outputs ? BYTES / 2 : 0); }
};

// Quads of inputs, then outputs, as the dot products of four bytes want them.
template <int BYTES>
void pack_pointwise(const Pointwise& from, PackedPointwise& to) {
    const Requantisation& r = from.requantisation;
    const Order<BYTES> order{from.outputs};
    const std::size_t inputs = from.inputs, outputs = from.outputs;
    to.weights = Array<s8>(inputs * outputs);
    to.bias = Array<s32>(outputs);
    to.shift = Array<s32>(outputs);
    for (int slot = 0; slot < from.outputs; ++slot) {
        const std::size_t n = order.summed(slot);
        for (std::size_t k = 0; k < inputs; k += 4)
            std::memcpy(&to.weights[k * outputs + 4 * slot], &from.weights[n * inputs + k], 4);
        to.bias[slot] = r.bias[n];
        to.shift[slot] = r.shift[n];
    }
    to.multiplier = Array<s16>(order.packed_slots());
    to.residual = Array<s16>(order.packed_slots());
    for (int slot = 0; slot < order.packed_slots(); ++slot) {
        to.multiplier[slot] = r.multiplier[order.packed(slot)];
        if (!r.residual.empty()) to.residual[slot] = r.residual[order.packed(slot)];
    }
}

// 16 bits of own sums, scaled, with their share of the residual, which is widened.
template <class V>
typename V::Vector with_residual(typename V::Vector t, typename V::Vector multiplier, typename V::Vector x,
                                 typename V::Vector share) {
    const auto own = V::scale16(V::max16(t, V::zero()), multiplier);
    const auto given = V::scale16(V::template shift_left16<7>(x), share);
    return V::scale16(V::add_saturated16(own, given), V::all16(SIXTY_FOURTH));
}

template <class V>
typename V::Vector requantised(const PackedPointwise& w, typename V::Vector sums0, typename V::Vector sums1,
                               const typename V::Vector* x, int slot) {
    const auto t = V::pack32(sums0, sums1);
    const auto multiplier = V::load(w.multiplier.get() + slot);
    if (!x) return V::scale16(t, multiplier);
    return with_residual<V>(t, multiplier, *x, V::load(w.residual.get() + slot));
}

// The residual of a vector of outputs at `from`, widened, in the two halves that `pack32` makes of their sums.
template <class V, int NB>
void widen_residual(const u8* from, int outputs, typename V::Vector x[2]) {
    if constexpr (NB == 2) {
        x[0] = V::widen(from);
        x[1] = V::widen(from + outputs);
    } else {
        auto bytes = V::load(from);
        if constexpr (NB == 1) bytes = V::pixel_by_pixel4(bytes);
        x[0] = V::unpack_low8(bytes, V::zero());
        x[1] = V::unpack_high8(bytes, V::zero());
    }
}

// Four vectors of sums, of one pixel (NB 4), two or four from `pixel`, become one of outputs.
template <class V, int NB>
void finish(const PackedPointwise& w, const typename V::Vector* sums, int pixel, int width, int first,
            const u8* residual, u8* out) {
    if (pixel >= width) return;
    constexpr int HALF = V::BYTES / 2;
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(pixel) * w.outputs + first;
    typename V::Vector t[4], x[2];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j)
        t[j] = V::shift_right32(sums[j], V::load(w.shift.get() + first + j % NB * (V::BYTES / 4)));
    if (residual) widen_residual<V, NB>(residual + at, w.outputs, x);
    const auto low = requantised<V>(w, t[0], t[1], residual ? &x[0] : nullptr, first);
    const auto high = requantised<V>(w, t[2], t[3], residual ? &x[1] : nullptr, NB == 4 ? first + HALF : first);
    const auto y = V::pack_positive16(low, high);
    if constexpr (NB == 4) {
        V::store(out + at, y);
    } else if constexpr (NB == 2) {
        const auto two = V::pixel_by_pixel2(y);
        V::store_low(out + at, two);
        if (pixel + 1 < width) V::store_high(out + at + w.outputs, two);
    } else {
        put<V>(out, at, static_cast<std::ptrdiff_t>(width) * w.outputs, V::pixel_by_pixel4(y));
    }
}

// PX pixels from `x`, NB vectors of outputs from `first`.
template <class V, int PX, int NB>
void block(const PackedPointwise& w, const Quads& in, int x, int width, int first, const u8* residual, u8* out) {
    constexpr int SUMS = V::BYTES / 4;
    typename V::Vector sums[PX * NB];
#pragma GCC unroll 16
    for (int i = 0; i < PX * NB; ++i) sums[i] = V::load(w.bias.get() + first + i % NB * SUMS);
    const u8* from = in.first + x * in.pixel;
    const s8* weights = w.weights.get() + 4 * first;
    for (int k = 0; k < w.inputs; k += 4, from += in.quad, weights += 4 * w.outputs) {
        typename V::Vector columns[NB];
#pragma GCC unroll 4
        for (int b = 0; b < NB; ++b) columns[b] = V::load(weights + b * V::BYTES);
#pragma GCC unroll 16
        for (int p = 0; p < PX; ++p) {
            s32 bytes;
            std::memcpy(&bytes, from + p * in.pixel, 4);
            const auto four = V::broadcast(bytes);
#pragma GCC unroll 4
            for (int b = 0; b < NB; ++b) sums[p * NB + b] = V::dot(sums[p * NB + b], four, columns[b]);
        }
    }
    // Without this gcc keeps a copy of every sum in memory up to date inside the loop.
#pragma GCC unroll 16
    for (int i = 0; i < PX * NB; ++i) asm("" : "+v"(sums[i]));
#pragma GCC unroll 4
    for (int group = 0; group < PX * NB / 4; ++group)
        finish<V, NB>(w, sums + 4 * group, x + 4 * group / NB, width, first, residual, out);
}

// The last block overlaps the one before it: the same outputs are computed twice.
template <class V, int PX, int NB>
void along(const PackedPointwise& w, const Quads& in, int width, int first, const u8* residual, u8* out) {
    for (int x = 0; x < width; x += PX)
        block<V, PX, NB>(w, in, std::max(0, std::min(x, width - PX)), width, first, residual, out);
}

// For vectors of 32 bytes and 16 registers.
template <class V>
void pointwise_ymm(const PackedPointwise& w, const Quads& in, int width, const u8* residual, u8* out) {
    if (w.outputs % 32) {
        along<V, 4, 2>(w, in, width, 0, residual, out);
    } else {
        for (int n = 0; n < w.outputs; n += 32) along<V, 2, 4>(w, in, width, n, residual, out);
    }
}

}  // namespace
}  // namespace trackside
