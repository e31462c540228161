// How long each kernel of the native engine takes for one row: built and run by native_kernels.py.
//
//     native_kernels WIDTH ROUNDS    for a picture so wide; writes BODY KERNEL SHAPE OPERATIONS NANOSECONDS
//
// Shapes are those of the shipped network. A row is made over and over, from memory that is in the cache
// as far as it fits, and the fastest of all rounds counts: what the kernel can do, not what a busy machine lets it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>

#include "../edge/engines/native/packing.hpp"

using namespace trackside;

namespace {

constexpr int TURN_NS = 300000;  // of one kernel in one round: short, so that all meet the same noise
constexpr int ROWS = 17;         // what the widest dilation reads

std::mt19937 draw(1);

template <class T>
std::vector<T> drawn(std::size_t count, int least, int most) {
    std::vector<T> values(count);
    for (T& value : values) value = static_cast<T>(least + static_cast<int>(draw() % (most - least + 1)));
    return values;
}

// Rows of pixels with borders of zeros, as a tensor has them.
struct Picture {
    int channels, width;
    std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(width + BORDER) * channels;
    Array<u8> bytes{static_cast<std::size_t>((ROWS + 1) * stride + 24 * channels)};

    Picture(int of_channels, int of_width) : channels(of_channels), width(of_width) {
        for (int y = 0; y < ROWS; ++y)
            for (std::ptrdiff_t i = 0; i < width * channels; ++i) row(y)[i] = static_cast<u8>(draw());
    }
    u8* row(int y) { return bytes.get() + BORDER * channels + y * stride; }
};

struct Timed {
    std::string kernel, shape;
    double operations;
    std::function<void()> run;
    std::shared_ptr<void> kept = nullptr;  // what `run` reads through plain pointers
    double fastest_ns = 1e18;
};

void turn(Timed& timed) {
    using clock = std::chrono::steady_clock;
    const auto end = clock::now() + std::chrono::nanoseconds(TURN_NS);
    for (auto start = clock::now(); start < end;) {
        for (int i = 0; i < 4; ++i) timed.run();
        const auto now = clock::now();
        const double ns = std::chrono::duration<double, std::nano>(now - start).count() / 4;
        if (ns < timed.fastest_ns) timed.fastest_ns = ns;
        start = now;
    }
}

std::shared_ptr<Workspace> workspace(int channels, int width) {
    auto work = std::make_shared<Workspace>();
    const std::size_t row = static_cast<std::size_t>(width + 2 * BORDER + 16) * channels;
    work->plane = chunk(channels) + 4 * VECTOR + 2 * BORDER * channels;
    for (Array<u8>& woven : work->woven) woven = Array<u8>(4 * static_cast<std::size_t>(work->plane));
    work->sums = Array<s16>(std::max<std::size_t>(row, work->plane));
    work->column = Array<s16>(row);
    for (Array<s16>& doubled : work->doubled) doubled = Array<s16>(row);
    return work;
}

Requantisation requantisation(int outputs, bool residual) {
    return {drawn<s32>(outputs, -999, 9999), drawn<u8>(outputs, 0, 4), drawn<s16>(outputs, 100, 900),
            residual ? drawn<s16>(outputs, 8000, 16000) : std::vector<s16>()};
}

Timed depthwise(const Body& body, int channels, int width, std::vector<int> dilations, int stride = 1) {
    Module module{};
    module.stride = stride;
    const bool plain = dilations.size() == 1;
    for (int dilation : dilations)
        module.branches.push_back({dilation, drawn<s8>(9 * channels, -13, 13), drawn<s16>(channels, -99, 99),
                                   plain ? std::vector<s8>(channels, 1) : drawn<s8>(channels, 0, 1)});
    for (Branch& branch : module.branches)
        for (s8& sign : branch.sign) sign = sign ? 1 : -1;
    module.mix = plain ? std::vector<s16>(channels) : drawn<s16>(channels, -99, 999);
    module.squeeze = drawn<s16>(channels, 200, 900);
    auto packed = std::make_shared<Packed>(pack(module, body));
    auto picture = std::make_shared<Picture>(channels, stride * width);
    auto out = std::make_shared<Array<u8>>(static_cast<std::size_t>(width) * channels + VECTOR);
    auto work = workspace(packed->branches.period, width);
    work->plane = chunk(packed->branches.period) + 2 * BORDER * channels + VECTOR;
    auto rows = std::make_shared<std::vector<BranchRow>>();
    for (int dilation : dilations) {
        BranchRow row{{}, dilation * channels};
        for (int r = 0; r < 3; ++r) row.rows[r] = picture->row(ROWS / 2 + (r - 1) * dilation);
        rows->push_back(row);
    }
    const int size = (width * channels + VECTOR - 1) / VECTOR * VECTOR;
    const std::string shape = std::to_string(channels) + "x" + std::to_string(width) + (plain ? ",1" : ",4") +
                              (stride == 2 ? ",halved" : "");
    return {"depthwise", shape, 18.0 * dilations.size() * channels * width,
            [=, &body] { body.depthwise(packed->branches, rows->data(), size, *work, out->get()); }, picture};
}

Timed pointwise(const Body& body, int inputs, int outputs, int width, bool residual) {
    Module module{};
    module.pointwise.push_back({inputs, outputs, drawn<s8>(static_cast<std::size_t>(inputs) * outputs, -60, 60),
                                requantisation(outputs, residual)});
    auto packed = std::make_shared<Packed>(pack(module, body));
    auto picture = std::make_shared<Picture>(inputs, width);
    auto own = std::make_shared<Picture>(outputs, width);
    auto out = std::make_shared<Picture>(outputs, width);
    const std::string shape = std::to_string(inputs) + ">" + std::to_string(outputs) + "x" + std::to_string(width) +
                              (residual ? ",residual" : "");
    return {"pointwise", shape, 2.0 * inputs * outputs * width, [=, &body] {
                body.pointwise(packed->pointwise[0], {picture->row(0), inputs, 4}, width,
                               residual ? own->row(0) : nullptr, out->row(0));
            }};
}

Timed stem(const Body& body, int outputs, int width) {
    Stem made{0, {12, outputs, drawn<s8>(12 * static_cast<std::size_t>(outputs), -60, 60), requantisation(outputs, false)}};
    auto packed = std::make_shared<Packed>(pack(made, body));
    auto pixels = std::make_shared<Picture>(16, width);
    auto out = std::make_shared<Picture>(outputs, width);
    return {"stem", std::to_string(outputs) + "x" + std::to_string(width), 18.0 * outputs * width, [=, &body] {
                body.pointwise(packed->pointwise[0], {pixels->row(0), 2, pixels->stride}, width, nullptr, out->row(0));
            }};
}

Timed sum(const Body& body, int channels, int width) {
    Add add{0, {{0, drawn<s16>(channels, 3000, 9000)}, {1, drawn<s16>(channels, 3000, 9000)}}};
    auto packed = std::make_shared<Packed>(pack(add, body));
    auto whole = std::make_shared<Picture>(channels, width), half = std::make_shared<Picture>(channels, width / 2);
    auto out = std::make_shared<Picture>(channels, width);
    auto work = workspace(channels, width);
    return {"sum", std::to_string(channels) + "x" + std::to_string(width), 4.0 * channels * width, [=, &body] {
                const SummandRow rows[] = {{packed->multipliers[0].get(), whole->row(0), nullptr},
                                           {packed->multipliers[1].get(), half->row(0), half->row(1)}};
                body.add(rows, 2, width, channels, *work, out->row(0));
            }};
}

Timed head(const Body& body, int channels, int width) {
    Head made{0, 1, drawn<s16>(channels, -9999, 9999), {1e-5f}, {0.5f}};
    auto packed = std::make_shared<Packed>(pack(made, body));
    auto picture = std::make_shared<Picture>(channels, width);
    auto out = std::make_shared<std::vector<float>>(width);
    return {"head", std::to_string(channels) + "x" + std::to_string(width), 2.0 * channels * width,
            [=, &body] { body.head(packed->head, picture->row(0), width, out->data(), 0); }};
}

std::vector<Timed> kernels(const Body& body, int wide) {
    std::vector<Timed> all{stem(body, 16, wide / 2), sum(body, 16, wide / 2), sum(body, 32, wide / 4),
                           head(body, 16, wide / 2), depthwise(body, 16, wide / 2, {1}),
                           depthwise(body, 32, wide / 4, {2}), depthwise(body, 16, wide / 4, {1}, 2),
                           depthwise(body, 64, wide / 16, {1}, 2)};
    const int channels[] = {32, 64, 96, 128};
    for (int i = 0; i < 4; ++i) all.push_back(depthwise(body, channels[i], wide >> (i + 2), {1, 2, 4, 8}));
    all.push_back(pointwise(body, 16, 16, wide / 2, false));
    all.push_back(pointwise(body, 32, 32, wide / 4, false));
    for (int i = 0; i < 4; ++i) all.push_back(pointwise(body, channels[i], channels[i], wide >> (i + 2), true));
    return all;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) return 2;
    const int wide = std::atoi(arguments[1]), rounds = std::atoi(arguments[2]);
    for (const Body* body : bodies()) {
        std::vector<Timed> all = kernels(*body, wide);
        for (int i = 0; i < rounds; ++i)
            for (Timed& timed : all) turn(timed);
        for (const Timed& timed : all)
            std::printf("%s %s %s %.0f %.1f\n", body->name, timed.kernel.c_str(), timed.shape.c_str(), timed.operations,
                        timed.fastest_ns);
    }
    return 0;
}
