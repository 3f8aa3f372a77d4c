// Outputs by role -> a prediction.
#pragma once

#include <string>
#include <vector>

#include "boxes.hpp"
#include "decode.hpp"
#include "task.hpp"

namespace app {

struct ClassScore {
    int kind;
    double probability;
};

// Boxes of a detector or classes of a classifier, best first; the other list is empty.
struct Prediction {
    std::vector<Box> boxes;
    std::vector<ClassScore> classes;
};

enum class Mode { serve, metric };  // which of the task's two sets of thresholds

Prediction postprocess(const Task& task, const Outputs& outputs, const Geometry& geometry, Mode mode);

// [[class, score, x1, y1, x2, y2], ...] or [[class, probability], ...]
std::string to_json(const Task& task, const Prediction& prediction);

}  // namespace app
