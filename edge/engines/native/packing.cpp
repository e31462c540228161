// Repeats and reorders weights, so that a vector of them fits any vector of a row.
#include "packing.hpp"

#include <numeric>

namespace trackside {
namespace {

template <class T>
Array<T> repeated(const std::vector<T>& from) {
    Array<T> to(from.size() + VECTOR);
    for (std::size_t i = 0; i < from.size() + VECTOR && !from.empty(); ++i) to[i] = from[i % from.size()];
    return to;
}

// Where channel `c` of a period lies when vectors split each 16 channels in two halves.
int halved(int c, int period) { return c % 16 / 8 * (period / 2) + c / 16 * 8 + c % 8; }

Array<s16> over_period(const std::vector<s16>& from, int period, bool halves) {
    Array<s16> to(period);
    for (int c = 0; c < period; ++c) to[halves ? halved(c, period) : c] = from[c % from.size()];
    return to;
}

// Five pairs of taps, each in a plane of the low and one of the high half: above and below in each of
// the three columns, left and right of the middle, and the middle with nothing.
Array<s8> in_pairs(const Branch& branch, int period) {
    Array<s8> to(10 * period);
    const int channels = static_cast<int>(branch.bias.size());
    constexpr int PAIRS[4][2] = {{0, 6}, {1, 7}, {2, 8}, {3, 5}};
    for (int c = 0; c < period; ++c) {
        const s8* filter = &branch.weights[9 * (c % channels)];
        s8* at = &to[2 * halved(c, period)];
        for (const auto& pair : PAIRS) {
            at[0] = filter[pair[0]];
            at[1] = filter[pair[1]];
            at += 2 * period;
        }
        at[0] = filter[4];
    }
    return to;
}

Array<s16> in_taps(const Branch& branch, int period) {
    Array<s16> to(9 * period);
    const int channels = static_cast<int>(branch.bias.size());
    for (int tap = 0; tap < 9; ++tap)
        for (int c = 0; c < period; ++c) to[tap * period + c] = branch.weights[9 * (c % channels) + tap];
    return to;
}

PackedBranches pack_branches(const Module& module, bool halves) {
    PackedBranches to;
    to.channels = static_cast<int>(module.mix.size());
    to.period = std::lcm(to.channels, VECTOR);
    for (const Branch& branch : module.branches) {
        std::vector<s16> low, high;
        for (s8 sign : branch.sign) {
            low.push_back(sign > 0 ? 0 : INT16_MIN);
            high.push_back(sign > 0 ? INT16_MAX : 0);
        }
        PackedBranch packed;
        if (halves) {
            packed.pairs = in_pairs(branch, to.period);
        } else {
            packed.taps = in_taps(branch, to.period);
        }
        packed.bias = over_period(branch.bias, to.period, halves);
        packed.low = over_period(low, to.period, halves);
        packed.high = over_period(high, to.period, halves);
        to.branches.push_back(std::move(packed));
    }
    to.mix = over_period(module.mix, to.period, halves);
    to.squeeze = over_period(module.squeeze, to.period, halves);
    return to;
}

PackedPointwise pack_pointwise(const Pointwise& from, const Body& body) {
    const Requantisation& r = from.requantisation;
    PackedPointwise to;
    to.inputs = from.inputs;
    to.outputs = from.outputs;
    to.bias = repeated(r.bias);
    to.shift = repeated(std::vector<s32>(r.shift.begin(), r.shift.end()));
    to.multiplier = repeated(r.multiplier);
    to.residual = repeated(r.residual);
    body.pack(from, to);
    return to;
}

}  // namespace

Packed pack(const Operation& operation, const Body& body) {
    Packed packed{};
    if (const auto* stem = std::get_if<Stem>(&operation)) {
        packed.pointwise.push_back(pack_pointwise(stem->weights, body));
    } else if (const auto* module = std::get_if<Module>(&operation)) {
        if (!module->branches.empty()) packed.branches = pack_branches(*module, body.halves);
        for (const Pointwise& pointwise : module->pointwise)
            packed.pointwise.push_back(pack_pointwise(pointwise, body));
    } else if (const auto* add = std::get_if<Add>(&operation)) {
        for (const Summand& summand : add->summands) packed.multipliers.push_back(repeated(summand.multiplier));
    }
    return packed;
}

}  // namespace trackside
