// Contexts, streams and events: what a call is made in, and in which order work is done.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "acl/acl_rt.h"

namespace cannsim {

// A queue of work with a thread of its own, so that asynchronous calls really are.
class Stream {
public:
    explicit Stream(int id);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    using Task = std::function<aclError()>;
    void push(Task task);
    // Waits until all that was pushed is done (timeout in ms, negative: for ever); the first error since the last wait.
    aclError wait(int timeout_ms);
    bool idle();
    int id() const { return id_; }

    uint64_t subscriber = 0;  // thread that serves this stream's callbacks; guarded by the callback module

private:
    void work();

    const int id_;
    std::mutex guard_;
    std::condition_variable changed_;
    std::deque<Task> queue_;
    bool running_ = false;
    bool closing_ = false;
    aclError first_error_ = ACL_SUCCESS;
    std::thread worker_;
};

struct Event {
    std::mutex guard;
    std::condition_variable changed;
    bool recorded = false;  // aclrtRecordEvent was called
    bool complete = false;  // and the stream has come to it
    std::chrono::steady_clock::time_point when;
};

struct Context {
    int device = 0;
    bool primary = false;
    std::shared_ptr<Stream> default_stream;
};

// The current context of this thread, or null after recording 107002 (which the caller then returns).
std::shared_ptr<Context> current_context();
// The stream behind a handle (null: the context's default stream), or null after recording the error in `error`.
std::shared_ptr<Stream> find_stream(aclrtStream handle, aclError* error);
// Error 100001 unless aclInit was called; ACL_SUCCESS otherwise.
aclError require_init();
bool is_initialised();

// For the leak report and for aclFinalize.
struct Held {
    size_t contexts;
    size_t streams;
    size_t events;
};
Held held_by_the_program();
void forget_contexts();

}  // namespace cannsim
