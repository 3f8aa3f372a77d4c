#include "predictor.hpp"

#include <functional>
#include <numeric>
#include <utility>

#include "clock.hpp"
#include "failure.hpp"

namespace app {

Predictor::Predictor(const Task& task, std::unique_ptr<Engine> engine)
    : task_(task), engine_(std::move(engine)), preprocess_(task.steps) {
    preprocess_.expect(engine_->input_dtype());
}

std::vector<Prediction> Predictor::operator()(const std::vector<const Image*>& images, Mode mode) {
    const int count = static_cast<int>(images.size());
    if (count < 1 || count > batch())
        throw Failure(Exit::usage, "The model takes up to " + std::to_string(batch()) + " images at once.");
    Clock clock;
    geometries_.clear();
    for (int k = 0; k < count; ++k)  // straight into the engine's memory: no copy in between
        geometries_.push_back(
            preprocess_(*images[static_cast<std::size_t>(k)], engine_->sample(k), engine_->sample_bytes()));
    times_.pre = clock.lap();
    const RunTimes run = engine_->run(count);
    times_.to_device = run.to_device;
    times_.execute = run.execute;
    times_.to_host = run.to_host;
    clock.lap();
    std::vector<Prediction> predictions;
    for (std::size_t k = 0; k < images.size(); ++k)
        predictions.push_back(postprocess(task_, outputs_of(k), geometries_[k], mode));
    times_.post = clock.lap();
    return predictions;
}

Prediction Predictor::operator()(const Image& image, Mode mode) { return (*this)({&image}, mode).front(); }

Outputs Predictor::outputs_of(std::size_t sample) const {
    Outputs outputs;
    for (std::size_t k = 0; k < task_.engine.outputs.size(); ++k) {
        OutputBatch whole = engine_->output(k);
        if (whole.shape.empty() || static_cast<std::int64_t>(sample) >= whole.shape[0])
            throw Failure(Exit::device, "The output '" + task_.engine.outputs[k].name + "' has no batch axis.");
        whole.shape.erase(whole.shape.begin());
        const auto values =
            std::accumulate(whole.shape.begin(), whole.shape.end(), std::int64_t{1}, std::multiplies<>());
        outputs[task_.engine.outputs[k].role] = {whole.data + static_cast<std::int64_t>(sample) * values, whole.shape};
    }
    return outputs;
}

}  // namespace app
