// The bodies there are, and which of them this CPU runs.
#include "body.hpp"

namespace trackside {

std::vector<const Body*> bodies() {
    std::vector<const Body*> supported;
    for (const Body* body : {
#if defined(__x86_64__)
#if defined(TRACKSIDE_TILES)
             &AMX,
#endif
             &AVX512, &AVX_VNNI, &AVX2,
#elif defined(__aarch64__)
             &I8MM, &NEON,
#endif
             &PORTABLE})
        if (body->supported()) supported.push_back(body);
    return supported;
}

}  // namespace trackside
