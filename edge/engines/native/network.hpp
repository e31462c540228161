// A network ready to run at one image size with one body. One thread at a time; no allocation in run.
#pragma once

#include "body.hpp"

namespace trackside {

// A size that the network cannot have; the message says which it can.
struct BadSize : std::runtime_error {
    using runtime_error::runtime_error;
};

class Network {
public:
    Network(Program program, int height, int width, const Body& body);

    // `pixels` H,W to `logits` of output_height, output_width.
    void run(const u8* pixels, float* logits);

    int output_height() const { return height_ >> head_level_; }
    int output_width() const { return width_ >> head_level_; }

private:
    // A tensor's memory: rows with BORDER pixels of zeros between them.
    struct Map {
        int channels, level, height, width;
        std::ptrdiff_t stride;
        std::shared_ptr<Array<u8>> memory;

        u8* row(int y) const { return memory->get() + BORDER * channels + y * stride; }
    };
    struct Packed {
        PackedBranches branches;
        std::vector<PackedPointwise> pointwise;
        std::vector<Array<s16>> multipliers;  // of a sum
    };

    void place_tensors();
    void pack_weights();
    void reserve_workspace();
    PackedBranches pack_branches(const Module& module) const;
    PackedPointwise pack_pointwise(const Pointwise& pointwise) const;

    void run(const Stem& stem, const Packed& packed);
    void run(const Module& module, const Packed& packed);
    void run(const Add& add, const Packed& packed);
    void run(const Head& head, const Packed& packed);
    void branch_rows(const Module& module, int y, BranchRow* rows);
    const u8* split_row(const Map& from, int y, int slot);
    static void copy_slice(const u8* from, int channels, const Map& out, int y, int offset);
    const u8* row_or_zeros(const Map& map, int y) const;

    Program program_;
    const int height_, width_;
    const Body& body_;
    int head_level_ = 0;
    std::vector<Map> maps_;
    std::vector<Packed> packed_;
    Workspace work_;
    Array<u8> image_, middle_, zeros_, slice_, split_;
    float* logits_ = nullptr;
};

}  // namespace trackside
