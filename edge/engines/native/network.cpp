// Walks the chains of operations row by row.
#include "network.hpp"

#include <algorithm>
#include <string>

namespace trackside {
namespace {

constexpr int IMAGE_BORDER = 8;  // pixels beside the image's rows; the stem reads one and three

int checked(int side) {
    if (side < 32 || side % 32 || side > 16384)
        throw BadSize("it takes heights and widths that are multiples of 32, from 32 to 16384, not " +
                      std::to_string(side));
    return side;
}

}  // namespace

Network::Network(Program program, int height, int width, const Body& body)
    : program_(std::move(program)),
      height_(checked(height)),
      width_(checked(width)),
      body_(body),
      layout_(lay_out(program_, height, width)) {
    for (const Operation& operation : program_.operations) packed_.push_back(pack(operation, body));
    reserve_workspace();
}

void Network::reserve_workspace() {
    std::size_t row = 0, channels = 0;
    const std::size_t pixels = width_;
    for (const Map& map : layout_.maps) {
        row = std::max<std::size_t>(row, map.width * map.channels);
        channels = std::max<std::size_t>(channels, map.channels);
    }
    const std::size_t bordered = row + 2 * BORDER * channels;
    const std::size_t slack = SLACK * channels;
    work_.plane = static_cast<int>((bordered + VECTOR - 1) / VECTOR * VECTOR);
    for (Array<u8>* woven : {&work_.pairs[0], &work_.pairs[1], &work_.sides, &work_.middle})
        *woven = Array<u8>(2 * work_.plane);
    work_.sums = Array<s16>(row + slack);
    work_.column = Array<s16>(row + slack);
    for (Array<s16>& doubled : work_.doubled) doubled = Array<s16>(row + slack);
    const std::size_t image = (height_ + 2) * (pixels + IMAGE_BORDER);
    image_ = Array<u8>(image);
    std::memset(image_.get(), program_.padding, image);  // no run writes to the border
    middle_ = Array<u8>(std::max(row, pixels / 2 * 12) + slack);
    zeros_ = Array<u8>(bordered + slack);
    slice_ = Array<u8>(row + slack);
    split_ = Array<u8>(6 * bordered);
}

Shape Network::shape_of(std::size_t operation) const {
    const Head& head = std::get<Head>(program_.operations[operation]);
    const Map& in = layout_.maps[head.input];
    return {head.outputs, in.height, in.width};
}

void Network::run(const u8* pixels, float* logits, float* names) {
    take(pixels);
    logits_ = logits;
    names_ = names;
    for (const Chain& chain : layout_.chains)
        for (int step = 0; step < chain.height + chain.delays.back(); ++step)
            for (std::size_t i = 0; i < chain.delays.size(); ++i) {
                const int y = step - chain.delays[i];
                if (y < 0 || y >= chain.height) continue;
                const std::size_t operation = chain.first + i;
                std::visit([&](const auto& made) { make(made, packed_[operation], y); },
                           program_.operations[operation]);
            }
}

void Network::take(const u8* pixels) {
    const std::ptrdiff_t stride = width_ + IMAGE_BORDER;
    for (std::ptrdiff_t y = 0; y < height_; ++y)
        std::memcpy(image_.get() + (y + 1) * stride + 1, pixels + y * width_, width_);
}

void Network::make(const Stem& stem, const Packed& packed, int y) {
    const Map& out = layout_.maps[stem.output];
    const std::ptrdiff_t stride = width_ + IMAGE_BORDER;
    const u8* from = image_.get() + 2 * y * stride;
    u8* patch = middle_.get();
    for (int x = 0; x < out.width; ++x, patch += 12)
        for (int row = 0; row < 3; ++row) std::memcpy(patch + 4 * row, from + row * stride + 2 * x, 4);
    body_.pointwise(packed.pointwise[0], middle_.get(), out.width, nullptr, out.row(y));
}

void Network::make(const Module& module, const Packed& packed, int y) {
    const Map &in = layout_.maps[module.input], &out = layout_.maps[module.output];
    const u8* made = in.row(y);
    int channels = in.channels;
    if (!module.branches.empty()) {
        const int size = out.width * channels;
        clear_borders(channels, size);
        BranchRow rows[4];
        branch_rows(module, y, rows);
        const int whole_vectors = (size + VECTOR - 1) / VECTOR * VECTOR;
        body_.depthwise(packed.branches, rows, whole_vectors, work_, middle_.get());
        made = middle_.get();
    }
    for (const PackedPointwise& pointwise : packed.pointwise) {
        const u8* residual = module.residual == NONE ? nullptr : layout_.maps[module.residual].row(y);
        channels = pointwise.outputs;
        u8* to = channels == out.channels ? out.row(y) : slice_.get();
        body_.pointwise(pointwise, made, out.width, residual, to);
        made = to;
    }
    if (made != out.row(y)) copy_slice(made, channels, out, y, module.offset);
}

// What rows of another shape left beside theirs is these rows' border.
void Network::clear_borders(int channels, int size) {
    if (channels == border_channels_ && size == border_size_) return;
    border_channels_ = channels;
    border_size_ = size;
    const int border = BORDER * channels;
    for (Array<u8>& pairs : work_.pairs)
        for (u8* plane : {pairs.get(), pairs.get() + work_.plane}) {
            std::memset(plane, 0, border);
            std::memset(plane + border + size, 0, border);
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
    const Map& in = layout_.maps[module.input];
    for (const Branch& branch : module.branches) {
        const int reach = branch.dilation * in.channels;
        if (module.stride == 1) {
            *rows = {{}, {{0, -reach}, {0, 0}, {0, reach}}};
            for (int r = 0; r < 3; ++r) rows->rows[r][0] = row_or_zeros(in, y + (r - 1) * branch.dilation);
        } else {
            *rows = {{}, {{1, -reach}, {0, 0}, {1, 0}}};
            for (int r = 0; r < 3; ++r) split_row(in, 2 * y + r - 1, r, rows->rows[r]);
        }
        ++rows;
    }
}

// A row's even pixels, then a border, then its odd ones: each as dense as a row of stride 1.
void Network::split_row(const Map& from, int y, int slot, const u8** sources) {
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
    sources[0] = even;
    sources[1] = odd;
}

void Network::make(const Add& add, const Packed& packed, int y) {
    const Map& out = layout_.maps[add.output];
    SummandRow rows[5];
    int count = 0;
    for (const Summand& summand : add.summands) {
        const Map& map = layout_.maps[summand.tensor];
        SummandRow& row = rows[count];
        row = {packed.multipliers[count].get(), nullptr, nullptr};
        if (map.level == out.level) {
            row.near = map.row(y);
        } else {
            const int beyond = y / 2 + (y % 2 ? 1 : -1);
            row.near = map.row(y / 2);
            row.far = map.row(std::min(std::max(beyond, 0), map.height - 1));
        }
        ++count;
    }
    body_.add(rows, count, out.width, out.channels, work_, out.row(y));
}

void Network::make(const Head& head, const Packed&, int y) {
    const Map& in = layout_.maps[head.input];
    const bool decides = &head == &std::get<Head>(program_.operations.back());
    const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(in.height) * in.width;
    const s16* weights = head.weights.data();
    float* logit = (decides ? logits_ : names_) + static_cast<std::ptrdiff_t>(y) * in.width;
    for (int n = 0; n < head.outputs; ++n, weights += in.channels, logit += plane) {
        const u8* pixel = in.row(y);
        for (int x = 0; x < in.width; ++x, pixel += in.channels) {
            s32 sum = 0;
            for (int c = 0; c < in.channels; ++c) sum += weights[c] * pixel[c];
            logit[x] = static_cast<float>(sum) * head.scale[n] + head.bias[n];
        }
    }
}

}  // namespace trackside
