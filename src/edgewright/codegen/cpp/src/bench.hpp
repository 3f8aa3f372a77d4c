// Latency by phase, as percentiles: where the time goes, and how much of it is not the model.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "predictor.hpp"

namespace app {

struct BenchOptions {
    double seconds;
    int batch;
    Mode mode;
};

// Runs over `images` in turn, shows a table on `table`, and gives the same as one JSON object.
std::string bench(Predictor& predict, const std::vector<Image>& images, const BenchOptions& options, std::ostream& table);

}  // namespace app
