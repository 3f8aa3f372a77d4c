#include "load.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string>

#include "board.hpp"

namespace cannsim {
namespace {

// One file a process, `proc-<pid>`, read by npu-smi (python/cannsim/npu_smi/load.py has the same layout).
struct Published {
    char magic[8];           // "CANNSIM1"
    uint64_t pid;
    int64_t memory_bytes;
    int64_t updated_ns;      // CLOCK_MONOTONIC
    double quick_load;       // busy share, averaged over about a second
    double slow_load;        // the same over a minute: what warms the chip
    char name[24];
};

constexpr double kQuick = 1.0;
constexpr double kSlow = 60.0;

int64_t monotonic_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

Published* map_file() {
    if (state_folder().empty()) return nullptr;
    const std::string path = state_folder() + "/proc-" + std::to_string(getpid());
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return nullptr;
    void* memory = MAP_FAILED;
    if (ftruncate(file, sizeof(Published)) == 0) {
        memory = mmap(nullptr, sizeof(Published), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
    if (memory == MAP_FAILED) return nullptr;
    auto* made = static_cast<Published*>(memory);
    std::memcpy(made->magic, "CANNSIM1", 8);
    made->pid = static_cast<uint64_t>(getpid());
    made->updated_ns = monotonic_ns();
    std::ifstream comm("/proc/self/comm");
    std::string name;
    std::getline(comm, name);
    std::strncpy(made->name, name.c_str(), sizeof made->name - 1);
    return made;
}

Published* mine() {
    static Published* const mapped = map_file();
    return mapped;
}

std::mutex guard;

}  // namespace

void publish_memory(int64_t change_bytes) {
    const std::lock_guard<std::mutex> lock(guard);
    if (Published* const own = mine(); own != nullptr) own->memory_bytes += change_bytes;
}

void publish_busy(double seconds) {
    const std::lock_guard<std::mutex> lock(guard);
    Published* const own = mine();
    if (own == nullptr) return;
    const int64_t now = monotonic_ns();
    const double elapsed = std::max(1e-9, static_cast<double>(now - own->updated_ns) * 1e-9);
    const double share = std::min(1.0, seconds / elapsed);
    own->quick_load += (share - own->quick_load) * (1 - std::exp(-elapsed / kQuick));
    own->slow_load += (share - own->slow_load) * (1 - std::exp(-elapsed / kSlow));
    own->updated_ns = now;
}

size_t memory_of_other_processes() {
    size_t total = 0;
    if (state_folder().empty()) return total;
    DIR* const folder = opendir(state_folder().c_str());
    if (folder == nullptr) return total;
    while (const dirent* const entry = readdir(folder)) {
        if (std::strncmp(entry->d_name, "proc-", 5) != 0) continue;
        std::ifstream file(state_folder() + "/" + entry->d_name, std::ios::binary);
        Published other{};
        if (!file.read(reinterpret_cast<char*>(&other), sizeof other) || std::memcmp(other.magic, "CANNSIM1", 8) != 0) continue;
        const auto pid = static_cast<pid_t>(other.pid);
        if (pid != getpid() && pid > 0 && kill(pid, 0) == 0 && other.memory_bytes > 0) {
            total += static_cast<size_t>(other.memory_bytes);
        }
    }
    closedir(folder);
    return total;
}

double throttle_delay(double seconds) {
    return fault() == "hot" ? seconds : 0.0;  // a throttled chip: half the clock
}

}  // namespace cannsim
