// Places tensors, packs weights, and walks the operations row by row.
#include "network.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace trackside {
namespace {

constexpr int SLACK = 16;        // pixels that a pointwise kernel may read beyond a row
constexpr int IMAGE_BORDER = 8;  // pixels beside the image's rows; the stem reads one and three

template <class T>
Array<T> repeated(const std::vector<T>& from, std::size_t count) {
    Array<T> to(count);
    for (std::size_t i = 0; i < count && !from.empty(); ++i) to[i] = from[i % from.size()];
    return to;
}

// Where channel `c` of a period lies when vectors split each 16 channels in two halves.
int halved(int c, int period) { return c % 16 / 8 * (period / 2) + c / 16 * 8 + c % 8; }

Array<s16> in_halves(const std::vector<s16>& from, int period, bool halves) {
    Array<s16> to(period);
    for (int c = 0; c < period; ++c) to[halves ? halved(c, period) : c] = from[c % from.size()];
    return to;
}

}  // namespace

Network::Network(Program program, int height, int width, const Body& body)
    : program_(std::move(program)), height_(height), width_(width), body_(body) {
    if (height < 32 || width < 32 || height % 32 || width % 32 || height > 16384 || width > 16384)
        throw BadSize("it takes heights and widths that are multiples of 32, from 32 to 16384, not " +
                      std::to_string(height) + "x" + std::to_string(width));
    place_tensors();
    pack_weights();
    reserve_workspace();
}

void Network::place_tensors() {
    for (const Tensor& tensor : program_.tensors) {
        Map map{tensor.channels, tensor.level, height_ >> tensor.level, width_ >> tensor.level, 0, {}};
        map.stride = static_cast<std::ptrdiff_t>(map.width + BORDER) * map.channels;
        maps_.push_back(map);
    }
    // A tensor gets the memory of one of its own shape that nobody reads any more: caches stay warm,
    // and the borders stay zero.
    std::vector<std::size_t> last_use(maps_.size());
    const auto& operations = program_.operations;
    const auto reads = [](const Operation& operation) {
        std::vector<u32> tensors;
        if (const auto* module = std::get_if<Module>(&operation)) {
            tensors.push_back(module->input);
            if (module->residual != NONE) tensors.push_back(module->residual);
        } else if (const auto* add = std::get_if<Add>(&operation)) {
            for (const Summand& summand : add->summands) tensors.push_back(summand.tensor);
        } else if (const auto* head = std::get_if<Head>(&operation)) {
            tensors.push_back(head->input);
        }
        return tensors;
    };
    for (std::size_t i = 0; i < operations.size(); ++i)
        for (u32 tensor : reads(operations[i])) last_use[tensor] = i;
    std::map<std::pair<int, int>, std::vector<std::shared_ptr<Array<u8>>>> unused;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if (const auto* head = std::get_if<Head>(&operations[i])) {
            head_level_ = maps_[head->input].level;
            break;
        }
        u32 output = 0;
        if (const auto* stem = std::get_if<Stem>(&operations[i])) output = stem->output;
        if (const auto* module = std::get_if<Module>(&operations[i])) output = module->output;
        if (const auto* add = std::get_if<Add>(&operations[i])) output = add->output;
        Map& map = maps_[output];
        if (!map.memory) {
            auto& free = unused[{map.level, map.channels}];
            if (free.empty()) {
                free.push_back(std::make_shared<Array<u8>>(
                    map.height * map.stride + (BORDER + SLACK) * map.channels));
            }
            map.memory = free.back();
            free.pop_back();
        }
        for (u32 tensor : reads(operations[i])) {
            auto& free = unused[{maps_[tensor].level, maps_[tensor].channels}];
            const auto& memory = maps_[tensor].memory;
            if (last_use[tensor] == i && std::find(free.begin(), free.end(), memory) == free.end())
                free.push_back(memory);
        }
    }
}

void Network::pack_weights() {
    for (const Operation& operation : program_.operations) {
        Packed packed{};
        if (const auto* stem = std::get_if<Stem>(&operation)) {
            packed.pointwise.push_back(pack_pointwise(stem->weights));
        } else if (const auto* module = std::get_if<Module>(&operation)) {
            if (!module->branches.empty()) packed.branches = pack_branches(*module);
            for (const Pointwise& pointwise : module->pointwise)
                packed.pointwise.push_back(pack_pointwise(pointwise));
        } else if (const auto* add = std::get_if<Add>(&operation)) {
            for (const Summand& summand : add->summands)
                packed.multipliers.push_back(repeated(summand.multiplier, summand.multiplier.size() + VECTOR));
        }
        packed_.push_back(std::move(packed));
    }
}

PackedBranches Network::pack_branches(const Module& module) const {
    PackedBranches to;
    to.channels = maps_[module.input].channels;
    to.period = std::lcm(to.channels, VECTOR);
    const bool halves = body_.halves;
    for (const Branch& branch : module.branches) {
        PackedBranch packed;
        const int period = to.period;
        packed.weights = Array<s8>(12 * period);
        packed.plain = Array<s16>(9 * period);
        std::vector<s16> low(to.channels), high(to.channels);
        for (int c = 0; c < period; ++c) {
            const s8* filter = &branch.weights[9 * (c % to.channels)];
            const int pair = 2 * (c / 16 * 8 + c % 8), plane = c % 16 / 8;
            for (int tap = 0; tap < 3; ++tap) {
                s8* planes = &packed.weights[4 * tap * period];
                planes[plane * period + pair] = filter[tap];
                planes[plane * period + pair + 1] = filter[6 + tap];
                planes[(2 + plane) * period + pair] = filter[3 + tap];
            }
            for (int tap = 0; tap < 9; ++tap) packed.plain[tap * period + c] = filter[tap];
        }
        for (int c = 0; c < to.channels; ++c)
            (branch.sign[c] > 0 ? high[c] : low[c]) = branch.sign[c] > 0 ? INT16_MAX : INT16_MIN;
        packed.bias = in_halves(branch.bias, period, halves);
        packed.low = in_halves(low, period, halves);
        packed.high = in_halves(high, period, halves);
        to.branches.push_back(std::move(packed));
    }
    to.mix = in_halves(module.mix, to.period, halves);
    to.squeeze = in_halves(module.squeeze, to.period, halves);
    return to;
}

PackedPointwise Network::pack_pointwise(const Pointwise& from) const {
    const Requantisation& r = from.requantisation;
    const std::size_t count = from.outputs + VECTOR;
    PackedPointwise to;
    to.inputs = from.inputs;
    to.outputs = from.outputs;
    to.bias = repeated(r.bias, count);
    to.shift = repeated(std::vector<s32>(r.shift.begin(), r.shift.end()), count);
    to.multiplier = repeated(r.multiplier, count);
    to.residual = repeated(r.residual, count);
    to.has_residual = !r.residual.empty();
    body_.pack(from, to);
    return to;
}

void Network::reserve_workspace() {
    std::size_t row = 0, channels = 0, pixels = width_;
    for (const Map& map : maps_) {
        row = std::max<std::size_t>(row, map.width * map.channels);
        channels = std::max<std::size_t>(channels, map.channels);
    }
    const std::size_t bordered = row + 2 * BORDER * channels;
    const std::size_t slack = SLACK * channels;
    work_.plane = static_cast<int>((bordered + VECTOR - 1) / VECTOR * VECTOR);
    for (int s = 0; s < 2; ++s) {
        work_.pairs[s] = Array<u8>(2 * work_.plane);
        work_.singles[s] = Array<u8>(2 * work_.plane);
    }
    work_.sums = Array<s16>(row + slack);
    image_ = Array<u8>((height_ + 2) * (pixels + IMAGE_BORDER));
    middle_ = Array<u8>(std::max(row, pixels / 2 * 12) + slack);
    zeros_ = Array<u8>(bordered + slack);
    slice_ = Array<u8>(row + slack);
    split_ = Array<u8>(6 * bordered);
    work_.column = Array<s16>(row + slack);
    for (Array<s16>& doubled : work_.doubled) doubled = Array<s16>(row + slack);
}

void Network::run(const u8* pixels, float* logits) {
    logits_ = logits;
    const std::size_t stride = width_ + IMAGE_BORDER;
    std::memset(image_.get(), program_.padding, (height_ + 2) * stride);
    for (int y = 0; y < height_; ++y)
        std::memcpy(image_.get() + (y + 1) * stride + 1, pixels + static_cast<std::ptrdiff_t>(y) * width_, width_);
    for (std::size_t i = 0; i < packed_.size(); ++i)
        std::visit([&](const auto& operation) { run(operation, packed_[i]); }, program_.operations[i]);
}

void Network::run(const Stem& stem, const Packed& packed) {
    const Map& out = maps_[stem.output];
    const std::ptrdiff_t stride = width_ + IMAGE_BORDER;
    for (int y = 0; y < out.height; ++y) {
        const u8* from = image_.get() + 2 * y * stride;
        u8* patch = middle_.get();
        for (int x = 0; x < out.width; ++x, patch += 12)
            for (int row = 0; row < 3; ++row) std::memcpy(patch + 4 * row, from + row * stride + 2 * x, 4);
        body_.pointwise(packed.pointwise[0], middle_.get(), out.width, nullptr, out.row(y));
    }
}

void Network::run(const Module& module, const Packed& packed) {
    const Map &in = maps_[module.input], &out = maps_[module.output];
    const int size = out.width * in.channels;
    const int whole_vectors = (size + VECTOR - 1) / VECTOR * VECTOR;
    // What an operation before this one left beside its rows is this one's border.
    const int border = BORDER * in.channels;
    for (int s = 0; s < 2; ++s)
        for (Array<u8>* planes : {&work_.pairs[s], &work_.singles[s]})
            for (u8* plane : {planes->get(), planes->get() + work_.plane}) {
                std::memset(plane, 0, border);
                std::memset(plane + border + size, 0, border);
            }
    BranchRow rows[4];
    for (int y = 0; y < out.height; ++y) {
        const u8* made = in.row(y);
        int channels = in.channels;
        if (!module.branches.empty()) {
            branch_rows(module, y, rows);
            body_.depthwise(packed.branches, rows, whole_vectors, work_, middle_.get());
            made = middle_.get();
        }
        for (const PackedPointwise& pointwise : packed.pointwise) {
            const u8* residual = module.residual == NONE ? nullptr : maps_[module.residual].row(y);
            channels = pointwise.outputs;
            u8* to = channels == out.channels ? out.row(y) : slice_.get();
            body_.pointwise(pointwise, made, out.width, residual, to);
            made = to;
        }
        if (made != out.row(y)) copy_slice(made, channels, out, y, module.offset);
    }
}

void Network::copy_slice(const u8* from, int channels, const Map& out, int y, int offset) {
    u8* pixel = out.row(y) + offset;
    for (int x = 0; x < out.width; ++x, pixel += out.channels, from += channels)
        std::memcpy(pixel, from, channels);
}

const u8* Network::row_or_zeros(const Map& map, int y) const {
    return y >= 0 && y < map.height ? map.row(y) : zeros_.get() + BORDER * map.channels;
}

void Network::branch_rows(const Module& module, int y, BranchRow* rows) {
    const Map& in = maps_[module.input];
    for (const Branch& branch : module.branches) {
        const int reach = branch.dilation * in.channels;
        *rows = {{}, {{0, -reach}, {0, 0}, {0, reach}}};
        if (module.stride == 2) {
            *rows = {{}, {{1, -in.channels}, {0, 0}, {1, 0}}};
        }
        for (int r = 0; r < 3; ++r) {
            const int from = static_cast<int>(module.stride) * y + (r - 1) * branch.dilation;
            if (module.stride == 1) {
                rows->rows[r][0] = row_or_zeros(in, from);
            } else {
                rows->rows[r][0] = split_row(in, from, r);
                rows->rows[r][1] = rows->rows[r][0] + in.width / 2 * in.channels + BORDER * in.channels;
            }
        }
        ++rows;
    }
}

// A row's even pixels, then a border, then its odd ones: each as dense as a row of stride 1.
const u8* Network::split_row(const Map& from, int y, int slot) {
    const std::size_t channels = from.channels, half = from.width / 2 * channels, border = BORDER * channels;
    u8* even = split_.get() + slot * 2 * (half + border) + border;
    u8* odd = even + half + border;
    const u8* row = row_or_zeros(from, y);
    std::memset(odd - border, 0, border);
    for (int x = 0; x < from.width / 2; ++x, row += 2 * channels)
        for (std::size_t c = 0; c < channels; c += 16) {  // a copy of known size is one instruction
            std::memcpy(even + x * channels + c, row + c, 16);
            std::memcpy(odd + x * channels + c, row + channels + c, 16);
        }
    return even;
}

void Network::run(const Add& add, const Packed& packed) {
    const Map& out = maps_[add.output];
    SummandRow rows[5];
    for (int y = 0; y < out.height; ++y) {
        int count = 0;
        for (const Summand& summand : add.summands) {
            const Map& map = maps_[summand.tensor];
            SummandRow& row = rows[count];
            row = {packed.multipliers[count].get(), map.row(y), nullptr};
            if (map.level != out.level) {
                const int beyond = y / 2 + (y % 2 ? 1 : -1);
                row.near = map.row(y / 2);
                row.far = map.row(std::min(std::max(beyond, 0), map.height - 1));
            }
            ++count;
        }
        body_.add(rows, count, out.width, out.channels, work_, out.row(y));
    }
}

void Network::run(const Head& head, const Packed&) {
    const Map& in = maps_[head.input];
    float* logit = logits_;
    for (int y = 0; y < in.height; ++y) {
        const u8* pixel = in.row(y);
        for (int x = 0; x < in.width; ++x, pixel += in.channels) {
            s32 sum = 0;
            for (int c = 0; c < in.channels; ++c) sum += head.weights[c] * pixel[c];
            *logit++ = static_cast<float>(sum) * head.scale + head.bias;
        }
    }
}

}  // namespace trackside
