#include "memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "board.hpp"
#include "device.hpp"
#include "error.hpp"
#include "load.hpp"
#include "profile.hpp"

namespace cannsim {
namespace {

struct Block {
    size_t asked;
    size_t taken;
    char* ours;  // where the stand-in reads and writes; the program's own address in run mode device
};

std::mutex guard;
std::map<const char*, Block> device_blocks;
std::map<const char*, size_t> host_blocks;
size_t device_bytes = 0;  // blocks and reservations

constexpr size_t kMega = 1024 * 1024;

size_t capacity() {
    const size_t used = board().baseline_mb * kMega + memory_of_other_processes();
    const size_t total = board().memory_mb * kMega;
    return used < total ? total - used : 0;
}

bool take(size_t bytes) {
    if (fault() == "oom" || device_bytes + bytes > capacity()) return false;
    device_bytes += bytes;
    publish_memory(static_cast<int64_t>(bytes));
    return true;
}

void give(size_t bytes) {
    device_bytes -= bytes;
    publish_memory(-static_cast<int64_t>(bytes));
}

// Two mappings of one memory: the program's without rights, ours with them.
char* map_twice(size_t bytes, char** ours) {
    const int file = memfd_create("cannsim", MFD_CLOEXEC);
    if (file < 0) return nullptr;
    void* theirs = MAP_FAILED;
    void* mine = MAP_FAILED;
    if (ftruncate(file, static_cast<off_t>(bytes)) == 0) {
        theirs = mmap(nullptr, bytes, PROT_NONE, MAP_SHARED, file, 0);
        mine = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
    if (theirs == MAP_FAILED || mine == MAP_FAILED) {
        if (theirs != MAP_FAILED) munmap(theirs, bytes);
        if (mine != MAP_FAILED) munmap(mine, bytes);
        return nullptr;
    }
    *ours = static_cast<char*>(mine);
    return static_cast<char*>(theirs);
}

const std::pair<const char* const, Block>* block_at(const char* address) {
    auto after = device_blocks.upper_bound(address);
    if (after == device_blocks.begin()) return nullptr;
    --after;
    return address < after->first + after->second.taken ? &*after : nullptr;
}

aclError allocate(void** pointer, size_t asked, size_t extra) {
    if (pointer == nullptr) return null_argument("devPtr");
    if (asked == 0) return bad_value("0", "size", "it must be greater than 0");
    if (current_context() == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    constexpr size_t kMost = size_t{1} << 40;
    const size_t rounded = asked > kMost ? asked : (asked + 31) / 32 * 32 + extra;
    const std::lock_guard<std::mutex> lock(guard);
    const auto exhausted = [&] {
        return driver_fault(ACL_ERROR_RT_MEMORY_ALLOCATION, "EL0004", "Memory_Allocation_Failure",
                            "Failed to allocate memory. (" + std::to_string(asked) + " bytes)");
    };
    if (!take(rounded)) return exhausted();
    Block block{asked, rounded, nullptr};
    char* address = nullptr;
    if (board().host_mode) {
        address = map_twice(rounded, &block.ours);
    } else {
        address = static_cast<char*>(std::aligned_alloc(64, (rounded + 63) / 64 * 64));
        block.ours = address;
    }
    if (address == nullptr) {
        give(rounded);
        return exhausted();
    }
    device_blocks[address] = block;
    *pointer = address;
    return ACL_SUCCESS;
}

enum class Place { host, device };

// Where both ends of a copy of this kind must lie; false for a kind that does not exist here.
bool ends(aclrtMemcpyKind kind, const void* dst, const void* src, Place* to, Place* from) {
    const auto lies = [](const void* address) {
        return block_at(static_cast<const char*>(address)) != nullptr ? Place::device : Place::host;
    };
    switch (kind) {
        case ACL_MEMCPY_HOST_TO_HOST: *to = Place::host, *from = Place::host; return true;
        case ACL_MEMCPY_HOST_TO_DEVICE:
        case ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE: *to = Place::device, *from = Place::host; return true;
        case ACL_MEMCPY_DEVICE_TO_HOST: *to = Place::host, *from = Place::device; return true;
        case ACL_MEMCPY_DEVICE_TO_DEVICE:
        case ACL_MEMCPY_INNER_DEVICE_TO_DEVICE:
        case ACL_MEMCPY_INTER_DEVICE_TO_DEVICE: *to = Place::device, *from = Place::device; return true;
        case ACL_MEMCPY_DEFAULT: *to = lies(dst), *from = lies(src); return true;
        default: return false;
    }
}

// The usable address for one end, or null (after recording why) when it does not lie where the kind says.
char* usable(const void* address, size_t size, Place place, const char* name) {
    const char* const at = static_cast<const char*>(address);
    const auto* const entry = block_at(at);
    if (entry != nullptr && static_cast<size_t>(entry->first + entry->second.taken - at) < size) {
        runtime_fault(ACL_ERROR_RT_PARAM_INVALID, std::string(name) + " reaches past the end of its device memory");
        return nullptr;
    }
    if (!board().host_mode) return const_cast<char*>(at);
    if ((entry != nullptr) != (place == Place::device)) {
        runtime_fault(ACL_ERROR_RT_PARAM_INVALID, std::string(name) + (place == Place::device
                      ? " is not device memory, but the kind of the copy says so"
                      : " is device memory, but the kind of the copy says host"));
        return nullptr;
    }
    return entry == nullptr ? const_cast<char*>(at) : entry->second.ours + (at - entry->first);
}

struct Ends {
    char* to;
    char* from;
};

aclError resolve(void* dst, size_t to_size, const void* src, size_t from_size, aclrtMemcpyKind kind, Ends* found) {
    const std::lock_guard<std::mutex> lock(guard);
    Place to{};
    Place from{};
    if (!ends(kind, dst, src, &to, &from)) return bad_value(std::to_string(kind), "kind", "unknown kind of copy");
    found->to = usable(dst, to_size, to, "dst");
    found->from = usable(src, from_size, from, "src");
    return found->to == nullptr || found->from == nullptr ? ACL_ERROR_RT_PARAM_INVALID : ACL_SUCCESS;
}

aclError check_copy(const void* dst, size_t destMax, const void* src, size_t count) {
    if (dst == nullptr) return null_argument("dst");
    if (src == nullptr) return null_argument("src");
    if (destMax < count) {
        return runtime_fault(ACL_ERROR_RT_PARAM_INVALID, "destMax " + std::to_string(destMax) + " is less than count " +
                                                             std::to_string(count));
    }
    return current_context() == nullptr ? ACL_ERROR_RT_CONTEXT_NULL : ACL_SUCCESS;
}

}  // namespace

void* reach(const void* address, size_t size) {
    if (address == nullptr) return nullptr;
    const std::lock_guard<std::mutex> lock(guard);
    const char* const at = static_cast<const char*>(address);
    const auto* const entry = block_at(at);
    if (entry == nullptr) return board().host_mode ? nullptr : const_cast<char*>(at);
    if (static_cast<size_t>(entry->first + entry->second.taken - at) < size) return nullptr;
    return entry->second.ours + (at - entry->first);
}

bool reserve_device_bytes(size_t bytes) {
    const std::lock_guard<std::mutex> lock(guard);
    return take(bytes);
}

void release_device_bytes(size_t bytes) {
    const std::lock_guard<std::mutex> lock(guard);
    give(bytes);
}

MemoryHeld memory_held() {
    const std::lock_guard<std::mutex> lock(guard);
    MemoryHeld held{device_blocks.size(), 0, host_blocks.size(), 0};
    for (const auto& entry : device_blocks) held.device_bytes += entry.second.asked;
    for (const auto& entry : host_blocks) held.host_bytes += entry.second;
    return held;
}

}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclError aclrtMalloc(void** devPtr, size_t size, aclrtMemMallocPolicy) { return allocate(devPtr, size, 32); }
aclError aclrtMallocCached(void** devPtr, size_t size, aclrtMemMallocPolicy) { return allocate(devPtr, size, 32); }
aclError aclrtMallocAlign32(void** devPtr, size_t size, aclrtMemMallocPolicy) { return allocate(devPtr, size, 0); }

aclError aclrtMemFlush(void* devPtr, size_t) { return devPtr == nullptr ? null_argument("devPtr") : ACL_SUCCESS; }
aclError aclrtMemInvalidate(void* devPtr, size_t) { return devPtr == nullptr ? null_argument("devPtr") : ACL_SUCCESS; }

aclError aclrtFree(void* devPtr) {
    if (devPtr == nullptr) return null_argument("devPtr");
    const std::lock_guard<std::mutex> lock(guard);
    const auto found = device_blocks.find(static_cast<char*>(devPtr));
    if (found == device_blocks.end()) {
        return runtime_fault(ACL_ERROR_RT_PARAM_INVALID, "the address was not returned by aclrtMalloc, or was freed already");
    }
    const Block block = found->second;
    device_blocks.erase(found);
    give(block.taken);
    if (board().host_mode) {
        munmap(devPtr, block.taken);
        munmap(block.ours, block.taken);
    } else {
        std::free(devPtr);
    }
    return ACL_SUCCESS;
}

aclError aclrtMallocHost(void** hostPtr, size_t size) {
    if (hostPtr == nullptr) return null_argument("hostPtr");
    if (size == 0) return bad_value("0", "size", "it must be greater than 0");
    if (current_context() == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    void* const made = size > (size_t{1} << 40) ? nullptr : std::aligned_alloc(64, (size + 63) / 64 * 64);
    if (made == nullptr) {
        return driver_fault(ACL_ERROR_RT_MEMORY_ALLOCATION, "EL0004", "Memory_Allocation_Failure", "Failed to allocate memory.");
    }
    const std::lock_guard<std::mutex> lock(guard);
    host_blocks[static_cast<char*>(made)] = size;
    *hostPtr = made;
    return ACL_SUCCESS;
}

aclError aclrtFreeHost(void* hostPtr) {
    if (hostPtr == nullptr) return null_argument("hostPtr");
    const std::lock_guard<std::mutex> lock(guard);
    if (host_blocks.erase(static_cast<char*>(hostPtr)) == 0) {
        return runtime_fault(ACL_ERROR_RT_PARAM_INVALID, "the address was not returned by aclrtMallocHost, or was freed already");
    }
    std::free(hostPtr);
    return ACL_SUCCESS;
}

aclError aclrtMemcpy(void* dst, size_t destMax, const void* src, size_t count, aclrtMemcpyKind kind) {
    if (const aclError error = check_copy(dst, destMax, src, count); error != ACL_SUCCESS) return error;
    Ends found{};
    if (const aclError error = resolve(dst, count, src, count, kind, &found); error != ACL_SUCCESS) return error;
    const Timed timed("aclrtMemcpy");
    std::memmove(found.to, found.from, count);
    return ACL_SUCCESS;
}

aclError aclrtMemcpyAsync(void* dst, size_t destMax, const void* src, size_t count, aclrtMemcpyKind kind, aclrtStream stream) {
    if (const aclError error = check_copy(dst, destMax, src, count); error != ACL_SUCCESS) return error;
    aclError error = ACL_SUCCESS;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    Ends found{};
    if (error = resolve(dst, count, src, count, kind, &found); error != ACL_SUCCESS) return error;
    const Timed timed("aclrtMemcpyAsync");
    queue->push([found, count] {
        std::memmove(found.to, found.from, count);
        return ACL_SUCCESS;
    });
    return ACL_SUCCESS;
}

static aclError prepare_2d(void* dst, size_t dpitch, const void* src, size_t spitch, size_t width, size_t height,
                           aclrtMemcpyKind kind, Ends* found) {
    if (kind != ACL_MEMCPY_HOST_TO_DEVICE && kind != ACL_MEMCPY_DEVICE_TO_HOST && kind != ACL_MEMCPY_DEVICE_TO_DEVICE) {
        return bad_value(std::to_string(kind), "kind", "a 2-D copy goes between host and device");
    }
    if (width == 0 || height == 0) return bad_value("0", "width, height", "they must be greater than 0");
    if (width > dpitch || width > spitch) return bad_value(std::to_string(width), "width", "it is more than a pitch");
    if (const aclError error = check_copy(dst, width, src, width); error != ACL_SUCCESS) return error;
    return resolve(dst, dpitch * (height - 1) + width, src, spitch * (height - 1) + width, kind, found);
}

static void copy_rows(const Ends& found, size_t dpitch, size_t spitch, size_t width, size_t height) {
    for (size_t row = 0; row < height; ++row) std::memmove(found.to + row * dpitch, found.from + row * spitch, width);
}

aclError aclrtMemcpy2d(void* dst, size_t dpitch, const void* src, size_t spitch, size_t width, size_t height, aclrtMemcpyKind kind) {
    Ends found{};
    if (const aclError error = prepare_2d(dst, dpitch, src, spitch, width, height, kind, &found); error != ACL_SUCCESS) return error;
    copy_rows(found, dpitch, spitch, width, height);
    return ACL_SUCCESS;
}

aclError aclrtMemcpy2dAsync(void* dst, size_t dpitch, const void* src, size_t spitch, size_t width, size_t height,
                            aclrtMemcpyKind kind, aclrtStream stream) {
    Ends found{};
    aclError error = prepare_2d(dst, dpitch, src, spitch, width, height, kind, &found);
    if (error != ACL_SUCCESS) return error;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    queue->push([=] {
        copy_rows(found, dpitch, spitch, width, height);
        return ACL_SUCCESS;
    });
    return ACL_SUCCESS;
}

static aclError prepare_set(void* devPtr, size_t maxCount, size_t count, char** found) {
    if (devPtr == nullptr) return null_argument("devPtr");
    if (maxCount < count) return runtime_fault(ACL_ERROR_RT_PARAM_INVALID, "maxCount is less than count");
    if (current_context() == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    *found = static_cast<char*>(reach(devPtr, count));
    if (*found != nullptr) return ACL_SUCCESS;
    // Host memory may be set as well.
    const std::lock_guard<std::mutex> lock(guard);
    if (block_at(static_cast<char*>(devPtr)) != nullptr) {
        return runtime_fault(ACL_ERROR_RT_PARAM_INVALID, "devPtr reaches past the end of its device memory");
    }
    *found = static_cast<char*>(devPtr);
    return ACL_SUCCESS;
}

aclError aclrtMemset(void* devPtr, size_t maxCount, int32_t value, size_t count) {
    char* found = nullptr;
    if (const aclError error = prepare_set(devPtr, maxCount, count, &found); error != ACL_SUCCESS) return error;
    std::memset(found, value, count);
    return ACL_SUCCESS;
}

aclError aclrtMemsetAsync(void* devPtr, size_t maxCount, int32_t value, size_t count, aclrtStream stream) {
    char* found = nullptr;
    aclError error = prepare_set(devPtr, maxCount, count, &found);
    if (error != ACL_SUCCESS) return error;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    queue->push([=] {
        std::memset(found, value, count);
        return ACL_SUCCESS;
    });
    return ACL_SUCCESS;
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total) {
    if (free == nullptr) return null_argument("free");
    if (total == nullptr) return null_argument("total");
    if (current_context() == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    const bool hbm = attr == ACL_HBM_MEM || attr == ACL_HBM_MEM_HUGE || attr == ACL_HBM_MEM_NORMAL ||
                     attr == ACL_HBM_MEM_P2P_HUGE || attr == ACL_HBM_MEM_P2P_NORMAL;
    const bool has_hbm = board().soc.rfind("Ascend910", 0) == 0;
    if (hbm != has_hbm) {  // the board has no memory of that sort
        *free = *total = 0;
        return ACL_SUCCESS;
    }
    const std::lock_guard<std::mutex> lock(guard);
    const size_t left = capacity();
    *total = board().memory_mb * kMega;
    *free = fault() == "oom" ? 0 : (left > device_bytes ? left - device_bytes : 0);
    return ACL_SUCCESS;
}

}  // extern "C"
