// Chains operations whose tensors are large, and lets tensors share memory.
#include "layout.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

namespace trackside {
namespace {

constexpr std::ptrdiff_t LARGE = 256 << 10;  // bytes: below, a tensor stays in the cache by itself
constexpr int LEAST_BAND = 8;  // times the rows beyond it that two threads make, each for itself

std::vector<u32> reads(const Operation& operation) {
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
}

std::optional<u32> writes(const Operation& operation) {
    if (const auto* stem = std::get_if<Stem>(&operation)) return stem->output;
    if (const auto* module = std::get_if<Module>(&operation)) return module->output;
    if (const auto* add = std::get_if<Add>(&operation)) return add->output;
    return std::nullopt;
}

// Rows of its input that an operation wants below the row it makes.
int reach(const Operation& operation) {
    int rows = 0;
    if (const auto* module = std::get_if<Module>(&operation))
        for (const Branch& branch : module->branches) rows = std::max(rows, branch.dilation);
    return rows;
}

std::size_t size_of(const Map& map) { return map.kept * map.stride + (BORDER + SLACK) * map.channels; }

bool contains(const std::vector<u32>& tensors, u32 tensor) {
    return std::find(tensors.begin(), tensors.end(), tensor) != tensors.end();
}

class Planner {
public:
    Planner(const Program& program, int height, int width, int threads)
        : operations_(program.operations), threads_(threads) {
        for (const Tensor& tensor : program.tensors) {
            const int rows = height >> tensor.level, columns = width >> tensor.level;
            const auto stride = static_cast<std::ptrdiff_t>(columns + BORDER) * tensor.channels;
            maps_.push_back({tensor.channels, tensor.level, rows, columns, rows, stride, {}});
        }
    }

    Layout plan() {
        for (std::size_t first = 0; first < operations_.size();) {
            chains_.push_back({first, {0}, made_by(first).height});
            while (follows(chains_.back())) {
            }
            first += chains_.back().delays.size();
        }
        for (const Chain& chain : chains_) place(chain);
        return {std::move(maps_), std::move(chains_)};
    }

private:
    // The tensor whose rows an operation makes; a head's logits have the shape of what it reads.
    Map& made_by(std::size_t operation) {
        const auto output = writes(operations_[operation]);
        return maps_[output ? *output : reads(operations_[operation])[0]];
    }

    // Lets the next operation join a chain, if it reads at the same size what the last one writes.
    bool follows(Chain& chain) {
        const std::size_t next = chain.first + chain.delays.size();
        if (next == operations_.size()) return false;
        const std::optional<u32> written = writes(operations_[next - 1]);
        if (!written) return false;  // a head
        const u32 between = *written;
        Map& map = maps_[between];
        const auto* module = std::get_if<Module>(&operations_[next - 1]);
        const bool whole = !module || (module->pointwise.empty() || module->pointwise[0].outputs == map.channels);
        if (!whole || !contains(reads(operations_[next]), between) || map.height * map.stride < LARGE ||
            made_by(next).level != map.level)
            return false;
        const int delay = chain.delays.back() + reach(operations_[next]);
        const bool is_read_by_others = readers(between) > 1;
        // Each row of what others read, too, is to be made by one thread alone.
        if (threads_ > 1 && (is_read_by_others || delay * LEAST_BAND * threads_ > map.height)) return false;
        if (!is_read_by_others) map.kept = std::min(map.height, 2 * reach(operations_[next]) + 1);
        chain.delays.push_back(delay);
        return true;
    }

    std::size_t readers(u32 tensor) const {
        return std::count_if(operations_.begin(), operations_.end(),
                             [&](const Operation& operation) { return contains(reads(operation), tensor); });
    }

    // A tensor gets the memory of one of its own shape that no later chain reads: caches stay warm,
    // and the borders stay zero.
    void place(const Chain& chain) {
        const std::size_t end = chain.first + chain.delays.size();
        for (std::size_t i = chain.first; i < end; ++i) {
            if (!writes(operations_[i]) || made_by(i).memory) continue;
            Map& map = made_by(i);
            auto& free = unused_[{map.channels, map.level, map.kept}];
            if (free.empty())
                free.push_back(std::make_shared<Array<u8>>(size_of(map)));
            map.memory = free.back();
            free.pop_back();
        }
        for (u32 tensor = 0; tensor < maps_.size(); ++tensor)
            if (last_reader(tensor) >= chain.first && last_reader(tensor) < end)
                unused_[{maps_[tensor].channels, maps_[tensor].level, maps_[tensor].kept}].push_back(maps_[tensor].memory);
    }

    std::size_t last_reader(u32 tensor) const {
        std::size_t last = 0;
        for (std::size_t i = 0; i < operations_.size(); ++i)
            if (contains(reads(operations_[i]), tensor)) last = i;
        return last;
    }

    const std::vector<Operation>& operations_;
    const int threads_;
    std::vector<Map> maps_;
    std::vector<Chain> chains_;
    std::map<std::tuple<int, int, int>, std::vector<std::shared_ptr<Array<u8>>>> unused_;
};

}  // namespace

Layout lay_out(const Program& program, int height, int width, int threads) {
    return Planner(program, height, width, threads).plan();
}

std::vector<Map> maps_of_a_hand(const Layout& layout) {
    std::vector<Map> maps = layout.maps;
    std::map<const Array<u8>*, std::shared_ptr<Array<u8>>> own;  // tensors may share it
    for (Map& map : maps) {
        if (map.kept == map.height) continue;
        auto& memory = own[map.memory.get()];
        if (!memory) memory = std::make_shared<Array<u8>>(size_of(map));
        map.memory = memory;
    }
    return maps;
}

}  // namespace trackside
