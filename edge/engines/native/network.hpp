// A network ready to run at one image size with one body. One thread at a time; no allocation in run.
#pragma once

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

class Network {
public:
    Network(Program program, int height, int width, const Body& body);

    // `pixels` H,W to `logits` of the shape of output(), and `names` of names(), if there are any.
    void run(const u8* pixels, float* logits, float* names);

    Shape output() const { return shape_of(program_.operations.size() - 1); }
    Shape names() const { return program_.names ? shape_of(*program_.names) : Shape{0, 0, 0}; }

private:
    void reserve_workspace();
    Shape shape_of(std::size_t head) const;

    // Each makes row `y` of its output.
    void make(const Stem& stem, const Packed& packed, int y);
    void make(const Module& module, const Packed& packed, int y);
    void make(const Add& add, const Packed& packed, int y);
    void make(const Head& head, const Packed& packed, int y);

    void branch_rows(const Module& module, int y, BranchRow* rows);
    void split_row(const Map& from, int y, int slot, const u8** sources);
    const u8* row_or_zeros(const Map& map, int y) const;
    static void copy_slice(const u8* from, int channels, const Map& out, int y, int offset);

    const Program program_;
    const int height_, width_;
    const Body& body_;
    const Layout layout_;
    std::vector<Packed> packed_;
    Workspace work_;
    Array<u8> image_, middle_, zeros_, slice_, split_;
    const u8* pixels_ = nullptr;
    float *logits_ = nullptr, *names_ = nullptr;
};

}  // namespace trackside
