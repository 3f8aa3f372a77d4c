#include "aipp.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "half.hpp"

namespace cannsim {
namespace {

using Pixel = std::array<int32_t, 4>;

int32_t to_byte(int32_t value) { return std::clamp(value, 0, 255); }

// One source pixel as (first, second, third, fourth) channel, after the channel swaps. A YUV420SP pixel shares its
// chroma with three neighbours.
Pixel fetch(const AippSettings& settings, const uint8_t* raw, int64_t w, int64_t h, int64_t x, int64_t y) {
    Pixel pixel{};
    switch (settings.format) {
        case ACL_YUV420SP_U8: {
            const uint8_t* const chroma = raw + w * h + (y / 2) * w + (x / 2) * 2;
            pixel = {raw[y * w + x], chroma[0], chroma[1], 0};
            if (settings.rbuv_swap) std::swap(pixel[1], pixel[2]);
            break;
        }
        case ACL_XRGB8888_U8: {
            const uint8_t* const at = raw + (y * w + x) * 4;
            pixel = {at[0], at[1], at[2], at[3]};
            if (settings.ax_swap) pixel = {at[1], at[2], at[3], at[0]};  // XRGB -> RGBX
            if (settings.rbuv_swap) std::swap(pixel[0], pixel[2]);
            break;
        }
        case ACL_RGB888_U8: {
            const uint8_t* const at = raw + (y * w + x) * 3;
            pixel = {at[0], at[1], at[2], 0};
            if (settings.rbuv_swap) std::swap(pixel[0], pixel[2]);
            break;
        }
        default: pixel = {raw[y * w + x], 0, 0, 0};
    }
    return pixel;
}

Pixel convert(const AippSettings& settings, const Pixel& from) {
    // The documentation gives the input bias to YUV pictures and the output bias to all others, not both to one.
    const bool yuv = settings.format == ACL_YUV420SP_U8;
    Pixel to = from;
    for (size_t row = 0; row < 3; ++row) {
        int32_t sum = 0;
        for (size_t column = 0; column < 3; ++column) {
            sum += settings.matrix[row * 3 + column] * (from[column] - (yuv ? settings.input_bias[column] : 0));
        }
        to[row] = to_byte((sum >> 8) + (yuv ? 0 : settings.output_bias[row]));
    }
    return to;
}

std::string check(const AippSettings& settings, const AippPicture& picture, int64_t src_w, int64_t src_h,
                  int64_t channels, int64_t height, int64_t width) {
    const int64_t crop_w = picture.crop ? picture.crop_w : src_w;
    const int64_t crop_h = picture.crop ? picture.crop_h : src_h;
    if (picture.crop && (picture.crop_x < 0 || picture.crop_y < 0 || crop_w <= 0 || crop_h <= 0 ||
                         picture.crop_x + crop_w > src_w || picture.crop_y + crop_h > src_h)) {
        return "the crop reaches outside the picture";
    }
    const bool pads = picture.padding;
    if (pads && (picture.left < 0 || picture.right < 0 || picture.top < 0 || picture.bottom < 0)) return "a padding is negative";
    const int64_t out_w = crop_w + (pads ? picture.left + picture.right : 0);
    const int64_t out_h = crop_h + (pads ? picture.top + picture.bottom : 0);
    if (out_w != width || out_h != height) {
        return "crop and padding give " + std::to_string(out_h) + "x" + std::to_string(out_w) + ", the network wants " +
               std::to_string(height) + "x" + std::to_string(width);
    }
    const int64_t most = settings.format == ACL_YUV400_U8 ? 1 : settings.format == ACL_XRGB8888_U8 ? 4 : 3;
    if (channels < 1 || channels > most) return "the format cannot give " + std::to_string(channels) + " channels";
    if (settings.format == ACL_YUV420SP_U8 && (src_w % 2 != 0 || src_h % 2 != 0)) return "a YUV420SP picture has even sides";
    return "";
}

template <size_t Count>
void read_numbers(const std::string& text, std::array<int32_t, Count>& numbers) {
    std::istringstream parts(text);
    std::string part;
    for (size_t index = 0; index < Count && std::getline(parts, part, ','); ++index) numbers[index] = std::atoi(part.c_str());
}

void read_floats(const std::string& text, std::array<float, 4>& numbers) {
    std::istringstream parts(text);
    std::string part;
    for (size_t index = 0; index < 4 && std::getline(parts, part, ','); ++index) numbers[index] = std::strtof(part.c_str(), nullptr);
}

void read_pair(const std::string& key, const std::string& value, AippSettings& settings) {
    AippPicture& picture = settings.picture;
    std::array<int32_t, 4> four{};
    if (key == "mode") settings.dynamic = value == "dynamic";
    else if (key == "format") settings.format = static_cast<aclAippInputFormat>(std::atoi(value.c_str()));
    else if (key == "max") settings.max_src_image_size = std::strtoull(value.c_str(), nullptr, 10);
    else if (key == "src") { read_numbers(value, four); settings.src_w = four[0]; settings.src_h = four[1]; }
    else if (key == "crop") { read_numbers(value, four); picture.crop = true; picture.crop_x = four[0]; picture.crop_y = four[1]; picture.crop_w = four[2]; picture.crop_h = four[3]; }
    else if (key == "pad") { read_numbers(value, four); picture.padding = true; picture.left = four[0]; picture.right = four[1]; picture.top = four[2]; picture.bottom = four[3]; }
    else if (key == "pad_value") settings.padding_value = std::strtof(value.c_str(), nullptr);
    else if (key == "csc") settings.csc = value == "1";
    else if (key == "rbuv") settings.rbuv_swap = value == "1";
    else if (key == "ax") settings.ax_swap = value == "1";
    else if (key == "matrix") read_numbers(value, settings.matrix);
    else if (key == "in_bias") read_numbers(value, settings.input_bias);
    else if (key == "out_bias") read_numbers(value, settings.output_bias);
    else if (key == "mean") read_numbers(value, picture.mean);
    else if (key == "min") read_floats(value, picture.min);
    else if (key == "var") read_floats(value, picture.var_reci);
}

}  // namespace

AippSettings read_aipp(const std::string& text) {
    AippSettings settings;
    std::istringstream words(text);
    words >> settings.input_rank;
    for (std::string word; words >> word;) {
        const size_t equals = word.find('=');
        if (equals != std::string::npos) read_pair(word.substr(0, equals), word.substr(equals + 1), settings);
    }
    return settings;
}

size_t picture_bytes(aclAippInputFormat format, int64_t width, int64_t height) {
    const auto pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
    switch (format) {
        case ACL_YUV420SP_U8: return pixels * 3 / 2;
        case ACL_XRGB8888_U8: return pixels * 4;
        case ACL_RGB888_U8: return pixels * 3;
        default: return pixels;
    }
}

int64_t source_width(const AippSettings& settings, const std::vector<int64_t>& network) {
    return settings.src_w > 0 ? settings.src_w : network[3];
}

int64_t source_height(const AippSettings& settings, const std::vector<int64_t>& network) {
    return settings.src_h > 0 ? settings.src_h : network[2];
}

size_t source_bytes(const AippSettings& settings, const std::vector<int64_t>& network) {
    return static_cast<size_t>(network[0]) *
           picture_bytes(settings.format, source_width(settings, network), source_height(settings, network));
}

size_t aipp_parameter_bytes(size_t batch) { return sizeof(AippSettings) + batch * sizeof(AippPicture); }

std::string run_aipp(const AippSettings& settings, const AippPicture& picture, const uint8_t* raw, int64_t src_w,
                     int64_t src_h, int64_t channels, int64_t height, int64_t width, float* planes) {
    if (std::string why = check(settings, picture, src_w, src_h, channels, height, width); !why.empty()) return why;
    const int64_t x0 = picture.crop ? picture.crop_x : 0;
    const int64_t y0 = picture.crop ? picture.crop_y : 0;
    const int64_t left = picture.padding ? picture.left : 0;
    const int64_t top = picture.padding ? picture.top : 0;
    const int64_t crop_w = picture.crop ? picture.crop_w : src_w;
    const int64_t crop_h = picture.crop ? picture.crop_h : src_h;
    std::array<std::array<float, 256>, 4> scaled{};  // a pixel is a byte here, so its value is one of 256
    for (size_t channel = 0; channel < 4; ++channel) {
        const float low = round_half(picture.min[channel]);
        const float factor = round_half(picture.var_reci[channel]);
        for (int32_t value = 0; value < 256; ++value) {
            scaled[channel][static_cast<size_t>(value)] =
                round_half((static_cast<float>(value - picture.mean[channel]) - low) * factor);
        }
    }
    if (picture.padding) std::fill_n(planes, channels * height * width, round_half(settings.padding_value));
    for (int64_t y = 0; y < crop_h; ++y) {
        for (int64_t x = 0; x < crop_w; ++x) {
            Pixel pixel = fetch(settings, raw, src_w, src_h, x0 + x, y0 + y);
            if (settings.csc) pixel = convert(settings, pixel);
            for (int64_t channel = 0; channel < channels; ++channel) {
                planes[(channel * height + top + y) * width + left + x] =
                    scaled[static_cast<size_t>(channel)][static_cast<size_t>(pixel[static_cast<size_t>(channel)])];
            }
        }
    }
    return "";
}

}  // namespace cannsim
