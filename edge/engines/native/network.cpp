// Walks the chains of operations row by row.
#include "network.hpp"

#include <algorithm>
#include <string>

namespace trackside {
namespace {

constexpr int IMAGE_BORDER = 8;  // pixels beside the stem's rows; it reads one before and two after

int checked(int side) {
    if (side < 32 || side % 32 || side > 16384)
        throw BadSize("it takes heights and widths that are multiples of 32, from 32 to 16384, not " +
                      std::to_string(side));
    return side;
}

// How many threads a picture is worth, of those there may be: each meeting costs some microseconds.
int bands(int height, int width, int threads) {
    constexpr int WORTH_A_THREAD = 1 << 17;  // pixels
    return std::max(1, std::min(threads, height * width / WORTH_A_THREAD));
}

}  // namespace

Network::Network(Program program, int height, int width, const Body& body, int threads)
    : program_(std::move(program)),
      height_(checked(height)),
      width_(checked(width)),
      body_(body),
      layout_(lay_out(program_, height, width, bands(height, width, threads))) {
    for (const Operation& operation : program_.operations) packed_.push_back(pack(operation, body));
    for (const Map& map : layout_.maps) {
        row_ = std::max<std::size_t>(row_, map.width * map.channels);
        channels_ = std::max<std::size_t>(channels_, map.channels);
    }
    zeros_ = Array<u8>(row_ + (2 * BORDER + SLACK) * channels_);
    const int hands = bands(height, width, threads);
    for (int i = 0; i < hands; ++i) hands_.push_back(new_hand());
    if (hands > 1) crew_.emplace(hands);
}

Hand Network::new_hand() const {
    Hand hand;
    Workspace& work = hand.work;
    const std::size_t with_slack = row_ + SLACK * channels_;
    for (const Packed& packed : packed_)
        if (const PackedBranches& branches = packed.branches; !branches.branches.empty())
            work.plane = std::max(work.plane, chunk(branches.period) + 2 * BORDER * branches.channels + VECTOR);
    for (Array<u8>& woven : work.woven) woven = Array<u8>(4 * static_cast<std::size_t>(work.plane));
    work.sums = Array<s16>(std::max<std::size_t>(with_slack, work.plane));
    work.column = Array<s16>(with_slack);
    for (Array<s16>& doubled : work.doubled) doubled = Array<s16>(with_slack);
    const std::size_t image = 3 * (static_cast<std::size_t>(width_) + IMAGE_BORDER);
    hand.image = Array<u8>(image);
    std::memset(hand.image.get(), program_.padding, image);  // no run writes to the border
    hand.middle = Array<u8>(with_slack);
    hand.slice = Array<u8>(with_slack);
    hand.maps = hands_.empty() ? layout_.maps : maps_of_a_hand(layout_);
    return hand;
}

Shape Network::shape_of(std::size_t operation) const {
    const Head& head = std::get<Head>(program_.operations[operation]);
    const Map& in = layout_.maps[head.input];
    return {head.outputs, in.height, in.width};
}

void Network::run(const u8* pixels, float* logits, float* names) {
    pixels_ = pixels;
    logits_ = logits;
    names_ = names;
    if (crew_) {
        crew_->run([this](int band) { run_band(band); });
    } else {
        run_band(0);
    }
}

void Network::run_band(int band) {
    const int bands = static_cast<int>(hands_.size());
    for (const Chain& chain : layout_.chains) {
        run_chain(chain, chain.height * band / bands, chain.height * (band + 1) / bands, hands_[band]);
        if (crew_) crew_->meet();  // the next chain reads other bands' rows
    }
}

// Makes some rows of a chain's last tensor, and what of the others they want, beyond the band too.
void Network::run_chain(const Chain& chain, int first, int end, Hand& hand) const {
    const int last = chain.delays.back();
    for (int step = std::max(first - last, 0); step < end + last; ++step)
        for (std::size_t i = 0; i < chain.delays.size(); ++i) {
            const int y = step - chain.delays[i], beyond = last - chain.delays[i];
            if (y >= std::max(first - beyond, 0) && y < std::min(end + beyond, chain.height))
                make_row(chain.first + i, y, hand);
        }
}

void Network::make_row(std::size_t operation, int y, Hand& hand) const {
    std::visit([&](const auto& made) { make(made, packed_[operation], y, hand); }, program_.operations[operation]);
}

// Its three rows of pixels, each with what lies beside the image.
void Network::make(const Stem& stem, const Packed& packed, int y, Hand& hand) const {
    const Map& out = hand.maps[stem.output];
    const std::ptrdiff_t stride = width_ + IMAGE_BORDER;
    for (std::ptrdiff_t row = 0; row < 3; ++row) {
        u8* to = hand.image.get() + row * stride + 1;
        const std::ptrdiff_t from = 2 * y + row - 1;
        if (from < 0) {
            std::memset(to, program_.padding, width_);
        } else {
            std::memcpy(to, pixels_ + from * width_, width_);
        }
    }
    body_.pointwise(packed.pointwise[0], {hand.image.get(), 2, stride}, out.width, nullptr, out.row(y));
}

void Network::make(const Module& module, const Packed& packed, int y, Hand& hand) const {
    const Map &in = hand.maps[module.input], &out = hand.maps[module.output];
    const u8* made = in.row(y);
    int channels = in.channels;
    if (!module.branches.empty()) {
        const int size = out.width * channels;
        BranchRow rows[4];
        branch_rows(module, in, y, rows);
        const int whole_vectors = (size + VECTOR - 1) / VECTOR * VECTOR;
        body_.depthwise(packed.branches, rows, whole_vectors, hand.work, hand.middle.get());
        made = hand.middle.get();
    }
    for (const PackedPointwise& pointwise : packed.pointwise) {
        const u8* residual = module.residual == NONE ? nullptr : hand.maps[module.residual].row(y);
        channels = pointwise.outputs;
        u8* to = channels == out.channels ? out.row(y) : hand.slice.get();
        body_.pointwise(pointwise, {made, pointwise.inputs, 4}, out.width, residual, to);
        made = to;
    }
    if (made != out.row(y)) copy_slice(made, channels, out, y, module.offset);
}

void Network::copy_slice(const u8* from, int channels, const Map& out, int y, int offset) {
    u8* pixel = out.row(y) + offset;
    for (int x = 0; x < out.width; ++x, pixel += out.channels, from += channels)
        std::memcpy(pixel, from, channels);
}

const u8* Network::row_or_zeros(const Map& map, int y) const {
    return y >= 0 && y < map.height ? map.row(y) : zeros_.get() + BORDER * map.channels;
}

void Network::branch_rows(const Module& module, const Map& in, int y, BranchRow* rows) const {
    const int middle = static_cast<int>(module.stride) * y;
    for (const Branch& branch : module.branches) {
        rows->reach = branch.dilation * in.channels;
        for (int r = 0; r < 3; ++r) rows->rows[r] = row_or_zeros(in, middle + (r - 1) * branch.dilation);
        ++rows;
    }
}

void Network::make(const Add& add, const Packed& packed, int y, Hand& hand) const {
    const Map& out = hand.maps[add.output];
    SummandRow rows[5];
    int count = 0;
    for (const Summand& summand : add.summands) {
        const Map& map = hand.maps[summand.tensor];
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
    body_.add(rows, count, out.width, out.channels, hand.work, out.row(y));
}

void Network::make(const Head& head, const Packed& packed, int y, Hand& hand) const {
    const Map& in = hand.maps[head.input];
    const bool decides = &head == &std::get<Head>(program_.operations.back());
    const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(in.height) * in.width;
    float* logits = (decides ? logits_ : names_) + static_cast<std::ptrdiff_t>(y) * in.width;
    body_.head(packed.head, in.row(y), in.width, logits, plane);
}

}  // namespace trackside
