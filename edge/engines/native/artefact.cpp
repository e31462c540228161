// Reads the file of NUMERICS.md; nothing is believed before it is checked.
#include "artefact.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace trackside {
namespace {

constexpr u32 FORMAT = 2;
constexpr u32 MAX_TENSORS = 1024, MAX_CHANNELS = 4096, MAX_LEVEL = 5, MAX_NAMES = 64;

void require(bool holds, const char* otherwise) {
    if (!holds) throw BadArtefact(otherwise);
}

class Reader {
public:
    Reader(const u8* data, std::size_t size) : at_(data), left_(size) {}

    template <class T>
    std::vector<T> array(std::size_t count) {
        require(count <= left_ / sizeof(T), "it ends early");
        std::vector<T> values(count);
        if (count) std::memcpy(values.data(), at_, count * sizeof(T));
        at_ += count * sizeof(T);
        left_ -= count * sizeof(T);
        return values;
    }

    template <class T>
    T one() {
        return array<T>(1)[0];
    }

    u32 at_most(u32 limit, const char* otherwise) {
        const u32 value = one<u32>();
        require(value <= limit, otherwise);
        return value;
    }

    bool ended() const { return left_ == 0; }

private:
    const u8* at_;
    std::size_t left_;
};

// Which operation may read and write which tensor: each is written whole before it is read.
class Tensors {
public:
    explicit Tensors(const std::vector<Tensor>& tensors)
        : tensors_(tensors), written_(tensors.size()), read_(tensors.size()) {}

    const Tensor& read(u32 index) {
        const Tensor& tensor = at(index);
        require(written_[index] == tensor.channels, "a tensor is read before it is written");
        read_[index] = true;
        return tensor;
    }

    bool all_read() const { return std::find(read_.begin(), read_.end(), false) == read_.end(); }

    const Tensor& write(u32 index, int offset, int channels) {
        const Tensor& tensor = at(index);
        require(written_[index] == offset && channels <= tensor.channels - offset,
                "a tensor is not written once, in order");
        written_[index] += channels;
        return tensor;
    }

    const Tensor& at(u32 index) const {
        require(index < tensors_.size(), "it names a tensor that it does not have");
        return tensors_[index];
    }

private:
    const std::vector<Tensor>& tensors_;
    std::vector<int> written_;  // channels, from the first
    std::vector<bool> read_;
};

std::vector<s16> multipliers(Reader& reader, int count) {
    auto values = reader.array<s16>(count);
    for (s16 value : values) require(value >= 0, "a multiplier is negative");
    return values;
}

Requantisation read_requantisation(Reader& reader, int outputs) {
    Requantisation to;
    to.bias = reader.array<s32>(outputs);
    to.shift = reader.array<u8>(outputs);
    to.multiplier = multipliers(reader, outputs);
    for (s32 bias : to.bias) require(-(1 << 30) < bias && bias < 1 << 30, "a bias is too large");
    for (u8 shift : to.shift) require(shift < 32, "a shift is beyond 31");
    return to;
}

void require_bounded_pairs(const std::vector<s8>& weights) {
    for (std::size_t i = 0; i + 1 < weights.size(); i += 2) {
        const s32 sum = weights[i] + weights[i + 1];
        require(-128 <= sum && sum <= 128, "a pair of pointwise weights can overflow");
    }
}

void require_bounded(const s8* filter, s16 bias) {
    s32 most = bias > 0 ? bias : 0, least = bias < 0 ? bias : 0;
    for (int tap = 0; tap < 9; ++tap) (filter[tap] > 0 ? most : least) += 255 * filter[tap];
    require(most <= INT16_MAX && least >= INT16_MIN, "a depthwise filter can overflow");
}

Branch read_branch(Reader& reader, int channels) {
    Branch branch;
    branch.dilation = static_cast<int>(reader.at_most(MAX_DILATION, "a dilation is beyond 8"));
    require(branch.dilation > 0, "a dilation is 0");
    branch.weights = reader.array<s8>(9 * channels);
    branch.bias = reader.array<s16>(channels);
    branch.sign = reader.array<s8>(channels);
    for (int c = 0; c < channels; ++c) {
        require_bounded(&branch.weights[9 * c], branch.bias[c]);
        require(branch.sign[c] == 1 || branch.sign[c] == -1, "a sign is neither 1 nor -1");
    }
    return branch;
}

// What every body has blocks for.
void require_outputs(int outputs) {
    require(outputs == 16 || outputs == 32 || outputs == 96 || (outputs > 0 && outputs % 64 == 0),
            "a convolution's outputs are neither 16, 32, 96 nor a multiple of 64");
}

Stem read_stem(Reader& reader, Tensors& tensors) {
    Stem stem;
    stem.output = reader.one<u32>();
    const int outputs = tensors.at(stem.output).channels;
    require_outputs(outputs);
    require(tensors.write(stem.output, 0, outputs).level == 1, "a stem is not at half size");
    const auto filters = reader.array<s8>(9 * outputs);
    stem.weights = {12, outputs, std::vector<s8>(12 * outputs), read_requantisation(reader, outputs)};
    for (int i = 0; i < 3 * outputs; ++i)
        std::memcpy(&stem.weights.weights[4 * i], &filters[3 * i], 3);
    require_bounded_pairs(stem.weights.weights);
    return stem;
}

Module read_module(Reader& reader, Tensors& tensors) {
    Module module;
    module.input = reader.one<u32>();
    module.output = reader.one<u32>();
    module.offset = reader.at_most(MAX_CHANNELS, "an offset is beyond 4096 channels");
    module.residual = reader.one<u32>();
    module.stride = reader.at_most(2, "a stride is beyond 2");
    const u32 branches = reader.at_most(4, "a module has more than four branches");
    const u32 pointwise = reader.at_most(1, "a module has more than one pointwise convolution");
    const Tensor& input = tensors.read(module.input);
    require(module.stride > 0 && (branches > 0 || (pointwise && module.stride == 1)),
            "a module does nothing");
    for (u32 i = 0; i < branches; ++i) module.branches.push_back(read_branch(reader, input.channels));
    for (const Branch& branch : module.branches)
        require(module.stride == 1 || branch.dilation == 1, "a dilated branch has a stride");
    if (branches > 0) {
        module.mix = reader.array<s16>(input.channels);
        module.squeeze = multipliers(reader, input.channels);
    }
    int outputs = input.channels;
    if (pointwise) {
        outputs = static_cast<int>(reader.at_most(MAX_CHANNELS, "more than 4096 channels"));
        require_outputs(outputs);
        auto weights = reader.array<s8>(static_cast<std::size_t>(outputs) * input.channels);
        require_bounded_pairs(weights);
        module.pointwise.push_back(
            {input.channels, outputs, std::move(weights), read_requantisation(reader, outputs)});
    }
    if (module.residual != NONE) {
        const Tensor& residual = tensors.read(module.residual);
        require(pointwise && residual.channels == outputs &&
                    residual.level == input.level + static_cast<int>(module.stride) - 1,
                "a residual is of another shape");
        module.pointwise[0].requantisation.residual = multipliers(reader, outputs);
    }
    const Tensor& output = tensors.write(module.output, static_cast<int>(module.offset), outputs);
    require(output.level == input.level + static_cast<int>(module.stride) - 1,
            "a module's output is of another size");
    return module;
}

Add read_add(Reader& reader, Tensors& tensors) {
    Add add;
    add.output = reader.one<u32>();
    const u32 count = reader.at_most(5, "a sum has more than five summands");
    require(count >= 2, "a sum has fewer than two summands");
    const Tensor& output = tensors.at(add.output);
    for (u32 i = 0; i < count; ++i) {
        const u32 index = reader.one<u32>();
        const Tensor& tensor = tensors.read(index);
        require(tensor.channels == output.channels &&
                    (tensor.level == output.level || tensor.level == output.level + 1),
                "a summand is of another shape");
        add.summands.push_back({index, multipliers(reader, tensor.channels)});
    }
    tensors.write(add.output, 0, output.channels);
    return add;
}

Head read_head(Reader& reader, Tensors& tensors) {
    Head head;
    head.input = reader.one<u32>();
    const Tensor& input = tensors.read(head.input);
    require(input.channels <= 256, "a head reads more than 256 channels");
    head.outputs = static_cast<int>(reader.at_most(MAX_NAMES, "a head has more than 64 outputs"));
    require(head.outputs > 0, "a head has no output");
    head.weights = reader.array<s16>(static_cast<std::size_t>(head.outputs) * input.channels);
    head.scale = reader.array<float>(head.outputs);
    head.bias = reader.array<float>(head.outputs);
    return head;
}

Operation read_operation(Reader& reader, Tensors& tensors) {
    switch (reader.one<u32>()) {
        case 1: return read_stem(reader, tensors);
        case 2: return read_module(reader, tensors);
        case 3: return read_add(reader, tensors);
        case 4: return read_head(reader, tensors);
        default: throw BadArtefact("it holds an operation that is not known");
    }
}

}  // namespace

Program parse(const u8* data, std::size_t size) {
    Reader reader(data, size);
    const auto magic = reader.array<char>(8);
    require(std::memcmp(magic.data(), "TRACKNAT", 8) == 0, "it is no native network");
    require(reader.one<u32>() == FORMAT, "its format is not 2");
    Program program;
    program.padding = static_cast<int>(reader.at_most(255, "its padding is no pixel"));
    const u32 tensor_count = reader.at_most(MAX_TENSORS, "it has more than 1024 tensors");
    const u32 operations = reader.at_most(MAX_TENSORS, "it has more than 1024 operations");
    for (u32 i = 0; i < tensor_count; ++i) {
        const u32 channels = reader.at_most(MAX_CHANNELS, "more than 4096 channels");
        const u32 level = reader.at_most(MAX_LEVEL, "a tensor is smaller than a 32nd");
        require(channels > 0 && channels % 16 == 0, "channels are not a multiple of 16");
        require(level > 0, "a tensor is as large as the image");
        program.tensors.push_back({static_cast<int>(channels), static_cast<int>(level)});
    }
    Tensors tensors(program.tensors);
    for (u32 i = 0; i < operations; ++i) {
        program.operations.push_back(read_operation(reader, tensors));
        if (const auto* head = std::get_if<Head>(&program.operations.back())) {
            const bool last = i + 1 == operations;
            require(last ? head->outputs == 1 : !program.names, "it has more heads than two, or none that decides");
            if (!last) program.names = i;
        }
    }
    require(operations > 0 && std::holds_alternative<Head>(program.operations.back()),
            "its last operation is not the head that decides");
    require(tensors.all_read(), "a tensor is never read");
    require(reader.ended(), "it goes on after its last operation");
    return program;
}

}  // namespace trackside
