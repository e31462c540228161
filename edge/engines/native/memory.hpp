// Arrays that vectors may read and write whole: aligned, zeroed, with slack after their end.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace trackside {

template <class T>
class Array {
public:
    static constexpr std::size_t ALIGNMENT = 64;

    Array() = default;
    explicit Array(std::size_t count)
        : bytes_((count * sizeof(T) / ALIGNMENT + 2) * ALIGNMENT),
          data_(static_cast<T*>(std::aligned_alloc(ALIGNMENT, bytes_))) {
        if (!data_) throw std::bad_alloc();
        std::memset(data_.get(), 0, bytes_);
    }

    T* get() { return data_.get(); }
    const T* get() const { return data_.get(); }
    T& operator[](std::size_t i) { return data_.get()[i]; }
    const T& operator[](std::size_t i) const { return data_.get()[i]; }

private:
    struct Free {
        void operator()(T* data) const { std::free(data); }
    };

    std::size_t bytes_ = 0;
    std::unique_ptr<T, Free> data_;
};

template <class To, class From>
Array<To> copied(const std::vector<From>& from) {
    Array<To> to(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i];
    return to;
}

}  // namespace trackside
