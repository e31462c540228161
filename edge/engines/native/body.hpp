// What a body must provide: kernels that make one row of an operation, and how it wants its weights.
#pragma once

#include <algorithm>

#include "artefact.hpp"
#include "memory.hpp"

// AMX: where a compiler knows it, and the system whom to ask for its registers.
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) || __GNUC__ >= 11)
#define TRACKSIDE_TILES
#endif

namespace trackside {

#define IN_REGISTERS inline __attribute__((always_inline))  // as a call is made through memory

constexpr int VECTOR = 64;  // bytes of the widest body's vectors
constexpr int BORDER = 8;   // pixels of zeros beside every row, as many as the largest dilation

// The order in which a body's depthwise kernel reads its weights. A row is one flat array of pixels
// times channels; weights are repeated so that they fit every vector of it.
enum class Weave {
    TAPS,   // nine, one after the other
    PAIRS,  // of bytes, in two planes: the low and the high 8 channels of each 16
    QUADS,  // of bytes, in four planes, each of 4 channels of each 16
};

struct PackedBranch {
    Array<s16> taps;             // 9 times a period
    Array<s8> pairs;             // five times two planes: see packing.cpp
    Array<s8> quads;             // three columns of four planes
    Array<s32> wide_bias;        // of quads: what narrowing to 16 bits is to clamp is in it
    Array<s16> back;             // of quads: takes that off again
    Array<s16> bias, low, high;  // of the others: z is clamped to low..high, of which one is 0
};

struct PackedBranches {
    int channels, period;  // channels after which the weights repeat
    int stride;            // 1, or 2: every second pixel of a row is an output's middle
    bool plain;            // one branch, no negative sign and nothing to mix: s is z where that is positive
    std::vector<PackedBranch> branches;
    Array<s16> mix, squeeze;
};

// Where a branch's sums come from and go to: the first begins with `mix`, the last makes outputs.
enum class Place { PLAIN, ONLY, FIRST, BETWEEN, LAST };

constexpr bool begins(Place place) { return place == Place::ONLY || place == Place::FIRST; }
constexpr bool ends(Place place) { return place == Place::PLAIN || place == Place::ONLY || place == Place::LAST; }

inline Place place(const PackedBranches& packed, std::size_t branch) {
    const bool first = branch == 0, last = branch + 1 == packed.branches.size();
    if (packed.plain) return Place::PLAIN;
    return first ? (last ? Place::ONLY : Place::FIRST) : (last ? Place::LAST : Place::BETWEEN);
}

struct PackedPointwise {
    int inputs, outputs;
    Array<s8> weights;
    Array<s32> bias, shift;
    Array<s16> multiplier, residual;  // the second is zeros without one
};

// Where a row's inputs lie, four by four: of pixel x the quad k is at first + x * pixel + k * quad.
struct Quads {
    const u8* first;
    std::ptrdiff_t pixel, quad;
};

struct PackedHead {
    int inputs, outputs;
    Array<s16> weights;  // N,C
    std::vector<float> scale, bias;
};

struct BranchRow {
    const u8* rows[3];  // pixel 0 of the rows above, at and below
    int reach;          // bytes from a column of the filter to the next
};

// One summand of one row. A half-size tensor has two rows, near and far, and is doubled.
struct SummandRow {
    const s16* multiplier;  // repeated, so that VECTOR of them can begin anywhere
    const u8 *near, *far;   // no far one: the summand's size is the sum's
};

// Outputs that a depthwise kernel makes at a time: what it keeps for them stays in the first cache.
constexpr int CHUNK = 4096;

inline int chunk(int period) { return std::max(period, CHUNK / period * period); }

// What kernels keep between their steps; nothing in it outlives a row.
struct Workspace {
    Array<u8> woven[2];  // four planes of a chunk with what its taps reach beyond it
    Array<s16> sums;     // of a chunk, as many as a plane has bytes, or of a sum's row
    Array<s16> column, doubled[5];  // of a sum's row: one of half the size between two, and it doubled
    int plane = 0;       // bytes of a plane
};

struct Body {
    const char* name;
    Weave weave;
    int zero;  // what the quads' products take pixels less of: 128 where they are of signed bytes
    bool (*supported)();
    void (*pack)(const Pointwise& from, PackedPointwise& to);
    // `size` is pixels times channels, a multiple of VECTOR.
    void (*depthwise)(const PackedBranches& weights, const BranchRow* rows, int size, Workspace& work,
                      u8* out);
    // `residual` may be null. Reads up to 16 pixels beyond the row; writes none.
    void (*pointwise)(const PackedPointwise& weights, const Quads& in, int width, const u8* residual,
                      u8* out);
    void (*add)(const SummandRow* rows, int count, int width, int channels, Workspace& work, u8* out);
    // Logits of one row: `plane` of them lie between two maps. Reads up to 16 pixels beyond the row.
    void (*head)(const PackedHead& weights, const u8* in, int width, float* logits, std::ptrdiff_t plane);
};

// Those that this CPU runs, the fastest first.
std::vector<const Body*> bodies();

extern const Body PORTABLE;
#if defined(__x86_64__)
extern const Body AVX2, AVX_VNNI, AVX512;
#if defined(TRACKSIDE_TILES)
extern const Body AMX;
#endif
#elif defined(__aarch64__)
extern const Body NEON, I8MM;
#endif

}  // namespace trackside
