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

Array<s16> over_period(const std::vector<s16>& from, int period, Weave weave) {
    Array<s16> to(period);
    for (int c = 0; c < period; ++c) to[weave == Weave::TAPS ? c : halved(c, period)] = from[c % from.size()];
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

// What takes the side of z that is to be 0 beyond 16 bits: what is below 0, or above it.
s32 offset(s8 sign) { return sign > 0 ? INT16_MIN : INT16_MAX; }

Array<s16> in_taps(const Branch& branch, int period) {
    Array<s16> to(9 * period);
    const int channels = static_cast<int>(branch.bias.size());
    for (int tap = 0; tap < 9; ++tap)
        for (int c = 0; c < period; ++c) to[tap * period + c] = branch.weights[9 * (c % channels) + tap];
    return to;
}

// Columns of three taps, which a fourth of nothing makes quads, each in four planes.
void pack_quads(const Branch& branch, const PackedBranches& in, int zero, PackedBranch& to) {
    const int period = in.period;
    to.quads = Array<s8>(12 * period);
    to.wide_bias = Array<s32>(period);
    std::vector<s16> back;
    for (int c = 0; c < in.channels; ++c) back.push_back(static_cast<s16>(-offset(branch.sign[c])));
    for (int c = 0; c < period; ++c) {
        const int from = c % in.channels, slot = c % 16 / 4 * period / 4 + c / 16 * 4 + c % 4;
        const s8* filter = &branch.weights[9 * from];
        s32 sum = 0;
        for (int tap = 0; tap < 9; ++tap) {
            to.quads[tap % 3 * 4 * period + 4 * slot + tap / 3] = filter[tap];
            sum += filter[tap];
        }
        to.wide_bias[slot] = branch.bias[from] + zero * sum + (in.plain ? 0 : offset(branch.sign[from]));
    }
    to.back = over_period(back, period, Weave::QUADS);
}

void pack_clamped(const Branch& branch, int period, Weave weave, PackedBranch& to) {
    std::vector<s16> low, high;
    for (s8 sign : branch.sign) {
        low.push_back(sign > 0 ? 0 : INT16_MIN);
        high.push_back(sign > 0 ? INT16_MAX : 0);
    }
    to.bias = over_period(branch.bias, period, weave);
    to.low = over_period(low, period, weave);
    to.high = over_period(high, period, weave);
}

bool is_plain(const Module& module) {
    if (module.branches.size() != 1) return false;
    const auto& signs = module.branches[0].sign;
    return std::all_of(module.mix.begin(), module.mix.end(), [](s16 mix) { return mix == 0; }) &&
           std::all_of(signs.begin(), signs.end(), [](s8 sign) { return sign > 0; });
}

PackedBranches pack_branches(const Module& module, const Body& body) {
    PackedBranches to;
    to.channels = static_cast<int>(module.mix.size());
    to.period = std::lcm(to.channels, VECTOR);
    to.stride = static_cast<int>(module.stride);
    to.plain = is_plain(module);
    for (const Branch& branch : module.branches) {
        PackedBranch packed;
        switch (body.weave) {
            case Weave::QUADS: pack_quads(branch, to, body.zero, packed); break;
            case Weave::PAIRS: packed.pairs = in_pairs(branch, to.period); break;
            case Weave::TAPS: packed.taps = in_taps(branch, to.period); break;
        }
        if (body.weave != Weave::QUADS) pack_clamped(branch, to.period, body.weave, packed);
        to.branches.push_back(std::move(packed));
    }
    to.mix = over_period(module.mix, to.period, body.weave);
    to.squeeze = over_period(module.squeeze, to.period, body.weave);
    return to;
}

PackedPointwise pack_pointwise(const Pointwise& from, const Body& body) {
    PackedPointwise to;
    to.inputs = from.inputs;
    to.outputs = from.outputs;
    body.pack(from, to);
    return to;
}

}  // namespace

Packed pack(const Operation& operation, const Body& body) {
    Packed packed{};
    if (const auto* stem = std::get_if<Stem>(&operation)) {
        packed.pointwise.push_back(pack_pointwise(stem->weights, body));
    } else if (const auto* module = std::get_if<Module>(&operation)) {
        if (!module->branches.empty()) packed.branches = pack_branches(*module, body);
        for (const Pointwise& pointwise : module->pointwise)
            packed.pointwise.push_back(pack_pointwise(pointwise, body));
    } else if (const auto* add = std::get_if<Add>(&operation)) {
        for (const Summand& summand : add->summands) packed.multipliers.push_back(repeated(summand.multiplier));
    } else if (const auto* head = std::get_if<Head>(&operation)) {
        packed.head = {static_cast<int>(head->weights.size()) / head->outputs, head->outputs, repeated(head->weights),
                       head->scale, head->bias};
    }
    return packed;
}

}  // namespace trackside
