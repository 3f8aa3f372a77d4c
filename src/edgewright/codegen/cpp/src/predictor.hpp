// The engine with what goes before and after it: images in, predictions out.
#pragma once

#include <memory>
#include <vector>

#include "engine.hpp"
#include "image.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"

namespace app {

struct Times {  // milliseconds of one call, whatever its number of images
    double pre = 0, to_device = 0, execute = 0, to_host = 0, post = 0;
    double total() const { return pre + to_device + execute + to_host + post; }
};

class Predictor {
public:
    Predictor(const Task& task, std::unique_ptr<Engine> engine);

    // Predictions of at most `batch()` images, in one run of the model.
    std::vector<Prediction> operator()(const std::vector<const Image*>& images, Mode mode);
    Prediction operator()(const Image& image, Mode mode = Mode::serve);

    int batch() const { return engine_->batch(); }
    const Times& times() const { return times_; }  // of the last call
    const Engine& engine() const { return *engine_; }

private:
    Outputs outputs_of(std::size_t sample) const;

    const Task& task_;
    std::unique_ptr<Engine> engine_;
    Preprocess preprocess_;
    std::vector<Geometry> geometries_;
    Times times_;
};

}  // namespace app
