// fp16 and bf16 rounding, to nearest even, as a device stores its tensors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cannsim {

uint16_t to_half(float value);
float from_half(uint16_t bits);
float round_half(float value);

// Rounds `count` floats; source and destination may be the same.
void round_to_half(const float* from, float* to, size_t count);
void round_to_bfloat(const float* from, float* to, size_t count);

}  // namespace cannsim
