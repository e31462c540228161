// Threads that do one picture together: asleep between pictures, and after a moment's wait within one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace trackside {

class Crew {
public:
    // `size` of them, of which the one that calls `run` is the first.
    explicit Crew(int size);
    ~Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    int size() const { return static_cast<int>(others_.size()) + 1; }

    // Calls `work` with 0, 1 ... at once, each in a thread of its own, and returns when all have.
    void run(const std::function<void(int)>& work);

    // From within `work`: returns when all have come here.
    void meet();

private:
    void serve(int member);
    void dismiss();

    std::mutex mutex_;
    std::condition_variable called_, met_;
    const std::function<void(int)>* work_ = nullptr;  // under the mutex, as what follows
    unsigned calls_ = 0;
    bool ended_ = false;
    std::atomic<int> arrived_{0};
    std::atomic<unsigned> meetings_{0};
    std::vector<std::thread> others_;
};

}  // namespace trackside
