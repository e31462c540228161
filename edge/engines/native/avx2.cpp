// The AVX2 body.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#pragma GCC push_options
#pragma GCC target("avx2")
#include "x86_depthwise_pairs.hpp"
#include "x86_head.hpp"
#include "x86_pointwise.hpp"
#include "x86_sum.hpp"
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
                   [] { return __builtin_cpu_supports("avx2") != 0; },
                   pack_pointwise<Ymm::BYTES>,
                   depthwise_pairs<Ymm>,
                   pointwise_ymm<Multiply>,
                   add<Ymm>,
                     head};

}  // namespace trackside
#pragma GCC pop_options
#endif
