// Which device this process pretends to sit on, and what is wrong with it today.
#pragma once

#include <cstddef>
#include <string>

namespace cannsim {

struct Board {
    std::string soc;        // "Ascend310B4"
    std::string cann;       // "8.1.RC1"
    bool host_mode;         // true: ACL_HOST, device memory is out of the program's reach
    size_t memory_mb;       // device memory, as npu-smi reports it
    size_t baseline_mb;     // what an idle device already uses
    int devices;
};

// CANNSIM_SOC, CANNSIM_CANN_VERSION, CANNSIM_RUN_MODE (device|host), CANNSIM_MEMORY_MB, CANNSIM_DEVICES; what is not
// in the environment comes from cannsim.cfg beside the library, so that a service with an empty environment works too.
const Board& board();

// CANNSIM_FAULT, or the file `fault` in the state folder: "", "-8005", "busy", "hot", "oom". Read at every question,
// so that a fault can be injected into a running program.
std::string fault();

// The folder this user's simulated device lives in (CANNSIM_STATE_DIR), created on demand; "" when it cannot be.
std::string state_folder();

// Compares "8.1.RC1"-like versions by their first two numbers; negative, zero or positive.
int compare_versions(const std::string& left, const std::string& right);

}  // namespace cannsim
