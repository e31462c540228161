// Weights in the order that a body's kernels read them.
#pragma once

#include "body.hpp"

namespace trackside {

struct Packed {
    PackedBranches branches;
    std::vector<PackedPointwise> pointwise;
    std::vector<Array<s16>> multipliers;  // of a sum
    PackedHead head;
};

Packed pack(const Operation& operation, const Body& body);

}  // namespace trackside
