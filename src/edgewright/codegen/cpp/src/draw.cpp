#include "draw.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#ifdef WITH_OPENCV
#include <opencv2/imgproc.hpp>
#endif

namespace app {

namespace {

using Shade = std::array<std::uint8_t, 3>;

// A colour per class; neighbours differ by the golden angle in hue.
Shade shade_of(int kind) {
    const double hue = std::fmod(kind * 0.61803398875, 1.0) * 6;
    const double bright = 0.95, dull = bright * (1 - 0.85);
    const auto channel = [&](double shift) {
        const double k = std::fmod(shift + hue, 6.0);
        const double part = std::clamp(std::min(k, 4 - k), 0.0, 1.0);
        return static_cast<std::uint8_t>(255 * (bright - (bright - dull) * part));
    };
    return {channel(5), channel(3), channel(1)};
}

void fill(Image& image, int x1, int y1, int x2, int y2, const Shade& shade) {
    x1 = std::clamp(x1, 0, image.width), x2 = std::clamp(x2, 0, image.width);
    y1 = std::clamp(y1, 0, image.height), y2 = std::clamp(y2, 0, image.height);
    for (int y = y1; y < y2; ++y)
        for (int x = x1; x < x2; ++x)
            std::copy(shade.begin(), shade.end(),
                      image.rgb.begin() + (static_cast<std::ptrdiff_t>(y) * image.width + x) * 3);
}

// Text whose lower left corner is x, y, kept inside the picture.
void write_text(Image& image, const std::string& text, int x, int y, int line, const Shade& ground) {
#ifdef WITH_OPENCV
    cv::Mat pixels(image.height, image.width, CV_8UC3, image.rgb.data());
    const double scale = 0.4 * line;
    int base = 0;
    const cv::Size size = cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, scale, line, &base);
    x = std::max(0, std::min(x, image.width - size.width));
    y = std::max(size.height + base, std::min(y, image.height));
    fill(image, x, y - size.height - base, x + size.width, y, ground);
    const bool light = 0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2] > 140;
    const cv::Scalar ink = light ? cv::Scalar(0, 0, 0) : cv::Scalar(255, 255, 255);
    cv::putText(pixels, text, {x, y - base / 2}, cv::FONT_HERSHEY_SIMPLEX, scale, ink, line, cv::LINE_AA);
#else
    (void)image, (void)text, (void)x, (void)y, (void)line, (void)ground;
#endif
}

std::string name_of(const Task& task, int kind) {
    const auto index = static_cast<std::size_t>(kind);
    return kind >= 0 && index < task.labels.size() ? task.labels[index] : std::to_string(kind);
}

std::string titled(const Task& task, int kind, double score) {
    char text[16];
    std::snprintf(text, sizeof text, " %.2f", score);
    return name_of(task, kind) + text;
}

int pixel(double place) { return static_cast<int>(std::nearbyint(place)); }

}  // namespace

void draw(Image& image, const Prediction& prediction, const Task& task) {
    const int line = std::max(1, pixel(std::max(image.width, image.height) / 400.0));
    for (auto box = prediction.boxes.rbegin(); box != prediction.boxes.rend(); ++box) {  // the best last, on top
        const Shade shade = shade_of(box->kind);
        const int x1 = pixel(box->x1), y1 = pixel(box->y1), x2 = pixel(box->x2), y2 = pixel(box->y2);
        fill(image, x1, y1, x2, y1 + line, shade);
        fill(image, x1, std::max(y1, y2 - line), x2, y2, shade);
        fill(image, x1, y1, x1 + line, y2, shade);
        fill(image, std::max(x1, x2 - line), y1, x2, y2, shade);
        write_text(image, titled(task, box->kind, box->score), x1, y1, line, shade);
    }
    int row = 1;
    for (const ClassScore& entry : prediction.classes) {
        if (row > 3) break;
        write_text(image, titled(task, entry.kind, entry.probability), 0, 14 * line * row++, line, {0, 0, 0});
    }
}

}  // namespace app
