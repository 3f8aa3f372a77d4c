// Outputs of a detector -> candidates, one function for each form of output.
//
// What cannot pass the score threshold is thrown away before anything is computed: raw scores are compared
// in logit space, so that no exponential is spent on the thousands of places where nothing is.
// Formulas: YOLOv5 v6 Detect.forward (Jocher et al., 2022), YOLOX section 2.1 (Ge et al., 2021), distribution
// focal loss for YOLOv8-style heads (Li et al., 2020, "Generalized Focal Loss").
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "boxes.hpp"
#include "task.hpp"

namespace app {

// One output of one sample, float32, without its batch axis.
struct Tensor {
    const float* data;
    std::vector<std::int64_t> shape;
};
using Outputs = std::map<std::string, Tensor>;  // by role

std::vector<Candidate> decode(const Decoder& decoder, const Outputs& outputs, const Thresholds& thresholds);

}  // namespace app
