#include "device.hpp"

namespace cannsim {

Stream::Stream(int id) : id_(id), worker_([this] { work(); }) {}

Stream::~Stream() {
    {
        const std::lock_guard<std::mutex> lock(guard_);
        closing_ = true;
    }
    changed_.notify_all();
    if (worker_.get_id() == std::this_thread::get_id()) {
        worker_.detach();  // destroyed by one of its own callbacks
    } else {
        worker_.join();
    }
}

void Stream::push(Task task) {
    {
        const std::lock_guard<std::mutex> lock(guard_);
        queue_.push_back(std::move(task));
    }
    changed_.notify_all();
}

aclError Stream::wait(int timeout_ms) {
    std::unique_lock<std::mutex> lock(guard_);
    const auto done = [this] { return queue_.empty() && !running_; };
    if (timeout_ms < 0) {
        changed_.wait(lock, done);
    } else if (!changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), done)) {
        return ACL_ERROR_RT_STREAM_SYNC_TIMEOUT;
    }
    const aclError error = first_error_;
    first_error_ = ACL_SUCCESS;
    return error;
}

bool Stream::idle() {
    const std::lock_guard<std::mutex> lock(guard_);
    return queue_.empty() && !running_;
}

void Stream::work() {
    std::unique_lock<std::mutex> lock(guard_);
    for (;;) {
        changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;  // closing, and all done
        Task task = std::move(queue_.front());
        queue_.pop_front();
        running_ = true;
        lock.unlock();
        const aclError error = task();
        task = nullptr;
        lock.lock();
        running_ = false;
        if (error != ACL_SUCCESS && first_error_ == ACL_SUCCESS) first_error_ = error;
        changed_.notify_all();
    }
}

}  // namespace cannsim
