// Decoded pixels -> the model's input, by the steps of the task.
#pragma once

#include <cstddef>
#include <vector>

#include "image.hpp"
#include "task.hpp"

namespace app {

// How source pixels became pixels of the model's input: x_model = x_source * scale_x + left.
struct Geometry {
    int width = 0, height = 0;  // of the source image
    double scale_x = 1, scale_y = 1, left = 0, top = 0;
};

class Preprocess {
public:
    explicit Preprocess(std::vector<Step> steps);

    // The type of the model's own input. Failure where it is not what the steps end in (fp16 for fp32 is).
    void expect(Dtype dtype);

    // Writes one sample into `out`, which is `bytes` long. Failure where the sample has another size.
    Geometry operator()(const Image& image, std::byte* out, std::size_t bytes);

private:
    void place(const Image& image, Geometry& geometry);
    void letterbox(const Letterbox& step, const Image& image, Geometry& geometry);
    void resize(const Resize& step, const Image& image, Geometry& geometry);
    void crop(const CentreCrop& step, Geometry& geometry);
    template <typename Out>
    void write(Out* out) const;
    void write_nv12(std::uint8_t* out) const;
    std::size_t values() const;

    std::vector<Step> steps_;
    Resizer resizer_;
    Image placed_;  // after all steps that move pixels
    Canvas inside_{};
    // What is left is arithmetic on each value: (x * factor - mean) / deviation, then its type and place.
    Colour colour_ = Colour::rgb;
    bool scaled_ = false, nv12_ = false;
    float factor_ = 1;
    std::vector<float> mean_, deviation_;
    Dtype dtype_ = Dtype::uint8;
    Order order_ = Order::nhwc;
};

}  // namespace app
