#include "profile.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <string>

#include "acl/acl_prof.h"
#include "board.hpp"
#include "device.hpp"
#include "error.hpp"

struct aclprofConfig {
    uint64_t what;
};

namespace cannsim {
namespace {

using Clock = std::chrono::system_clock;

std::mutex guard;
std::FILE* raw = nullptr;
std::string folder;           // the PROF_… folder of aclprofInit or msprof
std::atomic<bool> running{false};
uint32_t next_task = 0;

double micros(Clock::time_point when) {
    return std::chrono::duration<double, std::micro>(when.time_since_epoch()).count();
}

std::string make_folder(const std::string& parent) {
    char stamp[64];
    const std::time_t now = Clock::to_time_t(Clock::now());
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &parts);
    std::random_device random;
    std::string tail;
    for (int at = 0; at < 16; ++at) tail += static_cast<char>('A' + random() % 26);
    const std::string made = parent + "/PROF_000001_" + stamp + std::to_string(getpid() % 1000) + "_" + tail;
    mkdir(parent.c_str(), 0750);
    if (mkdir(made.c_str(), 0750) != 0) return "";
    for (const char* part : {"/host", "/host/data", "/device_0", "/device_0/data"}) mkdir((made + part).c_str(), 0750);
    return made;
}

bool open_raw(const std::string& prof_folder) {
    folder = prof_folder;
    const std::string path = folder + "/device_0/data/cannsim." + std::to_string(getpid()) + ".tsv";
    raw = std::fopen(path.c_str(), "w");
    if (raw == nullptr) return false;
    std::fprintf(raw, "simulated\t%s\t%s\t%d\n", board().soc.c_str(), board().cann.c_str(), getpid());
    return true;
}

void close_raw() {
    running = false;
    if (raw != nullptr) std::fclose(raw);
    raw = nullptr;
}

// OpenVINO names the product inside a convolution with a bias after the node: "/model/conv/WithoutBiases".
std::string node_name(const std::string& kernel) {
    const size_t at = kernel.rfind("/WithoutBiases");
    return at == std::string::npos || at + 14 != kernel.size() ? kernel : kernel.substr(0, at);
}

const OpInfo* owner_of(const std::map<std::string, const OpInfo*>& ops, const std::string& name) {
    const auto found = ops.find(name);
    return found == ops.end() ? nullptr : found->second;
}

}  // namespace

bool profiling() { return running; }

void profile_from_environment() {
    const char* const given = std::getenv("CANNSIM_PROFILE_DIR");
    if (given == nullptr || raw != nullptr) return;
    const std::lock_guard<std::mutex> lock(guard);
    if (open_raw(given)) running = true;
}

void profile_end_of_program() {
    const std::lock_guard<std::mutex> lock(guard);
    close_raw();
}

Timed::Timed(const char* name) : name_(name), start_(running ? Clock::now() : Clock::time_point{}) {}

Timed::~Timed() {
    if (start_ == Clock::time_point{}) return;
    const double lasted = std::chrono::duration<double, std::micro>(Clock::now() - start_).count();
    const std::lock_guard<std::mutex> lock(guard);
    if (raw != nullptr) std::fprintf(raw, "api\t%s\t%.3f\t%.3f\t%d\n", name_, micros(start_), lasted, gettid());
}

void profile_run(uint32_t model_id, size_t iteration, int stream_id, const OmFile& om, Clock::time_point start,
                 double seconds, const std::vector<OpTime>& times) {
    if (!running) return;
    std::map<std::string, const OpInfo*> ops;
    for (const auto& op : om.ops) ops[op.name] = &op;
    const std::lock_guard<std::mutex> lock(guard);
    if (raw == nullptr) return;
    std::fprintf(raw, "run\t%u\t%zu\t%.3f\t%.3f\n", model_id, iteration, micros(start), seconds * 1e6);
    double at = micros(start);
    for (const auto& entry : times) {
        if (entry.kind == "Reference" || entry.kind == "RoundHalf") continue;  // the emulation's own cost
        if (entry.microseconds <= 0) continue;
        const OpInfo* const op = owner_of(ops, node_name(entry.name));
        // A reorder is what the device calls TransData, steps between float and INT8 are AscendQuant; other operators
        // that OpenVINO added keep its name for them.
        const bool quantises = entry.kind == "Subgraph" || entry.kind == "FakeQuantize";
        const std::string type = entry.kind == "Reorder" ? "TransData"
                                 : op != nullptr         ? op->type
                                 : quantises             ? "AscendQuant"
                                                         : entry.kind;
        std::fprintf(raw, "op\t%u\t%zu\t%d\t%u\t%s\t%s\t%.3f\t%.3f\t%s\t%s\t%s\t%s\t%s\n", model_id, iteration, stream_id,
                     next_task++, node_name(entry.name).c_str(), type.c_str(), at, entry.microseconds,
                     op == nullptr ? "N/A" : op->input_shapes.c_str(), op == nullptr ? "N/A" : op->input_types.c_str(),
                     op == nullptr ? "N/A" : op->output_shapes.c_str(), op == nullptr ? "N/A" : op->output_types.c_str(),
                     entry.kernel.c_str());
        at += entry.microseconds;
    }
}

}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclError aclprofInit(const char* profilerResultPath, size_t length) {
    if (profilerResultPath == nullptr) return null_argument("profilerResultPath");
    if (const aclError error = require_init(); error != ACL_SUCCESS) return error;
    const std::string path(profilerResultPath, length);
    const std::lock_guard<std::mutex> lock(guard);
    if (raw != nullptr) return fail(ACL_ERROR_PROF_API_CONFLICT, "EH0001", "Invalid_Argument", "profiling is initialised already.");
    const std::string made = make_folder(path);
    if (made.empty() || !open_raw(made)) {
        return fail(ACL_ERROR_INVALID_FILE, "EH0003", "Invalid_Path", "Path [" + path + "] is invalid. Reason: it cannot be written.");
    }
    return ACL_SUCCESS;
}

aclError aclprofFinalize(void) {
    const std::lock_guard<std::mutex> lock(guard);
    if (raw == nullptr) return fail(ACL_ERROR_PROF_NOT_RUN, "EH0001", "Invalid_Argument", "aclprofInit has not been called.");
    close_raw();
    return ACL_SUCCESS;
}

aclprofConfig* aclprofCreateConfig(uint32_t* deviceIdList, uint32_t deviceNums, aclprofAicoreMetrics,
                                   const aclprofAicoreEvents*, uint64_t dataTypeConfig) {
    if (deviceIdList == nullptr || deviceNums == 0) {
        null_argument("deviceIdList");
        return nullptr;
    }
    return new aclprofConfig{dataTypeConfig};
}

aclError aclprofDestroyConfig(const aclprofConfig* profilerConfig) {
    if (profilerConfig == nullptr) return null_argument("profilerConfig");
    delete profilerConfig;
    return ACL_SUCCESS;
}

aclError aclprofStart(const aclprofConfig* profilerConfig) {
    if (profilerConfig == nullptr) return null_argument("profilerConfig");
    const std::lock_guard<std::mutex> lock(guard);
    if (raw == nullptr) return fail(ACL_ERROR_PROF_NOT_RUN, "EH0001", "Invalid_Argument", "aclprofInit has not been called.");
    if (running) return fail(ACL_ERROR_PROF_ALREADY_RUN, "EH0001", "Invalid_Argument", "profiling runs already.");
    running = true;
    return ACL_SUCCESS;
}

aclError aclprofStop(const aclprofConfig* profilerConfig) {
    if (profilerConfig == nullptr) return null_argument("profilerConfig");
    if (!running.exchange(false)) return fail(ACL_ERROR_PROF_NOT_RUN, "EH0001", "Invalid_Argument", "profiling does not run.");
    return ACL_SUCCESS;
}

}  // extern "C"
