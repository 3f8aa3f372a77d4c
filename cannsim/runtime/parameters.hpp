// The parameters of dynamic AIPP, as they travel in the model's extra input.
#pragma once

#include <vector>

#include "aipp.hpp"

namespace cannsim {

struct AippParameters {
    AippSettings settings;
    std::vector<AippPicture> pictures;
};

// Both sides of the input: `memory` holds aipp_parameter_bytes(batch).
void pack_parameters(const AippParameters& parameters, void* memory);
// False when nothing valid, or another number of pictures, was packed there.
bool unpack_parameters(const void* memory, size_t batch, AippParameters* parameters);

}  // namespace cannsim
