// Pixels kept as a NumPy array file (.npy, format 1 or 2): uint8, [height, width, 3], rows in order.
#pragma once

#include <string>

#include "image.hpp"

namespace app {

// Failure (Exit::input) for any other array.
Image read_npy(const std::string& path);

}  // namespace app
