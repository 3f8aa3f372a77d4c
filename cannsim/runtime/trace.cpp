#include "trace.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "acl/acl_rt.h"

namespace cannsim {
namespace {

constexpr const char* kLevels[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

int threshold() {
    static const int level = [] {
        const char* text = std::getenv("ASCEND_GLOBAL_LOG_LEVEL");
        return text != nullptr && text[0] >= '0' && text[0] <= '4' ? text[0] - '0' : 3;
    }();
    return level;
}

std::string log_path() {
    const char* folder = std::getenv("ASCEND_PROCESS_LOG_PATH");
    std::string path;
    if (folder != nullptr) {
        path = folder;
    } else if (const char* home = std::getenv("HOME"); home != nullptr) {
        path = std::string(home) + "/ascend/log";
    } else {
        return "";
    }
    for (const char* part : {"", "/debug", "/plog"}) {
        path += part;
        for (size_t at = 1; at != std::string::npos; at = path.find('/', at + 1)) {
            mkdir(path.substr(0, at == 1 ? path.find('/', 1) : at).c_str(), 0750);
        }
        mkdir(path.c_str(), 0750);
    }
    return path + "/plog-" + std::to_string(getpid()) + "_" + std::to_string(std::time(nullptr)) + ".log";
}

}  // namespace

void trace(int level, const std::string& text) {
    if (level < threshold() || level > 3) return;
    static std::mutex guard;
    const std::lock_guard<std::mutex> lock(guard);
    std::string line = "[" + std::string(kLevels[level]) + "] ASCENDCL(" + std::to_string(getpid()) + ",cannsim): " + text;
    if (const char* out = std::getenv("ASCEND_SLOG_PRINT_TO_STDOUT"); out != nullptr && out[0] == '1') {
        std::fprintf(stdout, "%s\n", line.c_str());
        return;
    }
    static const std::string path = log_path();
    if (path.empty()) return;
    if (std::FILE* file = std::fopen(path.c_str(), "a"); file != nullptr) {
        std::fprintf(file, "%s\n", line.c_str());
        std::fclose(file);
    }
}

void trace_error(aclError code, const char* tag, const std::string& message) {
    trace(3, std::string(tag) + " (ret " + std::to_string(code) + "): " + message);
}

}  // namespace cannsim

extern "C" void aclAppLog(aclLogLevel level, const char* func, const char* file, uint32_t line, const char* fmt, ...) {
    if (fmt == nullptr) return;
    char text[1024];
    std::va_list rest;
    va_start(rest, fmt);
    std::vsnprintf(text, sizeof text, fmt, rest);
    va_end(rest);
    cannsim::trace(level, std::string(file == nullptr ? "" : file) + ":" + std::to_string(line) + " " +
                              (func == nullptr ? "" : func) + " " + text);
}
