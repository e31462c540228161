// Where tensors lie in memory, and in which order rows are made.
#pragma once

#include "body.hpp"

namespace trackside {

constexpr int SLACK = 16;  // pixels that a pointwise kernel may read beyond a row

// A tensor's memory: rows with BORDER pixels of zeros between them. Only the last `kept` rows are
// there at a time; all of them where others than the next operation read them.
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

// Where they may not be `chained`, each operation is a chain of its own and every row is kept.
Layout lay_out(const Program& program, int height, int width, bool chained);

}  // namespace trackside
