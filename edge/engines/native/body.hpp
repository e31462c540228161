// What a body must provide: kernels that make one row of an operation, and how it wants its weights.
#pragma once

#include "artefact.hpp"
#include "memory.hpp"

namespace trackside {

constexpr int VECTOR = 64;  // bytes of the widest body's vectors
constexpr int BORDER = 8;   // pixels of zeros beside every row, as many as the largest dilation

// Where a tap of output pixel 0 is: dense rows have one source, rows of stride 2 are split in two.
struct Tap {
    int source;  // 0: the row, or its even pixels; 1: its odd pixels
    int offset;  // bytes
};

// Depthwise weights in the order a body reads them. A row is one flat array of pixels times
// channels; weights are repeated so that they fit every vector of it.
struct PackedBranch {
    Array<s8> pairs;             // for bodies whose vectors split in halves
    Array<s16> taps;             // for the others: 9 times a period
    Array<s16> bias, low, high;  // z is clamped to low..high: one of them is 0
};

struct PackedBranches {
    int channels, period;  // channels after which the weights repeat
    std::vector<PackedBranch> branches;
    Array<s16> mix, squeeze;
};

struct PackedPointwise {
    int inputs, outputs;
    Array<s8> weights;
    Array<s32> bias, shift;
    Array<s16> multiplier, residual;  // repeated, so that VECTOR of them can begin anywhere
};

struct BranchRow {
    const u8* rows[3][2];  // above, at and below; each row's sources
    Tap taps[3];
};

// One summand of one row. A half-size tensor has two rows, near and far, and is doubled.
struct SummandRow {
    const s16* multiplier;  // repeated, so that VECTOR of them can begin anywhere
    const u8 *near, *far;   // no far one: the summand's size is the sum's
};

// What kernels keep between their steps; nothing in it outlives a row.
struct Workspace {
    Array<u8> pairs[2], sides, middle;  // rows woven for x86, in planes of the low and high half
    Array<s16> sums;
    Array<s16> column, doubled[5];
    int plane;  // bytes of a plane, the borders of its row in it
};

struct Body {
    const char* name;
    // Whether vectors split 16 channels in two halves, as x86's unpack does.
    bool halves;
    bool (*supported)();
    void (*pack)(const Pointwise& from, PackedPointwise& to);
    // `size` is pixels times channels, a multiple of VECTOR.
    void (*depthwise)(const PackedBranches& weights, const BranchRow* rows, int size, Workspace& work,
                      u8* out);
    // `residual` may be null. Reads up to 16 pixels beyond the row; writes none.
    void (*pointwise)(const PackedPointwise& weights, const u8* in, int width, const u8* residual,
                      u8* out);
    void (*add)(const SummandRow* rows, int count, int width, int channels, Workspace& work, u8* out);
};

// Those that this CPU runs, the fastest first.
std::vector<const Body*> bodies();

extern const Body PORTABLE;
#if defined(__x86_64__)
extern const Body AVX2, AVX_VNNI, AVX512;
#elif defined(__aarch64__)
extern const Body NEON;
#endif

}  // namespace trackside
