// What runs the model. engine_ascendcl.cpp and engine_openvino.cpp are two of them; CMake takes one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "task.hpp"

namespace app {

struct EngineOptions {
    std::string model;    // the model file
    int device = 0;       // of several in one machine
    std::string profile;  // folder for the vendor's profiler; empty: no profile
};

struct RunTimes {  // milliseconds; copies are zero where the memory is shared
    double to_device = 0, execute = 0, to_host = 0;
};

struct OutputBatch {
    const float* data;
    std::vector<std::int64_t> shape;  // the batch axis first
};

class Engine {
public:
    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine() = default;

    // The most samples of one run, and whether it may be fewer without being filled up.
    virtual int batch() const = 0;
    // Where sample `index` of the next run is written, `sample_bytes()` long. Valid until the engine is gone.
    virtual std::byte* sample(int index) = 0;
    virtual std::size_t sample_bytes() const = 0;
    virtual Dtype input_dtype() const = 0;
    // Runs the first `samples` samples. Failure (Exit::device) with the vendor's words.
    virtual RunTimes run(int samples) = 0;
    // Output `index` in the order of the task's data; overwritten by the next run.
    virtual OutputBatch output(std::size_t index) const = 0;
    // The runtime and its version, for logs and reports.
    virtual std::string runtime() const = 0;
};

std::unique_ptr<Engine> open_engine(const EngineData& data, const EngineOptions& options);

}  // namespace app
