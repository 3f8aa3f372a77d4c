// The vocabulary of task_data.hpp: what a task is made of, as plain data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace app {

enum class Dtype { uint8, float16, float32, int32, int64 };
enum class Order { nchw, nhwc };
enum class Colour { rgb, bgr, gray };

std::size_t size_of(Dtype dtype);

// Pre-processing, from decoded pixels (8-bit RGB, height x width x 3), in the order of the list.
struct Letterbox {
    int height, width, value;
    bool centre, scale_up;
};
struct Resize {
    int height, width;
    bool keep_ratio;  // covers the size instead of filling it; a centre crop follows
};
struct CentreCrop {
    int height, width;
};
struct ColourOrder {
    Colour order;
};
struct Scale {
    double factor;
};
struct Normalise {
    std::vector<double> mean, deviation;
};
struct Cast {
    Dtype dtype;
};
struct Layout {
    Order order;
};
struct Nv12 {};  // YUV420SP: a plane of luma, then a row of U, V pairs for every two rows; sizes are even
using Step = std::variant<Letterbox, Resize, CentreCrop, ColourOrder, Scale, Normalise, Cast, Layout, Nv12>;

// Post-processing of a detector: how its outputs (by role) become boxes.
struct Yolov5Heads {  // raw, [1, anchors * (5 + classes), h, w] per role
    struct Head {
        std::string role;
        double stride;
        std::vector<std::array<double, 2>> anchors;  // width and height in pixels
    };
    std::vector<Head> heads;
    Order order;
};
struct Yolov5Flat {  // decoded, [1, n, 5 + classes]
    std::string role;
};
struct Yolox {  // [1, n, 5 + classes] over the grids of all strides
    std::string role;
    std::vector<int> strides;
    int height, width;
    bool decoded;  // the graph itself made pixels of the boxes
};
struct Yolov8Flat {  // decoded, [1, 4 + classes, n]
    std::string role;
};
struct Yolov8Heads {  // raw, [1, 4 * bins + classes, h, w] per role
    std::vector<std::pair<std::string, double>> heads;  // role and stride
    int bins;
    Order order;
};
using Decoder = std::variant<Yolov5Heads, Yolov5Flat, Yolox, Yolov8Flat, Yolov8Heads>;

enum class Suppression { none, of_a_class, of_all };

struct Thresholds {
    double confidence, iou;
    int most;          // detections of one picture
    bool multi_label;  // a box may carry several classes: what mAP needs
};
struct Detector {
    Decoder decoder;
    Suppression suppression;
    bool to_source;  // boxes back to pixels of the source image
    Thresholds serve, metric;
};
struct Classifier {
    std::string role;
    bool softmax;
    int most;
};

struct Port {
    std::string role, name;  // the role in this task, the name in the model file
    Dtype dtype;
    std::vector<std::int64_t> shape;  // -1 where it is open
};

// What the engine of the chosen backend is opened with. Unused settings are zero or empty.
struct EngineData {
    std::string path;  // of the model, relative to the service's folder
    Port input;
    std::vector<Port> outputs;
    int device, threads, streams;
    std::string hint, precision;
    std::vector<std::string> output_order;  // names in the model's own order, where they are known
};

struct Task {
    std::string name;
    std::vector<Step> steps;
    std::variant<Detector, Classifier> result;
    std::vector<std::string> labels;
    EngineData engine;
    int batch;
    bool simulated;
};

const Task& task();

}  // namespace app
