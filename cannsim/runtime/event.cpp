// Events, and callbacks a host thread serves.
#include <map>

#include <pthread.h>

#include "device.hpp"
#include "error.hpp"

namespace cannsim {
namespace {

std::mutex guard;
std::map<Event*, std::shared_ptr<Event>> events;

std::shared_ptr<Event> find_event(aclrtEvent handle) {
    const std::lock_guard<std::mutex> lock(guard);
    const auto found = events.find(static_cast<Event*>(handle));
    return found == events.end() ? nullptr : found->second;
}

aclError no_event() { return runtime_fault(ACL_ERROR_RT_INVALID_HANDLE, "the event does not exist"); }

struct Report {
    aclrtCallback call;
    void* user_data;
    std::shared_ptr<Event> done;  // null: the stream does not wait
};

struct Mailbox {
    std::deque<Report> reports;
    int streams = 0;
};

std::mutex mail_guard;
std::condition_variable mail_changed;
std::map<uint64_t, Mailbox> mailboxes;

void complete(Event& event) {
    {
        const std::lock_guard<std::mutex> lock(event.guard);
        event.complete = true;
        event.when = std::chrono::steady_clock::now();
    }
    event.changed.notify_all();
}

aclError deliver(uint64_t thread, aclrtCallback call, void* user_data, bool block) {
    auto done = block ? std::make_shared<Event>() : nullptr;
    {
        const std::lock_guard<std::mutex> lock(mail_guard);
        const auto box = mailboxes.find(thread);
        if (box == mailboxes.end()) return ACL_ERROR_RT_STREAM_NO_CB_REG;  // unsubscribed meanwhile
        box->second.reports.push_back({call, user_data, done});
    }
    mail_changed.notify_all();
    if (done != nullptr) {
        std::unique_lock<std::mutex> lock(done->guard);
        done->changed.wait(lock, [&] { return done->complete; });
    }
    return ACL_SUCCESS;
}

}  // namespace
}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclError aclrtCreateEvent(aclrtEvent* event) {
    if (event == nullptr) return null_argument("event");
    if (current_context() == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    const auto made = std::make_shared<Event>();
    const std::lock_guard<std::mutex> lock(guard);
    events[made.get()] = made;
    *event = made.get();
    return ACL_SUCCESS;
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
    constexpr uint32_t kKnown = ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE;
    if (flag == 0 || (flag & ~kKnown) != 0) return bad_value(std::to_string(flag), "flag", "unknown flag");
    return aclrtCreateEvent(event);
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) { return aclrtCreateEventWithFlag(event, flag); }

aclError aclrtDestroyEvent(aclrtEvent event) {
    if (event == nullptr) return null_argument("event");
    const std::lock_guard<std::mutex> lock(guard);
    return events.erase(static_cast<Event*>(event)) > 0 ? ACL_SUCCESS : no_event();
}

aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream) {
    if (event == nullptr) return null_argument("event");
    const auto found = find_event(event);
    if (found == nullptr) return no_event();
    aclError error = ACL_SUCCESS;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    {
        const std::lock_guard<std::mutex> lock(found->guard);
        found->recorded = true;
        found->complete = false;
    }
    queue->push([found] {
        complete(*found);
        return ACL_SUCCESS;
    });
    return ACL_SUCCESS;
}

aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream) {
    if (event == nullptr) return null_argument("event");
    const auto found = find_event(event);
    if (found == nullptr) return no_event();
    aclError error = ACL_SUCCESS;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    queue->push([found] {
        const std::lock_guard<std::mutex> lock(found->guard);
        found->recorded = found->complete = false;
        return ACL_SUCCESS;
    });
    return ACL_SUCCESS;
}

aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status) {
    if (event == nullptr) return null_argument("event");
    if (status == nullptr) return null_argument("status");
    const auto found = find_event(event);
    if (found == nullptr) return no_event();
    const std::lock_guard<std::mutex> lock(found->guard);
    *status = found->complete ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
    return ACL_SUCCESS;
}

aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus* status) {
    if (status == nullptr) return null_argument("status");
    aclrtEventRecordedStatus recorded = ACL_EVENT_RECORDED_STATUS_NOT_READY;
    const aclError error = aclrtQueryEventStatus(event, &recorded);
    if (error == ACL_SUCCESS) {
        *status = recorded == ACL_EVENT_RECORDED_STATUS_COMPLETE ? ACL_EVENT_STATUS_COMPLETE : ACL_EVENT_STATUS_NOT_READY;
    }
    return error;
}

aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t timeout) {
    if (event == nullptr) return null_argument("event");
    const auto found = find_event(event);
    if (found == nullptr) return no_event();
    std::unique_lock<std::mutex> lock(found->guard);
    const auto ready = [&] { return found->complete || !found->recorded; };
    if (timeout < 0) {
        found->changed.wait(lock, ready);
    } else if (!found->changed.wait_for(lock, std::chrono::milliseconds(timeout), ready)) {
        return runtime_fault(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, "the event was not reached in time");
    }
    return ACL_SUCCESS;
}

aclError aclrtSynchronizeEvent(aclrtEvent event) { return aclrtSynchronizeEventWithTimeout(event, -1); }

aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) {
    if (event == nullptr) return null_argument("event");
    const auto found = find_event(event);
    if (found == nullptr) return no_event();
    aclError error = ACL_SUCCESS;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    queue->push([found] {
        std::unique_lock<std::mutex> lock(found->guard);
        found->changed.wait(lock, [&] { return found->complete || !found->recorded; });
        return ACL_SUCCESS;
    });
    return ACL_SUCCESS;
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent startEvent, aclrtEvent endEvent) {
    if (ms == nullptr) return null_argument("ms");
    const auto start = find_event(startEvent);
    const auto end = find_event(endEvent);
    if (start == nullptr || end == nullptr) return no_event();
    std::chrono::steady_clock::time_point from;
    {
        const std::lock_guard<std::mutex> lock(start->guard);
        if (!start->complete) return runtime_fault(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "the start event is not complete");
        from = start->when;
    }
    const std::lock_guard<std::mutex> lock(end->guard);
    if (!end->complete) return runtime_fault(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "the end event is not complete");
    if (end->when < from) return runtime_fault(ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL, "the end event came first");
    *ms = std::chrono::duration<float, std::milli>(end->when - from).count();
    return ACL_SUCCESS;
}

aclError aclrtSubscribeReport(uint64_t threadId, aclrtStream stream) {
    aclError error = ACL_SUCCESS;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    const std::lock_guard<std::mutex> lock(mail_guard);
    if (queue->subscriber != 0) return runtime_fault(ACL_ERROR_RT_STREAM_SUBSCRIBE, "the stream has a subscriber already");
    queue->subscriber = threadId;
    ++mailboxes[threadId].streams;
    return ACL_SUCCESS;
}

aclError aclrtUnSubscribeReport(uint64_t threadId, aclrtStream stream) {
    aclError error = ACL_SUCCESS;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    const std::lock_guard<std::mutex> lock(mail_guard);
    const auto box = mailboxes.find(threadId);
    if (queue->subscriber != threadId || box == mailboxes.end()) {
        return runtime_fault(ACL_ERROR_RT_THREAD_SUBSCRIBE, "this thread does not serve that stream");
    }
    queue->subscriber = 0;
    if (--box->second.streams == 0) mailboxes.erase(box);
    return ACL_SUCCESS;
}

aclError aclrtLaunchCallback(aclrtCallback fn, void* userData, aclrtCallbackBlockType blockType, aclrtStream stream) {
    if (fn == nullptr) return null_argument("fn");
    aclError error = ACL_SUCCESS;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    uint64_t thread = 0;
    {
        const std::lock_guard<std::mutex> lock(mail_guard);
        thread = queue->subscriber;
    }
    if (thread == 0) return runtime_fault(ACL_ERROR_RT_STREAM_NO_CB_REG, "no thread serves the callbacks of this stream");
    queue->push([=] { return deliver(thread, fn, userData, blockType == ACL_CALLBACK_BLOCK); });
    return ACL_SUCCESS;
}

aclError aclrtProcessReport(int32_t timeout) {
    if (timeout < -1) return bad_value(std::to_string(timeout), "timeout", "it must be -1 or not negative");
    const auto me = static_cast<uint64_t>(pthread_self());
    Report report{};
    {
        std::unique_lock<std::mutex> lock(mail_guard);
        const auto mine = [&] {
            const auto box = mailboxes.find(me);
            return box != mailboxes.end() && !box->second.reports.empty();
        };
        if (timeout < 0) {
            mail_changed.wait(lock, mine);
        } else if (!mail_changed.wait_for(lock, std::chrono::milliseconds(timeout), mine)) {
            // Served threads poll in a loop: a time-out is news, not an error worth a log line.
            return mailboxes.count(me) > 0 ? ACL_ERROR_RT_REPORT_TIMEOUT : ACL_ERROR_RT_THREAD_SUBSCRIBE;
        }
        auto& reports = mailboxes[me].reports;
        report = reports.front();
        reports.pop_front();
    }
    report.call(report.user_data);
    if (report.done != nullptr) complete(*report.done);
    return ACL_SUCCESS;
}

}  // extern "C"
