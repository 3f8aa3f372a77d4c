// The words of the command line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "postprocess.hpp"

namespace app {

struct Options {
    std::string model;    // empty: the task's own path, looked for beside the program
    std::string json;     // file for the results; empty: standard output
    std::string save;     // folder for annotated images
    std::string golden;   // folder of golden samples
    std::string profile;  // folder for the vendor's profiler
    double bench = 0;     // seconds; 0: no benchmark
    bool pipe = false, help = false, version = false;
    int batch = 1;
    std::optional<int> device;
    Mode mode = Mode::serve;
    std::vector<std::string> sources;
};

// Failure (Exit::usage) that names the word it does not understand.
Options read_options(int count, char** words);
std::string usage();

}  // namespace app
