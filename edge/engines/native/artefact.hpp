// A network as its file says it: parsed, every length and every promise of NUMERICS.md checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <variant>
#include <vector>

namespace trackside {

using u8 = std::uint8_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using u32 = std::uint32_t;

constexpr int MAX_DILATION = 8;
constexpr u32 NONE = 0xFFFFFFFF;

// A file that is not what it says it is.
struct BadArtefact : std::runtime_error {
    using runtime_error::runtime_error;
};

struct Tensor {
    int channels;
    int level;  // its size is the image's >> level
};

struct Requantisation {
    std::vector<s32> bias;
    std::vector<u8> shift;
    std::vector<s16> multiplier;
    std::vector<s16> residual;  // empty without one
};

struct Branch {
    int dilation;
    std::vector<s8> weights;  // C,3,3
    std::vector<s16> bias;
    std::vector<s8> sign;
};

struct Pointwise {
    int inputs, outputs;
    std::vector<s8> weights;  // N,C
    Requantisation requantisation;
};

struct Stem {
    u32 output;
    Pointwise weights;  // of 3 rows of 4 pixels, of which the last weighs nothing
};

struct Module {
    u32 input, output, offset, residual, stride;
    std::vector<Branch> branches;
    std::vector<s16> mix, squeeze;
    std::vector<Pointwise> pointwise;  // none or one
};

struct Summand {
    u32 tensor;
    std::vector<s16> multiplier;
};

struct Add {
    u32 output;
    std::vector<Summand> summands;
};

struct Head {
    u32 input;
    int outputs;
    std::vector<s16> weights;  // N,C
    std::vector<float> scale, bias;
};

using Operation = std::variant<Stem, Module, Add, Head>;

struct Program {
    int padding;
    std::vector<Tensor> tensors;
    std::vector<Operation> operations;
    std::optional<u32> names;  // the operation that is the classes' head, if any is
};

// Throws BadArtefact.
Program parse(const u8* data, std::size_t size);

}  // namespace trackside
