#include "image.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "failure.hpp"

namespace app {

void Resizer::Taps::fit(int from, int to) {
    if (source == from && static_cast<int>(first.size()) == to) return;
    source = from;
    first.resize(static_cast<std::size_t>(to));
    second = weight = first;
    const double step = 1.0 / (static_cast<double>(to) / from);
    for (int k = 0; k < to; ++k) {
        const auto at = static_cast<std::size_t>(k);
        const double centre = step * (k + 0.5) - 0.5;
        const int low = static_cast<int>(std::floor(centre));
        const bool edge = low < 0 || low >= from - 1;
        weight[at] = edge ? 0 : static_cast<int>(std::nearbyint((centre - low) * 256));
        first[at] = std::clamp(low, 0, from - 1);
        second[at] = std::min(first[at] + 1, from - 1);
    }
}

void Resizer::operator()(const Image& from, Canvas to) {
    const auto row_bytes = static_cast<std::size_t>(from.width) * 3;
    if (from.width == to.width && from.height == to.height) {
        for (int y = 0; y < to.height; ++y)
            std::memcpy(to.pixels + static_cast<std::size_t>(y) * to.stride,
                        from.rgb.data() + static_cast<std::size_t>(y) * row_bytes, row_bytes);
        return;
    }
    rows_.fit(from.height, to.height);
    columns_.fit(from.width, to.width);
    mixed_.resize(row_bytes);
    for (std::size_t y = 0; y < static_cast<std::size_t>(to.height); ++y) {
        const std::uint8_t* top = from.rgb.data() + static_cast<std::size_t>(rows_.first[y]) * row_bytes;
        const std::uint8_t* bottom = from.rgb.data() + static_cast<std::size_t>(rows_.second[y]) * row_bytes;
        const int down = rows_.weight[y];
        for (std::size_t k = 0; k < row_bytes; ++k)
            mixed_[k] = static_cast<std::uint16_t>(top[k] * (256 - down) + bottom[k] * down);
        std::uint8_t* out = to.pixels + y * to.stride;
        for (std::size_t x = 0; x < static_cast<std::size_t>(to.width); ++x) {
            const std::uint16_t* left = mixed_.data() + static_cast<std::size_t>(columns_.first[x]) * 3;
            const std::uint16_t* right = mixed_.data() + static_cast<std::size_t>(columns_.second[x]) * 3;
            const auto across = static_cast<std::uint32_t>(columns_.weight[x]);
            for (std::size_t c = 0; c < 3; ++c)
                out[3 * x + c] =
                    static_cast<std::uint8_t>((left[c] * (256 - across) + right[c] * across + (1u << 15)) >> 16);
        }
    }
}

Image read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    Image image;
    int most = 0;
    file >> magic >> image.width >> image.height >> most;
    file.get();
    const bool sound = file && magic == "P6" && most == 255 && image.width > 0 && image.height > 0 &&
                       static_cast<std::int64_t>(image.width) * image.height <= largest_image;
    if (!sound) throw Failure(Exit::input, path + " is no binary PPM image of 8 bits a sample.");
    image.rgb.resize(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    file.read(reinterpret_cast<char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
    if (!file) throw Failure(Exit::input, path + " is cut off.");
    return image;
}

void write_ppm(const std::string& path, const Image& image) {
    std::ofstream file(path, std::ios::binary);
    file << "P6\n" << image.width << " " << image.height << "\n255\n";
    file.write(reinterpret_cast<const char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
    if (!file) throw Failure(Exit::input, path + " cannot be written.");
}

}  // namespace app
