// Golden samples: pictures kept decoded, with the answers that the checked files gave. Every device and every
// program must give the same, as far as two processors can agree.
#pragma once

#include <string>

#include "predictor.hpp"

namespace app {

struct GoldenResult {
    int samples = 0, mismatches = 0;
};

// Replays golden/golden.json of `folder` (or golden.json, where `folder` is that folder itself) and says on
// standard error what differs. Failure where the samples cannot be read.
GoldenResult replay_golden(const std::string& folder, const Task& task, Predictor& predict);

// What differs, in words; empty where the predictions agree. Scores may differ by 0.05 and boxes must overlap
// by 0.9; a box within 0.05 of the confidence in force may be there or not.
std::string difference(const Prediction& expected, const Prediction& seen, double confidence);

}  // namespace app
