// AscendCL with owners: whatever is acquired is released by the same object, in the vendor's order, also after a
// failure. Every return code is looked at; a failure carries the vendor's own words.
#pragma once

#include <acl/acl.h>

#include <cstddef>
#include <string>
#include <vector>

namespace app::acl {

// Failure (Exit::device) for any code but success: the call, its code, what it usually means, aclGetRecentErrMsg.
void check(aclError code, const char* call);
// For releases, which must go on: says on standard error what failed.
void released(aclError code, const char* call) noexcept;

// aclInit to aclFinalize. A process that is initialised already stays so.
class Library {
public:
    Library();
    ~Library();
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

private:
    bool ours_ = false;
};

// One device of this machine, with the default context that comes with it.
class Device {
public:
    explicit Device(int number);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    // True where this program runs on the board's own processor: then there is one memory and nothing is copied.
    bool shares_memory() const { return shares_memory_; }

private:
    int number_;
    bool shares_memory_ = false;
};

// Memory that the device works on; aligned to 64 bytes by the vendor's allocator.
class DeviceMemory {
public:
    explicit DeviceMemory(std::size_t bytes);
    DeviceMemory(DeviceMemory&& other) noexcept;
    DeviceMemory& operator=(DeviceMemory&&) = delete;
    ~DeviceMemory();
    std::byte* data() const { return static_cast<std::byte*>(data_); }
    std::size_t size() const { return size_; }

private:
    void* data_ = nullptr;
    std::size_t size_;
};

// Pinned memory of the host, which the device can be fed from without another copy.
class HostMemory {
public:
    explicit HostMemory(std::size_t bytes);
    HostMemory(HostMemory&& other) noexcept;
    HostMemory& operator=(HostMemory&&) = delete;
    ~HostMemory();
    std::byte* data() const { return static_cast<std::byte*>(data_); }
    std::size_t size() const { return size_; }

private:
    void* data_ = nullptr;
    std::size_t size_;
};

// The buffers of one side of the model, in its order. The memory belongs to somebody else and lives longer.
class Dataset {
public:
    Dataset();
    ~Dataset();
    Dataset(const Dataset&) = delete;
    Dataset& operator=(const Dataset&) = delete;
    void add(const DeviceMemory& memory);
    aclmdlDataset* get() const { return dataset_; }

private:
    aclmdlDataset* dataset_;
    std::vector<aclDataBuffer*> buffers_;
};

}  // namespace app::acl
