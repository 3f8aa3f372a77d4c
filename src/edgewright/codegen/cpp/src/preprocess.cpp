#include "preprocess.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "failure.hpp"
#include "half.hpp"

namespace app {

namespace {

void moved(Geometry& geometry, double scale_x, double scale_y, double left, double top) {
    geometry.scale_x *= scale_x;
    geometry.scale_y *= scale_y;
    geometry.left = geometry.left * scale_x + left;
    geometry.top = geometry.top * scale_y + top;
}

// Ties to even, as Python's round(): the size decides where every box lies.
int rounded(double value) { return static_cast<int>(std::nearbyint(value)); }

// Luma by ITU-R BT.601 in 16-bit integers.
std::uint8_t luma(const std::uint8_t* rgb) {
    return static_cast<std::uint8_t>((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

template <typename Out>
Out stored(float value) {
    if constexpr (std::is_same_v<Out, Half>) return to_half(value);
    else return static_cast<Out>(value);
}

}  // namespace

Preprocess::Preprocess(std::vector<Step> steps) : steps_(std::move(steps)) {
    for (const Step& step : steps_) {
        if (const auto* colour = std::get_if<ColourOrder>(&step)) colour_ = colour->order;
        if (const auto* scale = std::get_if<Scale>(&step)) {
            scaled_ = true;
            factor_ = static_cast<float>(scale->factor);
            dtype_ = Dtype::float32;
        }
        if (const auto* normalise = std::get_if<Normalise>(&step)) {
            mean_.assign(normalise->mean.begin(), normalise->mean.end());
            deviation_.assign(normalise->deviation.begin(), normalise->deviation.end());
            dtype_ = Dtype::float32;
        }
        if (const auto* cast = std::get_if<Cast>(&step)) dtype_ = cast->dtype;
        if (const auto* layout = std::get_if<Layout>(&step)) order_ = layout->order;
        if (std::holds_alternative<Nv12>(step)) nv12_ = true;
    }
}

void Preprocess::expect(Dtype dtype) {
    const bool narrower = dtype_ == Dtype::float32 && dtype == Dtype::float16;
    if (dtype != dtype_ && !narrower)
        throw Failure(Exit::input, "The model's input is of another type than this program prepares: it was built with "
                                   "other pre-processing (AIPP) than the task's data say.");
    dtype_ = dtype;
}

Geometry Preprocess::operator()(const Image& image, std::byte* out, std::size_t bytes) {
    Geometry geometry{image.width, image.height, 1, 1, 0, 0};
    place(image, geometry);
    if (values() * size_of(dtype_) != bytes)
        throw Failure(Exit::input, "A sample of this task is " + std::to_string(values() * size_of(dtype_)) +
                                       " bytes, and the model takes " + std::to_string(bytes) + ".");
    if (nv12_) {
        write_nv12(reinterpret_cast<std::uint8_t*>(out));
        return geometry;
    }
    switch (dtype_) {
        case Dtype::uint8: write(reinterpret_cast<std::uint8_t*>(out)); break;
        case Dtype::float16: write(reinterpret_cast<Half*>(out)); break;
        case Dtype::float32: write(reinterpret_cast<float*>(out)); break;
        default: throw Failure(Exit::input, "Pixels become 8-bit numbers or floats only.");
    }
    return geometry;
}

void Preprocess::place(const Image& image, Geometry& geometry) {
    bool placed = false;
    for (const Step& step : steps_) {
        if (const auto* box = std::get_if<Letterbox>(&step)) {
            letterbox(*box, image, geometry);
            placed = true;
        } else if (const auto* size = std::get_if<Resize>(&step)) {
            resize(*size, image, geometry);
            placed = true;
        } else if (const auto* middle = std::get_if<CentreCrop>(&step)) {
            if (!placed) placed_ = image;
            crop(*middle, geometry);
            placed = true;
        }
    }
    if (!placed) placed_ = image;
}

void Preprocess::letterbox(const Letterbox& step, const Image& image, Geometry& geometry) {
    double ratio = std::min(static_cast<double>(step.width) / image.width,
                            static_cast<double>(step.height) / image.height);
    if (!step.scale_up) ratio = std::min(ratio, 1.0);
    const int wide = std::max(1, rounded(image.width * ratio)), tall = std::max(1, rounded(image.height * ratio));
    const int left = step.centre ? (step.width - wide) / 2 : 0, top = step.centre ? (step.height - tall) / 2 : 0;
    const auto row = static_cast<std::size_t>(step.width) * 3;
    const std::size_t offset = static_cast<std::size_t>(top) * row + static_cast<std::size_t>(left) * 3;
    // The border only changes with the shape of the picture; a video writes it once.
    if (placed_.rgb.empty() || inside_.width != wide || inside_.height != tall) {
        placed_ = {step.width, step.height, {}};
        placed_.rgb.assign(row * static_cast<std::size_t>(step.height), static_cast<std::uint8_t>(step.value));
    }
    inside_ = {placed_.rgb.data() + offset, wide, tall, row};
    resizer_(image, inside_);
    moved(geometry, static_cast<double>(wide) / image.width, static_cast<double>(tall) / image.height, left, top);
}

void Preprocess::resize(const Resize& step, const Image& image, Geometry& geometry) {
    int wide = step.width, tall = step.height;
    if (step.keep_ratio) {
        const double ratio = std::max(static_cast<double>(wide) / image.width, static_cast<double>(tall) / image.height);
        wide = std::max(wide, rounded(image.width * ratio));
        tall = std::max(tall, rounded(image.height * ratio));
    }
    const auto row = static_cast<std::size_t>(wide) * 3;
    placed_.width = wide;
    placed_.height = tall;
    placed_.rgb.resize(row * static_cast<std::size_t>(tall));
    resizer_(image, {placed_.rgb.data(), wide, tall, row});
    moved(geometry, static_cast<double>(wide) / image.width, static_cast<double>(tall) / image.height, 0, 0);
}

void Preprocess::crop(const CentreCrop& step, Geometry& geometry) {
    if (placed_.height < step.height || placed_.width < step.width)
        throw Failure(Exit::input, "The image is smaller than the model's input.");
    const int left = (placed_.width - step.width) / 2, top = (placed_.height - step.height) / 2;
    const auto from = static_cast<std::size_t>(placed_.width) * 3, to = static_cast<std::size_t>(step.width) * 3;
    for (std::size_t y = 0; y < static_cast<std::size_t>(step.height); ++y)  // upwards: rows only move to the front
        std::memmove(placed_.rgb.data() + y * to,
                     placed_.rgb.data() + (y + static_cast<std::size_t>(top)) * from + static_cast<std::size_t>(left) * 3,
                     to);
    placed_.width = step.width;
    placed_.height = step.height;
    placed_.rgb.resize(to * static_cast<std::size_t>(step.height));
    moved(geometry, 1, 1, -left, -top);
}

std::size_t Preprocess::values() const {
    const std::size_t pixels = static_cast<std::size_t>(placed_.width) * static_cast<std::size_t>(placed_.height);
    if (nv12_) return pixels + pixels / 2;
    return pixels * (colour_ == Colour::gray ? 1 : 3);
}

// BT.601, full range (JPEG, ITU-T T.871); chroma is the mean of 2 x 2 pixels.
void Preprocess::write_nv12(std::uint8_t* out) const {
    if (placed_.width % 2 != 0 || placed_.height % 2 != 0) throw Failure(Exit::input, "NV12 needs even sizes.");
    const auto byte = [](float value) { return static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f)); };
    const auto width = static_cast<std::size_t>(placed_.width), height = static_cast<std::size_t>(placed_.height);
    std::uint8_t* chroma = out + width * height;
    for (std::size_t y = 0; y < height; y += 2) {
        for (std::size_t x = 0; x < width; x += 2) {
            float u = 0, v = 0;
            for (const std::size_t at : {y * width + x, y * width + x + 1, (y + 1) * width + x, (y + 1) * width + x + 1}) {
                const std::uint8_t* rgb = placed_.rgb.data() + 3 * at;
                const float r = rgb[0], g = rgb[1], b = rgb[2];
                out[at] = byte(0.299f * r + 0.587f * g + 0.114f * b + 0.5f);
                u += -0.168736f * r - 0.331264f * g + 0.5f * b;
                v += 0.5f * r - 0.418688f * g - 0.081312f * b;
            }
            *chroma++ = byte(u / 4 + 128.5f);
            *chroma++ = byte(v / 4 + 128.5f);
        }
    }
}

template <typename Out>
void Preprocess::write(Out* out) const {
    const std::size_t pixels = static_cast<std::size_t>(placed_.width) * static_cast<std::size_t>(placed_.height);
    const std::size_t channels = colour_ == Colour::gray ? 1 : 3;
    const std::size_t between = order_ == Order::nchw ? 1 : channels;  // neighbours of one channel
    for (std::size_t c = 0; c < channels; ++c) {
        const std::size_t source = colour_ == Colour::bgr ? 2 - c : c;
        // All 256 results of this channel at once: what follows is one look-up for each value.
        std::array<Out, 256> table{};
        for (std::size_t k = 0; k < table.size(); ++k) {
            float value = static_cast<float>(k);
            if (scaled_) value *= factor_;
            if (!mean_.empty()) value = (value - mean_[c % mean_.size()]) / deviation_[c % deviation_.size()];
            table[k] = stored<Out>(value);
        }
        Out* to = out + (order_ == Order::nchw ? c * pixels : c);
        const std::uint8_t* from = placed_.rgb.data();
        for (std::size_t k = 0; k < pixels; ++k, from += 3)
            to[k * between] = table[colour_ == Colour::gray ? luma(from) : from[source]];
    }
}

}  // namespace app
