// The AMX body: that of AVX-512, but that pointwise convolutions multiply tiles of 16 pixels.
//
// A tile of pixels by one of weights adds as much to 16 x 16 sums as 256 dot products of four bytes do, to
// the same integers. What a sum becomes is made of vectors as ever, and that is most of the time left.
#include "body.hpp"

#if defined(TRACKSIDE_TILES)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#ifdef __clang__  // which reads GCC's pragma and lets it be
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vnni,amx-tile,amx-int8,prefer-vector-width=512")
#endif
#include "x86_pointwise.hpp"
#include "zmm.hpp"

namespace trackside {
namespace {

constexpr int ROWS = 16, BYTES = 64;  // of a tile, at most
constexpr int LEAST_INPUTS = 64;      // with fewer the sums cost no more than the tiles' configuration

// Linux gives a process the tiles' registers when it asks for them.
bool supported() {
    constexpr unsigned TILES = 1u << 24, INT8 = 1u << 25;
    constexpr long ASK = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & TILES) == 0 || (d & INT8) == 0) return false;
    return AVX512.supported() && syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
}

// Four tiles of sums, one of pixels and three of weights.
struct alignas(64) Configuration {
    u8 palette = 1, start = 0, reserved[14] = {};
    std::uint16_t bytes[16] = {};
    u8 rows[16] = {};

    explicit Configuration(int depth) {
        for (int tile = 0; tile < 8; ++tile) bytes[tile] = BYTES, rows[tile] = ROWS;
        bytes[4] = static_cast<std::uint16_t>(depth);
        for (int tile = 5; tile < 8; ++tile) rows[tile] = static_cast<u8>(depth / 4);
    }
};

// Inputs that a tile holds of a pixel: as many tiles of one size as there are inputs.
int depth_of(int inputs) {
    int depth = BYTES;
    while (inputs % depth) depth -= 4;
    return depth;
}

// 16 pixels from `x`, NB tiles of outputs from `first`.
template <int NB>
void block(const PackedPointwise& w, const Quads& in, int depth, int x, int width, int first, const u8* residual,
           u8* out) {
    const s32* bias = w.bias.get() + first;  // every row of a tile of sums begins with it
    _tile_loadd(0, bias, 0);
    if constexpr (NB > 1) _tile_loadd(1, bias + 16, 0);
    if constexpr (NB > 2) _tile_loadd(2, bias + 32, 0);
    if constexpr (NB > 2) _tile_loadd(3, bias + 48, 0);
    const u8* from = in.first + x * in.pixel;
    const s8* weights = w.weights.get() + 4 * first;
    const std::ptrdiff_t quad = 4 * static_cast<std::ptrdiff_t>(w.outputs);
    for (int k = 0; k < w.inputs; k += depth, weights += depth / 4 * quad) {
        _tile_loadd(4, from + k, in.pixel);
        _tile_loadd(5, weights, quad);
        _tile_dpbusd(0, 4, 5);
        if constexpr (NB > 1) {
            _tile_loadd(6, weights + BYTES, quad);
            _tile_dpbusd(1, 4, 6);
        }
        if constexpr (NB > 2) {
            _tile_loadd(7, weights + 2 * BYTES, quad);
            _tile_dpbusd(2, 4, 7);
            _tile_loadd(5, weights + 3 * BYTES, quad);
            _tile_dpbusd(3, 4, 5);
        }
    }
    Zmm::Vector sums[ROWS * NB];  // of a pixel after the other
    _tile_stored(0, sums, NB * BYTES);
    if constexpr (NB > 1) _tile_stored(1, sums + 1, NB * BYTES);
    if constexpr (NB > 2) _tile_stored(2, sums + 2, NB * BYTES);
    if constexpr (NB > 2) _tile_stored(3, sums + 3, NB * BYTES);
#pragma GCC unroll 2
    for (int group = 0; group < ROWS * NB / 4; ++group)
        finish<Zmm, NB>(w, sums + 4 * group, x + 4 * group / NB, width, first, residual, out);
}

// The last block overlaps the one before it: the same outputs are computed twice.
template <int NB>
void along_tiles(const PackedPointwise& w, const Quads& in, int depth, int width, int first, const u8* residual,
                 u8* out) {
    for (int x = 0; x < width; x += ROWS)
        block<NB>(w, in, depth, std::max(0, std::min(x, width - ROWS)), width, first, residual, out);
}

void pointwise(const PackedPointwise& w, const Quads& in, int width, const u8* residual, u8* out) {
    if (in.quad != 4 || w.inputs < LEAST_INPUTS) return AVX512.pointwise(w, in, width, residual, out);
    const int depth = depth_of(w.inputs), whole = w.outputs / 64 * 64;
    const Configuration configuration(depth);
    _tile_loadconfig(&configuration);  // anew for each row: others of the process may use tiles as well
    for (int n = 0; n < whole; n += 64) along_tiles<4>(w, in, depth, width, n, residual, out);
    if (w.outputs - whole == 32) along_tiles<2>(w, in, depth, width, whole, residual, out);
    if (w.outputs == 16) along_tiles<1>(w, in, depth, width, 0, residual, out);
    _tile_release();
}

}  // namespace

const Body AMX = {
    "amx",     AVX512.weave, AVX512.zero, supported, AVX512.pack, AVX512.depthwise,
    pointwise, AVX512.add,   AVX512.head,
};

}  // namespace trackside
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
