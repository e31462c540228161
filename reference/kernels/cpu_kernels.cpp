// A depthwise 3x3 convolution, and batch normalisation with ReLU, forward and backward, for training
// on a CPU. Tensors are float and lie channels last; 16 neighbouring channels go together. Sums are
// taken image by image and then in order, so that threads do not change a bit of them.

// No more of torch is included than is used: all of it takes a minute to compile.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using at::Tensor;

typedef float Lanes __attribute__((vector_size(64), aligned(4)));
constexpr int64_t kLanes = 16;
constexpr auto kLast = at::MemoryFormat::ChannelsLast;

inline Lanes load(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
inline void store(float* to, Lanes value) { *reinterpret_cast<Lanes*>(to) = value; }
inline Lanes where_positive(Lanes tested, Lanes value) { return tested > 0 ? value : Lanes{}; }
inline void add(double* to, Lanes value) {
  for (int64_t i = 0; i < kLanes; ++i) to[i] += value[i];
}

// What each image adds to sums, and all of them together.
class Sums {
 public:
  Sums(int64_t images, int64_t width) : width_(width), values_(images * width, 0.0) {}
  double* of(int64_t image) { return values_.data() + image * width_; }
  std::vector<double> total() const {
    std::vector<double> total(width_, 0.0);
    for (size_t i = 0; i < values_.size(); ++i) total[i % width_] += values_[i];
    return total;
  }

 private:
  int64_t width_;
  std::vector<double> values_;
};

Tensor as_tensor(const std::vector<double>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kDouble).to(at::kFloat).view(shape);
}

template <typename Work>
void for_each_image(int64_t images, const Work& work) {
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) work(image);
  });
}

// --- depthwise convolution ----------------------------------------------------------------------

// Where the taps of a 3x3 kernel fall: around stride * place, dilation apart; zeros lie outside.
struct Window {
  int64_t rows, columns, channels, out_rows, out_columns, dilation, stride;

  Window(const Tensor& x, int64_t dilation, int64_t stride)
      : rows(x.size(2)), columns(x.size(3)), channels(x.size(1)),
        out_rows((rows - 1) / stride + 1), out_columns((columns - 1) / stride + 1),
        dilation(dilation), stride(stride) {}

  int64_t in_size() const { return rows * columns * channels; }
  int64_t out_size() const { return out_rows * out_columns * channels; }
  int64_t at(int64_t place, int tap) const { return place * stride + (tap - 1) * dilation; }
  // The columns of the output whose three taps all fall inside.
  int64_t first_inside() const { return std::min((dilation + stride - 1) / stride, out_columns); }
  int64_t last_inside() const {
    const int64_t reach = columns - 1 - dilation;
    return std::max(first_inside(), reach < 0 ? 0 : std::min(reach / stride + 1, out_columns));
  }
};

// One row of the output from an image, both at the first of 16 channels.
void convolve_row(const Window& w, const float* in, const Lanes kernel[9], int64_t y, float* out) {
  const auto at_edge = [&](int64_t x) {
    Lanes sum = {};
    for (int i = 0; i < 3; ++i) {
      const int64_t row = w.at(y, i);
      if (row < 0 || row >= w.rows) continue;
      for (int j = 0; j < 3; ++j) {
        const int64_t column = w.at(x, j);
        if (column < 0 || column >= w.columns) continue;
        sum += load(in + (row * w.columns + column) * w.channels) * kernel[i * 3 + j];
      }
    }
    store(out + x * w.channels, sum);
  };
  const bool inside = w.at(y, 0) >= 0 && w.at(y, 2) < w.rows;
  const int64_t begin = inside ? w.first_inside() : w.out_columns, end = w.last_inside();
  const int64_t side = w.dilation * w.channels;
  for (int64_t x = 0; x < begin; ++x) at_edge(x);
  for (int64_t x = begin; x < end; ++x) {
    Lanes sums[3];  // apart, so that no addition waits for the one before
    for (int i = 0; i < 3; ++i) {
      const float* middle = in + (w.at(y, i) * w.columns + x * w.stride) * w.channels;
      sums[i] = load(middle - side) * kernel[i * 3] + load(middle) * kernel[i * 3 + 1] +
                load(middle + side) * kernel[i * 3 + 2];
    }
    store(out + x * w.channels, sums[0] + sums[1] + sums[2]);
  }
  for (int64_t x = std::max(begin, end); x < w.out_columns; ++x) at_edge(x);
}

// What one row of the output's gradient adds to the kernel's.
void correlate_row(const Window& w, const float* in, const float* gradient, int64_t y,
                   Lanes sums[9]) {
  for (int i = 0; i < 3; ++i) {
    const int64_t row = w.at(y, i);
    if (row < 0 || row >= w.rows) continue;
    const float* line = in + row * w.columns * w.channels;
    Lanes left = sums[i * 3], middle = sums[i * 3 + 1], right = sums[i * 3 + 2];
    const auto at_edge = [&](int64_t x) {
      const Lanes g = load(gradient + x * w.channels);
      const int64_t column = x * w.stride;
      if (column >= w.dilation) left += g * load(line + (column - w.dilation) * w.channels);
      middle += g * load(line + column * w.channels);
      if (column + w.dilation < w.columns)
        right += g * load(line + (column + w.dilation) * w.channels);
    };
    const int64_t side = w.dilation * w.channels;
    for (int64_t x = 0; x < w.first_inside(); ++x) at_edge(x);
    for (int64_t x = w.first_inside(); x < w.last_inside(); ++x) {
      const Lanes g = load(gradient + x * w.channels);
      const float* at = line + x * w.stride * w.channels;
      left += g * load(at - side);
      middle += g * load(at);
      right += g * load(at + side);
    }
    for (int64_t x = w.last_inside(); x < w.out_columns; ++x) at_edge(x);
    sums[i * 3] = left, sums[i * 3 + 1] = middle, sums[i * 3 + 2] = right;
  }
}

// Back through a stride: one row of the gradient laid over the rows that it came from.
void scatter_row(const Window& w, const float* gradient, const float* taps, int64_t y, float* to) {
  for (int i = 0; i < 3; ++i) {
    const int64_t row = w.at(y, i);
    if (row < 0 || row >= w.rows) continue;
    for (int j = 0; j < 3; ++j) {
      const Lanes weight = load(taps + (i * 3 + j) * w.channels);
      for (int64_t x = 0; x < w.out_columns; ++x) {
        const int64_t column = w.at(x, j);
        if (column < 0 || column >= w.columns) continue;
        float* place = to + (row * w.columns + column) * w.channels;
        store(place, load(place) + weight * load(gradient + x * w.channels));
      }
    }
  }
}

// x: N,C,H,W; taps: 9,C.
Tensor depthwise(const Tensor& x, const Tensor& taps, int64_t dilation, int64_t stride) {
  const Window w(x, dilation, stride);
  const Tensor out = at::empty({x.size(0), w.channels, w.out_rows, w.out_columns},
                               x.options().memory_format(kLast));
  const float *in = x.data_ptr<float>(), *weights = taps.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for_each_image(x.size(0), [&](int64_t n) {
    for (int64_t y = 0; y < w.out_rows; ++y)
      for (int64_t c = 0; c < w.channels; c += kLanes) {
        Lanes kernel[9];
        for (int i = 0; i < 9; ++i) kernel[i] = load(weights + i * w.channels + c);
        convolve_row(w, in + n * w.in_size() + c, kernel, y,
                     to + n * w.out_size() + y * w.out_columns * w.channels + c);
      }
  });
  return out;
}

// The gradients of x and of the taps.
std::vector<Tensor> depthwise_backward(const Tensor& given, const Tensor& x, const Tensor& taps,
                                       int64_t dilation, int64_t stride) {
  const Tensor gradient = given.contiguous(kLast);
  const Window w(x, dilation, stride);
  const float *in = x.data_ptr<float>(), *g = gradient.data_ptr<float>();
  Sums sums(x.size(0), 9 * w.channels);
  for_each_image(x.size(0), [&](int64_t n) {
    for (int64_t y = 0; y < w.out_rows; ++y)
      for (int64_t c = 0; c < w.channels; c += kLanes) {
        Lanes kernel[9] = {};
        const float* row = g + n * w.out_size() + y * w.out_columns * w.channels + c;
        correlate_row(w, in + n * w.in_size() + c, row, y, kernel);
        for (int i = 0; i < 9; ++i) add(sums.of(n) + i * w.channels + c, kernel[i]);
      }
  });
  const Tensor for_taps = as_tensor(sums.total(), {9, w.channels});
  if (stride == 1) return {depthwise(gradient, taps.flip(0), dilation, 1), for_taps};
  const Tensor for_x = at::zeros_like(x);
  const float* weights = taps.data_ptr<float>();
  float* to = for_x.data_ptr<float>();
  for_each_image(x.size(0), [&](int64_t n) {
    for (int64_t y = 0; y < w.out_rows; ++y)
      for (int64_t c = 0; c < w.channels; c += kLanes)
        scatter_row(w, g + n * w.out_size() + y * w.out_columns * w.channels + c, weights + c, y,
                    to + n * w.in_size() + c);
  });
  return {for_x, for_taps};
}

// --- batch normalisation with ReLU --------------------------------------------------------------

// Pixels that lie in the first-level cache for all their channels.
constexpr int64_t kTile = 64;

template <typename Work>
void for_each_tile(const Tensor& x, const Work& work) {
  const int64_t pixels = x.size(2) * x.size(3), channels = x.size(1);
  for_each_image(x.size(0), [&](int64_t n) {
    for (int64_t begin = 0; begin < pixels; begin += kTile)
      for (int64_t c = 0; c < channels; c += kLanes)
        work(n, c, (n * pixels + begin) * channels + c,
             (n * pixels + std::min(pixels, begin + kTile)) * channels);
  });
}

// The result, the batch's mean and variance, and one over its deviation; each of C.
std::vector<Tensor> norm_relu(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                              double epsilon) {
  const int64_t channels = x.size(1);
  const double count = double(x.numel() / channels);
  const float* in = x.data_ptr<float>();
  Sums sums(x.size(0), 2 * channels);
  for_each_tile(x, [&](int64_t n, int64_t c, int64_t begin, int64_t end) {
    Lanes sum = {}, squares = {};
    for (int64_t at = begin; at < end; at += channels) {
      const Lanes value = load(in + at);
      sum += value;
      squares += value * value;
    }
    add(sums.of(n) + c, sum);
    add(sums.of(n) + channels + c, squares);
  });
  const Tensor moments = at::tensor(sums.total(), at::kDouble).view({2, channels}) / count;
  const Tensor exact_variance = (moments[1] - moments[0].square()).clamp_min(0);
  const Tensor mean = moments[0].to(at::kFloat), variance = exact_variance.to(at::kFloat);
  const Tensor inverse = (exact_variance + epsilon).rsqrt().to(at::kFloat);
  const Tensor scale = gamma * inverse, shift = beta - mean * scale;
  const float *scales = scale.data_ptr<float>(), *shifts = shift.data_ptr<float>();
  const Tensor out = at::empty_like(x);
  float* to = out.data_ptr<float>();
  for_each_tile(x, [&](int64_t, int64_t c, int64_t begin, int64_t end) {
    const Lanes by = load(scales + c), plus = load(shifts + c);
    for (int64_t at = begin; at < end; at += channels) {
      const Lanes value = load(in + at) * by + plus;
      store(to + at, where_positive(value, value));
    }
  });
  return {out, mean, variance, inverse};
}

// The gradients of x, gamma and beta.
std::vector<Tensor> norm_relu_backward(const Tensor& given, const Tensor& x, const Tensor& gamma,
                                       const Tensor& beta, const Tensor& mean,
                                       const Tensor& inverse) {
  const Tensor gradient = given.contiguous(kLast);
  const int64_t channels = x.size(1);
  const float count = float(x.numel() / channels);
  const float *in = x.data_ptr<float>(), *g = gradient.data_ptr<float>();
  const float *inverses = inverse.data_ptr<float>(), *means = mean.data_ptr<float>();
  const float *gammas = gamma.data_ptr<float>(), *betas = beta.data_ptr<float>();
  Sums sums(x.size(0), 2 * channels);
  for_each_tile(x, [&](int64_t n, int64_t c, int64_t begin, int64_t end) {
    const Lanes by = load(inverses + c), centre = load(means + c);
    const Lanes scale = load(gammas + c), shift = load(betas + c);
    Lanes for_gamma = {}, for_beta = {};
    for (int64_t at = begin; at < end; at += channels) {
      const Lanes normal = (load(in + at) - centre) * by;
      const Lanes passed = where_positive(normal * scale + shift, load(g + at));
      for_gamma += passed * normal;
      for_beta += passed;
    }
    add(sums.of(n) + c, for_gamma);
    add(sums.of(n) + channels + c, for_beta);
  });
  const Tensor totals = as_tensor(sums.total(), {2, channels});
  const Tensor factor = gamma * inverse, means_of = totals / count;
  const float *factors = factor.data_ptr<float>(), *tilt = means_of[0].data_ptr<float>();
  const float* level = means_of[1].data_ptr<float>();
  const Tensor for_x = at::empty_like(x);
  float* to = for_x.data_ptr<float>();
  for_each_tile(x, [&](int64_t, int64_t c, int64_t begin, int64_t end) {
    const Lanes by = load(inverses + c), centre = load(means + c), times = load(factors + c);
    const Lanes scale = load(gammas + c), shift = load(betas + c);
    const Lanes slope = load(tilt + c), offset = load(level + c);
    for (int64_t at = begin; at < end; at += channels) {
      const Lanes normal = (load(in + at) - centre) * by;
      const Lanes passed = where_positive(normal * scale + shift, load(g + at));
      store(to + at, times * (passed - offset - normal * slope));
    }
  });
  return {for_x, totals[0], totals[1]};
}

}  // namespace

TORCH_LIBRARY(trackside_cpu_kernels, library) {
  library.def("depthwise(Tensor x, Tensor taps, int dilation, int stride) -> Tensor", &depthwise);
  library.def(
      "depthwise_backward(Tensor gradient, Tensor x, Tensor taps, int dilation, int stride)"
      " -> Tensor[]", &depthwise_backward);
  library.def("norm_relu(Tensor x, Tensor gamma, Tensor beta, float epsilon) -> Tensor[]",
              &norm_relu);
  library.def(
      "norm_relu_backward(Tensor gradient, Tensor x, Tensor gamma, Tensor beta, Tensor mean,"
      " Tensor inverse) -> Tensor[]", &norm_relu_backward);
}
