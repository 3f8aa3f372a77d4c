// What msprof and aclprof record: times measured on this CPU, written raw for `msprof --export=on` to turn into tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "engine.hpp"

namespace cannsim {

bool profiling();
void profile_from_environment();  // msprof starts a program with CANNSIM_PROFILE_DIR set
void profile_end_of_program();

// One AscendCL call, for api_statistic.
class Timed {
public:
    explicit Timed(const char* name);
    ~Timed();
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;

private:
    const char* name_;
    std::chrono::system_clock::time_point start_;
};

void profile_run(uint32_t model_id, size_t iteration, int stream_id, const OmFile& om,
                 std::chrono::system_clock::time_point start, double seconds, const std::vector<OpTime>& times);

}  // namespace cannsim
