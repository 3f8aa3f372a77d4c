#include "board.hpp"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "acl/acl_rt.h"

namespace cannsim {
namespace {

struct Row {
    const char* soc;
    bool host_mode;
    size_t memory_mb;
    size_t baseline_mb;
};

// Memory and idle use as seen in published npu-smi outputs; the 910 rows are nominal.
constexpr Row kRows[] = {
    {"Ascend310B4", false, 3513, 1331},   {"Ascend310B1", false, 11577, 2300}, {"Ascend310P3", true, 44215, 1894},
    {"Ascend310P1", true, 22107, 1894},   {"Ascend310", true, 8192, 500},      {"Ascend910B1", true, 65536, 3546},
    {"Ascend910B2", true, 65536, 3546},   {"Ascend910B3", true, 65536, 3546},  {"Ascend910B4", true, 32768, 3546},
};

std::map<std::string, std::string> read_settings() {
    std::map<std::string, std::string> settings;
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void*>(&aclrtGetSocName), &info) == 0 || info.dli_fname == nullptr) return settings;
    std::string path = info.dli_fname;
    const size_t slash = path.rfind('/');
    path = (slash == std::string::npos ? std::string(".") : path.substr(0, slash)) + "/../cannsim.cfg";
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const size_t equals = line.find('=');
        if (equals != std::string::npos) settings[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return settings;
}

std::string setting(const std::map<std::string, std::string>& file, const char* variable, const char* key,
                    const std::string& otherwise) {
    if (const char* text = std::getenv(variable); text != nullptr && text[0] != '\0') return text;
    const auto found = file.find(key);
    return found == file.end() ? otherwise : found->second;
}

Board make_board() {
    const auto file = read_settings();
    Board made;
    made.soc = setting(file, "CANNSIM_SOC", "soc", "Ascend310B4");
    made.cann = setting(file, "CANNSIM_CANN_VERSION", "cann_version", "8.1.RC1");
    Row row = kRows[0];
    for (const Row& candidate : kRows) {
        if (made.soc == candidate.soc) row = candidate;
    }
    const std::string mode = setting(file, "CANNSIM_RUN_MODE", "run_mode", row.host_mode ? "host" : "device");
    made.host_mode = mode == "host";
    const long memory = std::atol(setting(file, "CANNSIM_MEMORY_MB", "memory_mb", "0").c_str());
    made.memory_mb = memory > 0 ? static_cast<size_t>(memory) : row.memory_mb;
    made.baseline_mb = made.memory_mb == row.memory_mb ? row.baseline_mb : made.memory_mb / 8;
    const int devices = std::atoi(setting(file, "CANNSIM_DEVICES", "devices", "1").c_str());
    made.devices = devices > 0 ? devices : 1;
    return made;
}

}  // namespace

const Board& board() {
    static const Board chosen = make_board();
    return chosen;
}

std::string state_folder() {
    static const std::string folder = [] {
        const char* given = std::getenv("CANNSIM_STATE_DIR");
        std::string path = given != nullptr && given[0] != '\0' ? given : "/tmp/cannsim-" + std::to_string(getuid());
        mkdir(path.c_str(), 0700);
        struct stat facts {};
        // A folder somebody else made in /tmp is not ours to write into.
        const bool ours = lstat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == getuid();
        return ours ? path : std::string();
    }();
    return folder;
}

std::string fault() {
    if (const char* text = std::getenv("CANNSIM_FAULT"); text != nullptr) return text;
    std::string name;
    if (!state_folder().empty()) {
        std::ifstream file(state_folder() + "/fault");
        file >> name;
    }
    return name;
}

int compare_versions(const std::string& left, const std::string& right) {
    const auto number = [](const std::string& text, int index) {
        size_t at = 0;
        for (int skipped = 0; skipped < index && at != std::string::npos; ++skipped) {
            at = text.find('.', at);
            if (at != std::string::npos) ++at;
        }
        return at == std::string::npos ? 0 : std::atoi(text.c_str() + at);
    };
    for (int index = 0; index < 2; ++index) {
        if (const int difference = number(left, index) - number(right, index); difference != 0) return difference;
    }
    return 0;
}

}  // namespace cannsim

extern "C" const char* aclrtGetSocName(void) { return cannsim::board().soc.c_str(); }
