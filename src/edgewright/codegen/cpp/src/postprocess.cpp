#include "postprocess.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "failure.hpp"
#include "json.hpp"

namespace app {

namespace {

Prediction run(const Detector& detector, const Outputs& outputs, const Geometry& geometry, Mode mode) {
    const Thresholds& thresholds = mode == Mode::serve ? detector.serve : detector.metric;
    const auto kept = suppress(decode(detector.decoder, outputs, thresholds), detector.suppression,
                               static_cast<float>(thresholds.iou), static_cast<std::size_t>(thresholds.most));
    Prediction prediction;
    for (const Candidate& candidate : kept)
        prediction.boxes.push_back(to_source(candidate, geometry, detector.to_source));
    return prediction;
}

Prediction run(const Classifier& classifier, const Outputs& outputs, const Geometry&, Mode) {
    const auto found = outputs.find(classifier.role);
    if (found == outputs.end()) throw Failure(Exit::device, "The model has no output '" + classifier.role + "'.");
    const auto& shape = found->second.shape;
    const auto count = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    std::vector<double> scores(found->second.data, found->second.data + count);
    if (classifier.softmax && !scores.empty()) {
        const double best = *std::max_element(scores.begin(), scores.end());
        for (double& score : scores) score = std::exp(score - best);
        const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
        for (double& score : scores) score /= sum;
    }
    for (double& score : scores)
        if (!std::isfinite(score)) score = -1;  // a network gone wrong ranks last
    std::vector<int> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto better = [&](int a, int b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    };
    std::stable_sort(order.begin(), order.end(), better);
    order.resize(std::min(order.size(), static_cast<std::size_t>(classifier.most)));
    Prediction prediction;
    for (const int kind : order)
        prediction.classes.push_back({kind, rounded_to(scores[static_cast<std::size_t>(kind)], 1e6)});
    return prediction;
}

}  // namespace

Prediction postprocess(const Task& task, const Outputs& outputs, const Geometry& geometry, Mode mode) {
    return std::visit([&](const auto& result) { return run(result, outputs, geometry, mode); }, task.result);
}

std::string to_json(const Task& task, const Prediction& prediction) {
    std::string text = "[";
    if (std::holds_alternative<Detector>(task.result)) {
        for (const Box& box : prediction.boxes) {
            text += (text.size() > 1 ? ", [" : "[") + std::to_string(box.kind) + ", " + number(box.score, 6);
            for (const double place : {box.x1, box.y1, box.x2, box.y2}) text += ", " + number(place, 3);
            text += "]";
        }
    } else {
        for (const ClassScore& entry : prediction.classes)
            text += (text.size() > 1 ? ", [" : "[") + std::to_string(entry.kind) + ", " + number(entry.probability, 6) + "]";
    }
    return text + "]";
}

}  // namespace app
