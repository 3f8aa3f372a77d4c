#include "decode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "failure.hpp"

namespace app {

namespace {

using Size = std::size_t;

const Tensor& output(const Outputs& outputs, const std::string& role, Size axes) {
    const auto found = outputs.find(role);
    if (found == outputs.end()) throw Failure(Exit::device, "The model has no output '" + role + "'.");
    if (found->second.shape.size() != axes)
        throw Failure(Exit::device, "The output '" + role + "' does not have the shape that its decoder reads.");
    return found->second;
}

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

float logit(double probability) {
    constexpr double endless = std::numeric_limits<double>::infinity();
    if (!(probability > 0 && probability < 1)) return static_cast<float>(probability <= 0 ? -endless : endless);
    return static_cast<float>(std::log(probability / (1 - probability)));
}

// Reads one place of a head whose channels may lie a plane apart.
struct Place {
    const float* first;
    Size step;
    float operator[](Size channel) const { return first[channel * step]; }
};

// Calls `keep(class, score)` for what passes: the best class, or every class where several are wanted.
template <typename Keep>
void label(const Place& classes, Size count, float objectness, bool raw, const Thresholds& thresholds, Keep keep) {
    const auto confidence = static_cast<float>(thresholds.confidence);
    if (count == 0) {  // a detector of one unnamed class has objectness only
        if (objectness > confidence) keep(0, objectness);
        return;
    }
    const auto score = [&](Size k) { return (raw ? sigmoid(classes[k]) : classes[k]) * objectness; };
    if (thresholds.multi_label) {
        for (Size k = 0; k < count; ++k)
            if (score(k) > confidence) keep(static_cast<int>(k), score(k));
        return;
    }
    Size best = 0;
    for (Size k = 1; k < count; ++k)
        if (classes[k] > classes[best]) best = k;
    if (score(best) > confidence) keep(static_cast<int>(best), score(best));
}

// The grid of a raw head, whatever its layout.
struct Grid {
    Size channels, height, width;
    const float* data;
    bool planes;

    Grid(const Tensor& tensor, Order order)
        : channels(static_cast<Size>(tensor.shape[order == Order::nchw ? 0 : 2])),
          height(static_cast<Size>(tensor.shape[order == Order::nchw ? 1 : 0])),
          width(static_cast<Size>(tensor.shape[order == Order::nchw ? 2 : 1])),
          data(tensor.data),
          planes(order == Order::nchw) {}
    Size places() const { return height * width; }
    Place at(Size place, Size channel) const {
        return planes ? Place{data + channel * places() + place, places()} : Place{data + place * channels + channel, 1};
    }
};

std::vector<Candidate> run(const Yolov5Heads& decoder, const Outputs& outputs, const Thresholds& thresholds) {
    const float limit = logit(thresholds.confidence);
    std::vector<Candidate> found;
    for (const auto& head : decoder.heads) {
        const Grid grid(output(outputs, head.role, 3), decoder.order);
        const Size row = grid.channels / head.anchors.size();
        const auto stride = static_cast<float>(head.stride);
        for (Size a = 0; a < head.anchors.size(); ++a) {
            const auto wide = static_cast<float>(head.anchors[a][0]), tall = static_cast<float>(head.anchors[a][1]);
            for (Size place = 0; place < grid.places(); ++place) {
                const Place raw = grid.at(place, a * row);
                if (!(raw[4] > limit)) continue;
                label(grid.at(place, a * row + 5), row - 5, sigmoid(raw[4]), true, thresholds, [&](int kind, float score) {
                    const float x = (sigmoid(raw[0]) * 2 - 0.5f + static_cast<float>(place % grid.width)) * stride;
                    const float y = (sigmoid(raw[1]) * 2 - 0.5f + static_cast<float>(place / grid.width)) * stride;
                    const float w = sigmoid(raw[2]) * 2, h = sigmoid(raw[3]) * 2;
                    found.push_back(from_centre(x, y, w * w * wide, h * h * tall, score, kind));
                });
            }
        }
    }
    return found;
}

std::vector<Candidate> run(const Yolov5Flat& decoder, const Outputs& outputs, const Thresholds& thresholds) {
    const Tensor& table = output(outputs, decoder.role, 2);
    const Size row = static_cast<Size>(table.shape[1]);
    std::vector<Candidate> found;
    for (Size k = 0; k < static_cast<Size>(table.shape[0]); ++k) {
        const float* at = table.data + k * row;
        if (!(at[4] > static_cast<float>(thresholds.confidence))) continue;
        label({at + 5, 1}, row - 5, at[4], false, thresholds, [&](int kind, float score) {
            found.push_back(from_centre(at[0], at[1], at[2], at[3], score, kind));
        });
    }
    return found;
}

std::vector<Candidate> run(const Yolox& decoder, const Outputs& outputs, const Thresholds& thresholds) {
    const Tensor& table = output(outputs, decoder.role, 2);
    const Size row = static_cast<Size>(table.shape[1]), rows = static_cast<Size>(table.shape[0]);
    std::vector<Candidate> found;
    Size k = 0;
    for (const int stride : decoder.strides) {
        const Size wide = static_cast<Size>(decoder.width / stride), tall = static_cast<Size>(decoder.height / stride);
        for (Size place = 0; place < wide * tall && k < rows; ++place, ++k) {
            const float* at = table.data + k * row;
            if (!(at[4] > static_cast<float>(thresholds.confidence))) continue;
            label({at + 5, 1}, row - 5, at[4], false, thresholds, [&](int kind, float score) {
                if (decoder.decoded) {
                    found.push_back(from_centre(at[0], at[1], at[2], at[3], score, kind));
                    return;
                }
                const auto step = static_cast<float>(stride);
                const float x = (at[0] + static_cast<float>(place % wide)) * step;
                const float y = (at[1] + static_cast<float>(place / wide)) * step;
                found.push_back(from_centre(x, y, std::exp(at[2]) * step, std::exp(at[3]) * step, score, kind));
            });
        }
    }
    return found;
}

// The best of `count` values a `step` apart.
float highest(const Place& values, Size count) {
    float best = values[0];
    for (Size k = 1; k < count; ++k) best = std::max(best, values[k]);
    return best;
}

std::vector<Candidate> run(const Yolov8Flat& decoder, const Outputs& outputs, const Thresholds& thresholds) {
    const Tensor& table = output(outputs, decoder.role, 2);
    const Size classes = static_cast<Size>(table.shape[0]) - 4, places = static_cast<Size>(table.shape[1]);
    std::vector<Candidate> found;
    for (Size k = 0; k < places; ++k) {
        const Place at{table.data + k, places}, scores{table.data + 4 * places + k, places};
        if (!(highest(scores, classes) > static_cast<float>(thresholds.confidence))) continue;
        label(scores, classes, 1.0f, false, thresholds, [&](int kind, float score) {
            found.push_back(from_centre(at[0], at[1], at[2], at[3], score, kind));
        });
    }
    return found;
}

// The mean bin under a softmax: how far one side of the box is, in cells.
float expected(const Place& logits, Size bins) {
    const float best = highest(logits, bins);
    float sum = 0, weighted = 0;
    for (Size k = 0; k < bins; ++k) {
        const float weight = std::exp(logits[k] - best);
        sum += weight;
        weighted += weight * static_cast<float>(k);
    }
    return weighted / sum;
}

std::vector<Candidate> run(const Yolov8Heads& decoder, const Outputs& outputs, const Thresholds& thresholds) {
    const float limit = logit(thresholds.confidence);
    const Size bins = static_cast<Size>(decoder.bins);
    std::vector<Candidate> found;
    for (const auto& [role, stride] : decoder.heads) {
        const Grid grid(output(outputs, role, 3), decoder.order);
        const Size classes = grid.channels - 4 * bins;
        const auto step = static_cast<float>(stride);
        for (Size place = 0; place < grid.places(); ++place) {
            const Place scores = grid.at(place, 4 * bins);
            if (!(highest(scores, classes) > limit)) continue;
            const float x = static_cast<float>(place % grid.width) + 0.5f;
            const float y = static_cast<float>(place / grid.width) + 0.5f;
            label(scores, classes, 1.0f, true, thresholds, [&](int kind, float score) {
                const float left = expected(grid.at(place, 0), bins), top = expected(grid.at(place, bins), bins);
                const float right = expected(grid.at(place, 2 * bins), bins);
                const float bottom = expected(grid.at(place, 3 * bins), bins);
                found.push_back({(x - left) * step, (y - top) * step, (x + right) * step, (y + bottom) * step, score, kind});
            });
        }
    }
    return found;
}

}  // namespace

std::vector<Candidate> decode(const Decoder& decoder, const Outputs& outputs, const Thresholds& thresholds) {
    return std::visit([&](const auto& form) { return run(form, outputs, thresholds); }, decoder);
}

}  // namespace app
