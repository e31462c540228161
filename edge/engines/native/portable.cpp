// The body that any CPU runs: NUMERICS.md as plain loops, which compilers turn into vectors well.
#include <algorithm>
#include <cstring>

#include "body.hpp"

namespace trackside {
namespace {

inline s32 clamp(s32 value, s32 least, s32 most) { return std::min(std::max(value, least), most); }

inline s32 sat16(s32 value) { return clamp(value, INT16_MIN, INT16_MAX); }

inline s32 scaled(s32 a, s32 multiplier) { return (a * multiplier + (1 << 14)) >> 15; }

void pack(const Pointwise& from, PackedPointwise& to) {
    const std::size_t inputs = from.inputs;
    const Requantisation& r = from.requantisation;
    to.weights = Array<s8>(from.weights.size());
    for (std::size_t n = 0; n < static_cast<std::size_t>(from.outputs); ++n)
        for (std::size_t k = 0; k < inputs; ++k)
            to.weights[k * from.outputs + n] = from.weights[n * inputs + k];
    to.bias = copied<s32>(r.bias);
    to.shift = copied<s32>(r.shift);
    to.multiplier = copied<s16>(r.multiplier);
    to.residual = copied<s16>(r.residual);
}

void branch(const PackedBranches& weights, int index, const BranchRow& row, int size, s16* sums) {
    const PackedBranch& b = weights.branches[index];
    const int period = weights.period, stride = weights.stride;
    const int piece = stride == 1 ? period : weights.channels;  // what lies side by side
    for (int start = 0; start < size; start += piece) {
        const int count = std::min(piece, size - start);
        s16 z[4096];  // a period is at most that
        std::memcpy(z, b.bias.get(), count * sizeof(s16));
        for (int tap = 0; tap < 9; ++tap) {
            const u8* x = row.rows[tap / 3] + (tap % 3 - 1) * row.reach + stride * start;
            const s16* w = b.taps.get() + tap * period;
            for (int i = 0; i < count; ++i) z[i] = static_cast<s16>(z[i] + w[i] * x[i]);
        }
        for (int i = 0; i < count; ++i) {
            const s32 before = index ? sums[start + i] : weights.mix[i];
            sums[start + i] = static_cast<s16>(sat16(before + clamp(z[i], b.low[i], b.high[i])));
        }
    }
}

void depthwise(const PackedBranches& weights, const BranchRow* rows, int size, Workspace& work,
               u8* out) {
    s16* sums = work.sums.get();
    for (std::size_t i = 0; i < weights.branches.size(); ++i)
        branch(weights, static_cast<int>(i), rows[i], size, sums);
    for (int start = 0; start < size; start += weights.period)
        for (int i = 0; i < std::min(weights.period, size - start); ++i)
            out[start + i] = static_cast<u8>(clamp(scaled(sums[start + i], weights.squeeze[i]), 0, 255));
}

u8 requantised(const PackedPointwise& w, s32 sum, int n, const u8* residual) {
    const s32 t = sat16(sum >> w.shift[n]);
    if (!residual) return static_cast<u8>(clamp(scaled(t, w.multiplier[n]), 0, 255));
    const s32 own = scaled(std::max(t, 0), w.multiplier[n]);
    const s32 total = sat16(own + scaled(*residual << 7, w.residual[n]));
    return static_cast<u8>(clamp((total + 32) >> 6, 0, 255));
}

void pointwise(const PackedPointwise& w, const Quads& in, int width, const u8* residual, u8* out) {
    s32 sums[4096];
    for (std::ptrdiff_t x = 0; x < width; ++x, out += w.outputs) {
        std::memcpy(sums, w.bias.get(), w.outputs * sizeof(s32));
        const s8* row = w.weights.get();
        const u8* quad = in.first + x * in.pixel;
        for (int k = 0; k < w.inputs; k += 4, quad += in.quad)
            for (int i = 0; i < 4; ++i, row += w.outputs) {
                const s32 pixel = quad[i];
                for (int n = 0; n < w.outputs; ++n) sums[n] += row[n] * pixel;
            }
        for (int n = 0; n < w.outputs; ++n)
            out[n] = requantised(w, sums[n], n, residual ? residual + n : nullptr);
        if (residual) residual += w.outputs;
    }
}

// Bilinear doubling of a row, in sixteenths. `column` has room for a pixel before and after it.
void double_row(const u8* near, const u8* far, int half, int channels, s16* column, s16* out) {
    s16* first = column + channels;
    const int size = half * channels;
    for (int i = 0; i < size; ++i) first[i] = static_cast<s16>(3 * near[i] + far[i]);
    std::memcpy(column, first, channels * sizeof(s16));
    std::memcpy(first + size, first + size - channels, channels * sizeof(s16));
    for (int i = 0; i < size; ++i) {
        s16* even = out + 2 * i - i % channels;
        even[0] = static_cast<s16>(3 * first[i] + first[i - channels]);
        even[channels] = static_cast<s16>(3 * first[i] + first[i + channels]);
    }
}

void add(const SummandRow* rows, int count, int width, int channels, Workspace& work, u8* out) {
    const int size = width * channels;
    s16* sums = work.sums.get();
    std::memset(sums, 0, size * sizeof(s16));
    for (int i = 0; i < count; ++i) {
        const SummandRow& row = rows[i];
        s16* doubled = work.doubled[i].get();
        if (row.far) double_row(row.near, row.far, width / 2, channels, work.column.get(), doubled);
        for (int at = 0; at < size; ++at) {
            const s32 x = row.far ? doubled[at] << 3 : row.near[at] << 7;
            sums[at] = static_cast<s16>(sat16(sums[at] + scaled(x, row.multiplier[at % channels])));
        }
    }
    for (int at = 0; at < size; ++at) out[at] = static_cast<u8>(clamp((sums[at] + 32) >> 6, 0, 255));
}

void head(const PackedHead& w, const u8* in, int width, float* logits, std::ptrdiff_t plane) {
    for (int n = 0; n < w.outputs; ++n, logits += plane) {
        const s16* weights = w.weights.get() + n * w.inputs;
        for (std::ptrdiff_t x = 0; x < width; ++x) {
            s32 sum = 0;
            for (int c = 0; c < w.inputs; ++c) sum += weights[c] * in[x * w.inputs + c];
            logits[x] = static_cast<float>(sum) * w.scale[n] + w.bias[n];
        }
    }
}

}  // namespace

const Body PORTABLE = {"portable", Weave::TAPS, 0, [] { return true; }, pack, depthwise, pointwise, add, head};

}  // namespace trackside
