// The AVX2 body.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#include "x86_cpu.hpp"
#ifdef __clang__  // which reads GCC's pragma and lets it be
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#include "x86_depthwise_pairs.hpp"
#include "x86_head.hpp"
#include "x86_pointwise.hpp"
#include "x86_sum.hpp"
#include "xmm.hpp"
#include "ymm.hpp"

namespace trackside {
namespace {

// No pair of products saturates 16 bits: the artefact's weights are bounded so.
struct Multiply : Ymm {
    static Vector dot(Vector sum, Vector four, Vector w) {
        const Vector pairs = _mm256_maddubs_epi16(four, w);
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, all16(1)));
    }
};

}  // namespace

const Body AVX2 = {"avx2",
                   Weave::PAIRS,
                   0,
                   x86::has_avx2,
                   pack_pointwise<Ymm::BYTES>,
                   depthwise_pairs<Ymm, Xmm>,
                   pointwise_ymm<Multiply>,
                   add<Ymm>,
                   head<Ymm>};

}  // namespace trackside
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
