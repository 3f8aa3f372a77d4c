// Device memory. Where the board has memory of its own (run mode host), what aclrtMalloc returns cannot be touched by
// the program, as on a device: the address is mapped without rights, and the stand-in works on a second mapping.
#pragma once

#include <cstddef>

#include "acl/acl_rt.h"

namespace cannsim {

// An address this process may use for device address `address`, or null when fewer than `size` bytes of device memory
// lie there. In run mode device all memory is one, and every address is its own.
void* reach(const void* address, size_t size);

// Takes device memory without an address (weights, workspace); false when it is exhausted.
bool reserve_device_bytes(size_t bytes);
void release_device_bytes(size_t bytes);

struct MemoryHeld {
    size_t device_blocks;
    size_t device_bytes;
    size_t host_blocks;
    size_t host_bytes;
};
MemoryHeld memory_held();

}  // namespace cannsim
