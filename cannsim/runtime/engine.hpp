// Runs the lowered network on this CPU through OpenVINO.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "om_file.hpp"

namespace cannsim {

struct OpTime {
    std::string name;
    std::string kind;    // what OpenVINO ran: "Convolution", "Reorder" …
    std::string kernel;  // with which kernel: tells fp32 from int8
    double microseconds = 0;
};

class Engine {
public:
    // Throws std::exception when OpenVINO refuses the network.
    explicit Engine(std::shared_ptr<const OmFile> om);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // Compiles what `gear` needs, unless that was done (0 for a model without gears).
    void prepare(size_t gear);
    // One tensor a network input and output, of the sizes of that gear. `times` may be null.
    void run(size_t gear, const std::vector<void*>& inputs, const std::vector<void*>& outputs, std::vector<OpTime>* times);

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace cannsim
