// What this process does to the simulated device, published where npu-smi can see it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cannsim {

void publish_memory(int64_t change_bytes);    // device memory this process holds
void publish_busy(double seconds);            // time the simulated AI core has just worked
size_t memory_of_other_processes();           // bytes

// How long to wait besides a run that took `seconds`, when the chip is too hot to keep its clock.
double throttle_delay(double seconds);

}  // namespace cannsim
