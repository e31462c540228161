// A network ready to run at one image size with one body; no allocation in run.
#pragma once

#include <optional>

#include "crew.hpp"
#include "layout.hpp"
#include "packing.hpp"

namespace trackside {

// A size that the network cannot have; the message says which it can.
struct BadSize : std::runtime_error {
    using runtime_error::runtime_error;
};

struct Shape {
    int channels, height, width;
};

// What a thread makes rows with, and where it finds them: of a tensor that is never whole it has rows of its own.
struct Hand {
    Workspace work;
    Array<u8> image, middle, slice;
    std::vector<Map> maps;
};

class Network {
public:
    // Up to `threads` make a picture together, each a band of its rows, where it is large enough for that.
    Network(Program program, int height, int width, const Body& body, int threads = 1);

    // `pixels` H,W to `logits` of the shape of output(), and `names` of names(), if there are any.
    // One call at a time.
    void run(const u8* pixels, float* logits, float* names);

    Shape output() const { return shape_of(program_.operations.size() - 1); }
    Shape names() const { return program_.names ? shape_of(*program_.names) : Shape{0, 0, 0}; }

private:
    Hand new_hand() const;
    Shape shape_of(std::size_t head) const;
    void run_band(int band);
    void run_chain(const Chain& chain, int first, int end, Hand& hand) const;

    // Each makes row `y` of its output.
    void make_row(std::size_t operation, int y, Hand& hand) const;
    void make(const Stem& stem, const Packed& packed, int y, Hand& hand) const;
    void make(const Module& module, const Packed& packed, int y, Hand& hand) const;
    void make(const Add& add, const Packed& packed, int y, Hand& hand) const;
    void make(const Head& head, const Packed& packed, int y, Hand& hand) const;

    void branch_rows(const Module& module, const Map& in, int y, BranchRow* rows) const;
    const u8* row_or_zeros(const Map& map, int y) const;
    static void copy_slice(const u8* from, int channels, const Map& out, int y, int offset);

    const Program program_;
    const int height_, width_;
    const Body& body_;
    const Layout layout_;
    std::vector<Packed> packed_;
    std::size_t row_ = 0, channels_ = 0;  // bytes of the longest row, channels of the deepest pixel
    Array<u8> zeros_;
    const u8* pixels_ = nullptr;
    float *logits_ = nullptr, *names_ = nullptr;
    std::vector<Hand> hands_;
    std::optional<Crew> crew_;  // where there are several hands
};

}  // namespace trackside
