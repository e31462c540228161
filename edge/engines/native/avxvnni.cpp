// The AVX-VNNI body: AVX2's vectors with a dot product of bytes, as in today's small Intel CPUs.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>

// Standard headers come first: what they inline must run on any CPU.
#include "body.hpp"
#pragma GCC push_options
#pragma GCC target("avx2,avxvnni")
#include "ymm.hpp"

namespace trackside {
namespace {

struct Dot : Ymm {
    static Vector dot(Vector sum, Vector four, Vector w) { return _mm256_dpbusd_avx_epi32(sum, four, w); }
};

}  // namespace

const Body AVX_VNNI = {"avxvnni", true, [] { return __builtin_cpu_supports("avxvnni") != 0; },
                      pack_quads, depthwise<Ymm>, pointwise<Dot>, add<Ymm>};

}  // namespace trackside
#pragma GCC pop_options
#endif
