// Annotated images: frames with names for a detector, lines of text for a classifier.
#pragma once

#include "image.hpp"
#include "postprocess.hpp"
#include "task.hpp"

namespace app {

// Names need OpenCV; without it there are frames only.
void draw(Image& image, const Prediction& prediction, const Task& task);

}  // namespace app
