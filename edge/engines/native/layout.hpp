// Where tensors lie in memory, and in which order rows are made.
#pragma once

#include "body.hpp"

namespace trackside {

constexpr int SLACK = 16;  // pixels that a pointwise kernel may read beyond a row

// A tensor's memory: rows with BORDER pixels of zeros between them. Only the last `kept` rows are there at a
// time, enough for the next operation; all of them where others read it.
struct Map {
    int channels, level, height, width, kept;
    std::ptrdiff_t stride;
    std::shared_ptr<Array<u8>> memory;

    u8* row(int y) const { return memory->get() + BORDER * channels + y % kept * stride; }
};

// Operations that run row by row behind each other, so that what one writes is still in the cache
// when the next reads it. Operation `first + i` is `delays[i]` rows behind the first.
struct Chain {
    std::size_t first;
    std::vector<int> delays;
    int height;
};

struct Layout {
    std::vector<Map> maps;
    std::vector<Chain> chains;
};

// For so many threads, each of which makes a band of the rows.
Layout lay_out(const Program& program, int height, int width, int threads);

// The tensors as each thread but the first finds them: of those that are never whole, each makes its own.
std::vector<Map> maps_of_a_hand(const Layout& layout);

}  // namespace trackside
