// Waits by looking, for as long as an operation's bands may differ, and then asleep: on a busy machine whoever
// is waited for has no processor, and looking on would only keep it from getting one.
#include "crew.hpp"

namespace trackside {
namespace {

constexpr int LOOKS = 2000;  // some tens of microseconds

inline void breathe() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

Crew::Crew(int size) {
    try {
        for (int member = 1; member < size; ++member) others_.emplace_back([this, member] { serve(member); });
    } catch (...) {  // the system has no thread more
        dismiss();
        throw;
    }
}

Crew::~Crew() { dismiss(); }

void Crew::dismiss() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    called_.notify_all();
    for (std::thread& other : others_) other.join();
}

void Crew::run(const std::function<void(int)>& work) {
    {
        const std::lock_guard lock(mutex_);
        work_ = &work;
        ++calls_;
    }
    called_.notify_all();
    work(0);
    meet();
}

void Crew::serve(int member) {
    for (unsigned served = 0;;) {
        const std::function<void(int)>* work;
        {
            std::unique_lock lock(mutex_);
            called_.wait(lock, [&] { return ended_ || calls_ != served; });
            if (ended_) return;
            served = calls_;
            work = work_;
        }
        (*work)(member);
        meet();
    }
}

void Crew::meet() {
    const unsigned meeting = meetings_.load();
    if (arrived_.fetch_add(1) + 1 == size()) {
        arrived_.store(0);
        {
            const std::lock_guard lock(mutex_);
            meetings_.fetch_add(1);
        }
        met_.notify_all();
        return;
    }
    for (int look = 0; look < LOOKS; ++look) {
        if (meetings_.load() != meeting) return;
        breathe();
    }
    std::unique_lock lock(mutex_);
    met_.wait(lock, [&] { return meetings_.load() != meeting; });
}

}  // namespace trackside
