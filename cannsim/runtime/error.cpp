#include "error.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "acl/acl_rt.h"
#include "trace.hpp"

namespace cannsim {
namespace {

thread_local std::string pending;  // newest first
thread_local std::string handed_out;

std::string now_text() {
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count() % 1000000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char day[32];
    std::strftime(day, sizeof day, "%Y-%m-%d-%H:%M:%S", &parts);
    char whole[64];
    std::snprintf(whole, sizeof whole, "%s.%03d.%03d", day, static_cast<int>(micros / 1000),
                  static_cast<int>(micros % 1000));
    return whole;
}

}  // namespace

aclError fail(aclError code, const char* tag, const char* title, const std::string& message) {
    constexpr size_t kLongest = 64 * 1024;  // a caller that never asks must not make us grow
    std::string block = "[PID: " + std::to_string(getpid()) + "] " + now_text() + " " + title + "(" + tag +
                        "): " + message + "\n        TraceBack (most recent call last):\n";
    pending = block + pending;
    if (pending.size() > kLongest) pending.resize(kLongest);
    trace_error(code, tag, message);
    return code;
}

aclError null_argument(const char* name) {
    return fail(ACL_ERROR_INVALID_PARAM, "EH0002", "Null_Pointer",
                "Argument [" + std::string(name) + "] must not be null.");
}

aclError bad_value(const std::string& value, const char* parameter, const std::string& reason) {
    return fail(ACL_ERROR_INVALID_PARAM, "EH0001", "Invalid_Argument",
                "Value [" + value + "] for [" + parameter + "] is invalid. Reason: " + reason + ".");
}

aclError runtime_fault(aclError code, const std::string& message) {
    return fail(code, "EE1001", "Invalid_Argument", "The argument is invalid.Reason: " + message);
}

aclError driver_fault(aclError code, const char* tag, const char* title, const std::string& message) {
    return fail(code, tag, title, message);
}

aclError model_fault(uint32_t code, const std::string& message) {
    return fail(static_cast<aclError>(code), "EH0004", "Invalid_File", message);
}

}  // namespace cannsim

extern "C" const char* aclGetRecentErrMsg(void) {
    if (cannsim::pending.empty()) return nullptr;
    cannsim::handed_out.swap(cannsim::pending);
    cannsim::pending.clear();
    return cannsim::handed_out.c_str();
}
