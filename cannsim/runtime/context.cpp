// aclInit, devices, contexts and the stream calls. One lock guards the tables: these calls are rare.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "board.hpp"
#include "device.hpp"
#include "error.hpp"
#include "memory.hpp"
#include "model.hpp"
#include "profile.hpp"
#include "trace.hpp"

namespace cannsim {
namespace {

std::mutex guard;
bool initialised = false;
bool finalised = false;
std::map<Context*, std::shared_ptr<Context>> contexts;
std::map<Stream*, std::pair<std::shared_ptr<Stream>, Context*>> streams;
std::map<int, std::pair<std::shared_ptr<Context>, int>> primaries;  // device -> primary context, times set
int next_stream = 1;
thread_local std::weak_ptr<Context> current;

std::shared_ptr<Context> make_context(int device, bool primary) {
    auto made = std::make_shared<Context>();
    made->device = device;
    made->primary = primary;
    made->default_stream = std::make_shared<Stream>(next_stream++);
    contexts[made.get()] = made;
    return made;
}

// Streams are emptied outside the lock: their callbacks may well call us.
std::vector<std::shared_ptr<Stream>> take_streams_of(Context* context) {
    std::vector<std::shared_ptr<Stream>> taken;
    for (auto at = streams.begin(); at != streams.end();) {
        if (at->second.second == context) {
            taken.push_back(at->second.first);
            at = streams.erase(at);
        } else {
            ++at;
        }
    }
    return taken;
}

aclError check_device(int32_t device) {
    if (const aclError error = require_init(); error != ACL_SUCCESS) return error;
    const std::string wrong = fault();
    if (wrong == "-8005" || wrong == "no-permission") {
        return driver_fault(ACL_ERROR_RT_DRV_INTERNAL_ERROR, "EL0007", "No_Permission",
                            "You have no permission. (simulated fault " + wrong + ")");
    }
    if (wrong == "busy") {
        return driver_fault(ACL_ERROR_RT_DEV_SETUP_ERROR, "EL0005", "Resource_Busy",
                            "The resources are busy. (simulated fault)");
    }
    if (device < 0 || device >= board().devices) {
        return driver_fault(ACL_ERROR_RT_INVALID_DEVICEID, "EL0002", "Invalid_Device_ID", "The device ID is invalid.");
    }
    return ACL_SUCCESS;
}

}  // namespace

bool is_initialised() {
    const std::lock_guard<std::mutex> lock(guard);
    return initialised;
}

aclError require_init() {
    if (is_initialised()) return ACL_SUCCESS;
    return fail(ACL_ERROR_UNINITIALIZE, "EH0001", "Invalid_Argument", "aclInit has not been called.");
}

std::shared_ptr<Context> current_context() {
    std::shared_ptr<Context> found = current.lock();
    const std::lock_guard<std::mutex> lock(guard);
    if (found != nullptr && contexts.count(found.get()) > 0) return found;
    runtime_fault(ACL_ERROR_RT_CONTEXT_NULL, "the current thread has no context; call aclrtSetDevice, "
                                             "aclrtCreateContext or aclrtSetCurrentContext first");
    return nullptr;
}

std::shared_ptr<Stream> find_stream(aclrtStream handle, aclError* error) {
    if (handle == nullptr) {
        const auto context = current_context();
        *error = context == nullptr ? ACL_ERROR_RT_CONTEXT_NULL : ACL_SUCCESS;
        return context == nullptr ? nullptr : context->default_stream;
    }
    const std::lock_guard<std::mutex> lock(guard);
    const auto found = streams.find(static_cast<Stream*>(handle));
    *error = found == streams.end() ? runtime_fault(ACL_ERROR_RT_INVALID_HANDLE, "the stream does not exist") : ACL_SUCCESS;
    return found == streams.end() ? nullptr : found->second.first;
}

Held held_by_the_program() {
    const std::lock_guard<std::mutex> lock(guard);
    const auto own = std::count_if(contexts.begin(), contexts.end(), [](const auto& entry) { return !entry.second->primary; });
    return {static_cast<size_t>(own), streams.size(), 0};
}

void forget_contexts() {
    std::vector<std::shared_ptr<Stream>> gone;
    std::map<Context*, std::shared_ptr<Context>> old;
    {
        const std::lock_guard<std::mutex> lock(guard);
        for (auto& entry : streams) gone.push_back(entry.second.first);
        streams.clear();
        primaries.clear();
        old.swap(contexts);
    }
}

}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclError aclInit(const char* configPath) {
    {
        const std::lock_guard<std::mutex> lock(guard);
        if (initialised) return fail(ACL_ERROR_REPEAT_INITIALIZE, "EH0001", "Invalid_Argument", "aclInit was called already.");
    }
    if (configPath != nullptr && configPath[0] != '\0') {
        std::ifstream file(configPath);
        if (!file) {
            return fail(ACL_ERROR_INVALID_FILE, "EH0003", "Invalid_Path",
                        "Path [" + std::string(configPath) + "] is invalid. Reason: it cannot be opened.");
        }
        std::string text{std::istreambuf_iterator<char>(file), {}};
        const auto first = text.find_first_not_of(" \t\r\n");
        const auto last = text.find_last_not_of(" \t\r\n");
        if (first != std::string::npos && (text[first] != '{' || text[last] != '}')) {
            return fail(ACL_ERROR_PARSE_FILE, "EH0004", "Invalid_File",
                        "File [" + std::string(configPath) + "] is invalid. Reason: it is not a JSON object.");
        }
    }
    const std::string wrong = fault();
    if (wrong == "-8005" || wrong == "no-permission") {
        return driver_fault(ACL_ERROR_RT_DRV_INTERNAL_ERROR, "EL0007", "No_Permission",
                            "You have no permission. (simulated fault " + wrong + ")");
    }
    const std::lock_guard<std::mutex> lock(guard);
    initialised = true;
    finalised = false;
    profile_from_environment();
    trace(1, "cannsim: simulated " + board().soc + ", CANN " + board().cann);
    return ACL_SUCCESS;
}

aclError aclFinalize(void) {
    {
        const std::lock_guard<std::mutex> lock(guard);
        if (!initialised) {
            return fail(finalised ? ACL_ERROR_REPEAT_FINALIZE : ACL_ERROR_UNINITIALIZE, "EH0001", "Invalid_Argument",
                        finalised ? "aclFinalize was called already." : "aclInit has not been called.");
        }
    }
    const Held held = held_by_the_program();
    const MemoryHeld memory = memory_held();
    const size_t models = loaded_models();
    if (held.contexts + held.streams + memory.device_blocks + memory.host_blocks + models > 0) {
        std::ostringstream report;
        report << "cannsim: not released before aclFinalize:";
        if (memory.device_blocks > 0) report << " " << memory.device_blocks << " device block(s), " << memory.device_bytes << " bytes;";
        if (memory.host_blocks > 0) report << " " << memory.host_blocks << " host block(s), " << memory.host_bytes << " bytes;";
        if (models > 0) report << " " << models << " model(s);";
        if (held.contexts > 0) report << " " << held.contexts << " context(s);";
        if (held.streams > 0) report << " " << held.streams << " stream(s);";
        std::fprintf(stderr, "%s\n", report.str().c_str());
    }
    profile_end_of_program();
    unload_all_models();
    forget_contexts();
    const std::lock_guard<std::mutex> lock(guard);
    initialised = false;
    finalised = true;
    return ACL_SUCCESS;
}

aclError aclrtSetDevice(int32_t deviceId) {
    if (const aclError error = check_device(deviceId); error != ACL_SUCCESS) return error;
    const std::lock_guard<std::mutex> lock(guard);
    auto& entry = primaries[deviceId];
    if (entry.first == nullptr) entry.first = make_context(deviceId, true);
    ++entry.second;
    current = entry.first;
    return ACL_SUCCESS;
}

static aclError reset_device(int32_t deviceId, bool force) {
    if (const aclError error = check_device(deviceId); error != ACL_SUCCESS) return error;
    std::vector<std::shared_ptr<Stream>> gone;
    std::shared_ptr<Context> old;
    const std::lock_guard<std::mutex> lock(guard);
    const auto found = primaries.find(deviceId);
    if (found == primaries.end()) return ACL_SUCCESS;  // resetting a device that was not set is harmless
    if (--found->second.second > 0 && !force) return ACL_SUCCESS;
    old = found->second.first;
    gone = take_streams_of(old.get());
    contexts.erase(old.get());
    primaries.erase(found);
    return ACL_SUCCESS;
}

aclError aclrtResetDevice(int32_t deviceId) { return reset_device(deviceId, false); }
aclError aclrtResetDeviceForce(int32_t deviceId) { return reset_device(deviceId, true); }

aclError aclrtGetDevice(int32_t* deviceId) {
    if (deviceId == nullptr) return null_argument("deviceId");
    const auto context = current_context();
    if (context == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    *deviceId = context->device;
    return ACL_SUCCESS;
}

aclError aclrtGetDeviceCount(uint32_t* count) {
    if (count == nullptr) return null_argument("count");
    const std::string wrong = fault();
    if (wrong == "-8005" || wrong == "no-permission") {
        *count = 0;
        return driver_fault(ACL_ERROR_RT_DRV_INTERNAL_ERROR, "EL0001", "Device_Absent", "Device not found. (simulated fault)");
    }
    *count = static_cast<uint32_t>(board().devices);
    return ACL_SUCCESS;
}

aclError aclrtGetRunMode(aclrtRunMode* runMode) {
    if (runMode == nullptr) return null_argument("runMode");
    if (const aclError error = require_init(); error != ACL_SUCCESS) return error;
    *runMode = board().host_mode ? ACL_HOST : ACL_DEVICE;
    return ACL_SUCCESS;
}

aclError aclrtSetTsDevice(aclrtTsId tsId) {
    return tsId == ACL_TS_ID_AICORE || tsId == ACL_TS_ID_AIVECTOR ? ACL_SUCCESS
                                                                  : bad_value(std::to_string(tsId), "tsId", "no such core");
}

aclError aclrtCreateContext(aclrtContext* context, int32_t deviceId) {
    if (context == nullptr) return null_argument("context");
    if (const aclError error = check_device(deviceId); error != ACL_SUCCESS) return error;
    const std::lock_guard<std::mutex> lock(guard);
    const auto made = make_context(deviceId, false);
    current = made;
    *context = made.get();
    return ACL_SUCCESS;
}

aclError aclrtDestroyContext(aclrtContext context) {
    if (context == nullptr) return null_argument("context");
    std::vector<std::shared_ptr<Stream>> gone;
    std::shared_ptr<Context> old;
    const std::lock_guard<std::mutex> lock(guard);
    const auto found = contexts.find(static_cast<Context*>(context));
    if (found == contexts.end()) return runtime_fault(ACL_ERROR_RT_CONTEXT_NULL, "the context does not exist");
    if (found->second->primary) {
        return runtime_fault(ACL_ERROR_RT_PARAM_INVALID, "the default context is released by aclrtResetDevice");
    }
    old = found->second;
    gone = take_streams_of(old.get());
    contexts.erase(found);
    return ACL_SUCCESS;
}

aclError aclrtSetCurrentContext(aclrtContext context) {
    if (context == nullptr) return null_argument("context");
    const std::lock_guard<std::mutex> lock(guard);
    const auto found = contexts.find(static_cast<Context*>(context));
    if (found == contexts.end()) return runtime_fault(ACL_ERROR_RT_CONTEXT_NULL, "the context does not exist");
    current = found->second;
    return ACL_SUCCESS;
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
    if (context == nullptr) return null_argument("context");
    const auto found = current_context();
    if (found == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    *context = found.get();
    return ACL_SUCCESS;
}

aclError aclrtCreateStream(aclrtStream* stream) {
    if (stream == nullptr) return null_argument("stream");
    const auto context = current_context();
    if (context == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    constexpr size_t kMost = 1984;  // of one device, as the runtime documents
    const std::lock_guard<std::mutex> lock(guard);
    if (streams.size() >= kMost) {
        return driver_fault(ACL_ERROR_RT_NO_STREAM_RESOURCE, "EL0009", "Insufficient_Stream_Resources",
                            "The stream resources are insufficient.");
    }
    const auto made = std::make_shared<Stream>(next_stream++);
    streams[made.get()] = {made, context.get()};
    *stream = made.get();
    return ACL_SUCCESS;
}

aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t priority, uint32_t) {
    if (priority > 7) return bad_value(std::to_string(priority), "priority", "it must be in the range of [0, 7]");
    return aclrtCreateStream(stream);
}

aclError aclrtDestroyStream(aclrtStream stream) {
    if (stream == nullptr) return null_argument("stream");
    std::shared_ptr<Stream> old;  // joined after the lock is gone: declared before it
    const std::lock_guard<std::mutex> lock(guard);
    const auto found = streams.find(static_cast<Stream*>(stream));
    if (found == streams.end()) return runtime_fault(ACL_ERROR_RT_INVALID_HANDLE, "the stream does not exist");
    if (found->second.second != current.lock().get()) {
        return runtime_fault(ACL_ERROR_RT_STREAM_CONTEXT, "the stream was created in another context");
    }
    old = found->second.first;
    streams.erase(found);
    return ACL_SUCCESS;
}

aclError aclrtDestroyStreamForce(aclrtStream stream) { return aclrtDestroyStream(stream); }

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t timeout) {
    if (timeout < -1 || timeout == 0) return runtime_fault(ACL_ERROR_RT_PARAM_INVALID, "timeout must be -1 or positive");
    aclError error = ACL_SUCCESS;
    const auto found = find_stream(stream, &error);
    if (found == nullptr) return error;
    error = found->wait(timeout);
    if (error == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT) {
        return fail(error, "EE1002", "Stream_Synchronize_Timeout", "Stream synchronize timeout. stream_id=" + std::to_string(found->id()));
    }
    return error;
}

aclError aclrtSynchronizeStream(aclrtStream stream) { return aclrtSynchronizeStreamWithTimeout(stream, -1); }

aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus* status) {
    if (status == nullptr) return null_argument("status");
    aclError error = ACL_SUCCESS;
    const auto found = find_stream(stream, &error);
    if (found == nullptr) return error;
    *status = found->idle() ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
    return ACL_SUCCESS;
}

aclError aclrtStreamGetId(aclrtStream stream, int32_t* streamId) {
    if (streamId == nullptr) return null_argument("streamId");
    aclError error = ACL_SUCCESS;
    const auto found = find_stream(stream, &error);
    if (found != nullptr) *streamId = found->id();
    return error;
}

aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout) {
    const auto context = current_context();
    if (context == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    std::vector<std::shared_ptr<Stream>> waited{context->default_stream};
    {
        const std::lock_guard<std::mutex> lock(guard);
        for (const auto& entry : streams) {
            if (entry.second.second->device == context->device) waited.push_back(entry.second.first);
        }
    }
    aclError first = ACL_SUCCESS;
    for (const auto& stream : waited) {
        const aclError error = stream->wait(timeout);
        if (first == ACL_SUCCESS) first = error;
    }
    return first;
}

aclError aclrtSynchronizeDevice(void) { return aclrtSynchronizeDeviceWithTimeout(-1); }

aclError aclrtGetVersion(int32_t* majorVersion, int32_t* minorVersion, int32_t* patchVersion) {
    if (majorVersion == nullptr) return null_argument("majorVersion");
    if (minorVersion == nullptr) return null_argument("minorVersion");
    if (patchVersion == nullptr) return null_argument("patchVersion");
    *majorVersion = ACL_MAJOR_VERSION;
    *minorVersion = ACL_MINOR_VERSION;
    *patchVersion = ACL_PATCH_VERSION;
    return ACL_SUCCESS;
}

aclError aclsysGetVersionStr(char* pkgName, char* versionStr) {
    if (pkgName == nullptr) return null_argument("pkgName");
    if (versionStr == nullptr) return null_argument("versionStr");
    std::snprintf(versionStr, ACL_PKG_VERSION_MAX_SIZE, "%s", board().cann.c_str());
    return ACL_SUCCESS;
}

}  // extern "C"
