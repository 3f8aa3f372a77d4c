// AIPP: raw camera bytes to the network's input, by the order and formula of the vendor's documentation:
// channel swap, crop, colour conversion (>> 8, saturated to a byte), (pixel - mean - min) * var_reci in fp16, padding.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "acl/acl_mdl.h"

namespace cannsim {

// What changes from picture to picture in dynamic AIPP.
struct AippPicture {
    bool crop = false;
    int32_t crop_x = 0, crop_y = 0, crop_w = 0, crop_h = 0;
    bool padding = false;
    int32_t left = 0, right = 0, top = 0, bottom = 0;
    std::array<int32_t, 4> mean{};
    std::array<float, 4> min{};
    std::array<float, 4> var_reci{1, 1, 1, 1};
};

struct AippSettings {
    bool dynamic = false;
    size_t input_rank = 0;
    size_t max_src_image_size = 0;
    aclAippInputFormat format = ACL_YUV420SP_U8;
    int32_t src_w = 0, src_h = 0;  // 0: the network's own
    bool csc = false, rbuv_swap = false, ax_swap = false;
    std::array<int32_t, 9> matrix{};
    std::array<int32_t, 3> input_bias{}, output_bias{};
    float padding_value = 0;
    AippPicture picture;
};

// "0 mode=static format=3 …", as the manifest holds it.
AippSettings read_aipp(const std::string& text);

// Bytes of `count` pictures of this format.
size_t picture_bytes(aclAippInputFormat format, int64_t width, int64_t height);

// Bytes of the raw input for network dims N,C,H,W (static AIPP).
size_t source_bytes(const AippSettings& settings, const std::vector<int64_t>& network);
// The raw picture's size for network dims N,C,H,W.
int64_t source_width(const AippSettings& settings, const std::vector<int64_t>& network);
int64_t source_height(const AippSettings& settings, const std::vector<int64_t>& network);

// Bytes the parameters of dynamic AIPP take in their input.
size_t aipp_parameter_bytes(size_t batch);

// Turns one raw picture into `channels` planes of width x height floats (each rounded to fp16). Empty string when done,
// else why the parameters do not fit the picture or the network.
std::string run_aipp(const AippSettings& settings, const AippPicture& picture, const uint8_t* raw, int64_t src_w,
                     int64_t src_h, int64_t channels, int64_t height, int64_t width, float* planes);

}  // namespace cannsim
