// Pixels in memory: 8-bit RGB, rows without gaps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace app {

constexpr std::int64_t largest_image = 100'000'000;  // pixels; more is taken for a damaged header

struct Image {
    int width = 0, height = 0;
    std::vector<std::uint8_t> rgb;  // height * width * 3
};

// A place in somebody's memory where `rows` of RGB pixels start `stride` bytes apart.
struct Canvas {
    std::uint8_t* pixels;
    int width, height;
    std::size_t stride;
};

// Bilinear, half-pixel centres, edges repeated; weights of 1/256, two rows mixed to 8.8 and two columns
// to 16.16 fixed point, rounded once. The same bits as OpenCV's INTER_LINEAR_EXACT on every processor.
class Resizer {
public:
    void operator()(const Image& from, Canvas to);

private:
    struct Taps {  // per target position: two source positions, and the second one's weight of 256
        int source = 0;
        std::vector<int> first, second, weight;
        void fit(int from, int to);
    };
    Taps rows_, columns_;
    std::vector<std::uint16_t> mixed_;
};

// Binary PPM (P6, 8 bits a sample): the form that needs no library. Failure where it is none.
Image read_ppm(const std::string& path);
void write_ppm(const std::string& path, const Image& image);

}  // namespace app
