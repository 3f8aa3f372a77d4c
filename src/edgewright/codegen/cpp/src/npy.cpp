#include "npy.hpp"

#include <cctype>
#include <cstdlib>
#include <fstream>

#include "failure.hpp"

namespace app {

namespace {

// The value of a key in the header, which is a Python dict such as
// {'descr': '|u1', 'fortran_order': False, 'shape': (480, 640, 3), }
std::string value_of(const std::string& header, const std::string& key) {
    const auto at = header.find("'" + key + "':");
    return at == std::string::npos ? "" : header.substr(header.find_first_not_of(' ', at + key.size() + 3));
}

}  // namespace

Image read_npy(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    char magic[8] = {};
    file.read(magic, sizeof magic);
    if (!file || std::string(magic, 6) != "\x93NUMPY" || (magic[6] != 1 && magic[6] != 2))
        throw Failure(Exit::input, path + " is no NumPy array file.");
    unsigned char length[4] = {};
    file.read(reinterpret_cast<char*>(length), magic[6] == 1 ? 2 : 4);
    std::string header(length[0] + 256u * length[1] + (length[2] != 0 || length[3] != 0 ? 1u << 16 : 0u), ' ');
    file.read(header.data(), static_cast<std::streamsize>(header.size()));
    Image image;
    long channels = 0;
    const std::string shape = value_of(header, "shape");
    if (!shape.empty() && shape[0] == '(') {
        char* at = nullptr;
        image.height = static_cast<int>(std::strtol(shape.c_str() + 1, &at, 10));
        if (*at == ',') image.width = static_cast<int>(std::strtol(at + 1, &at, 10));
        if (*at == ',') channels = std::strtol(at + 1, &at, 10);
    }
    const bool plain = value_of(header, "descr").rfind("'|u1'", 0) == 0 &&
                       value_of(header, "fortran_order").rfind("False", 0) == 0;
    if (!file || !plain || channels != 3 || image.width < 1 || image.height < 1 ||
        static_cast<std::int64_t>(image.width) * image.height > largest_image)
        throw Failure(Exit::input, path + " does not hold 8-bit pixels, height x width x 3.");
    image.rgb.resize(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    file.read(reinterpret_cast<char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
    if (!file) throw Failure(Exit::input, path + " is cut off.");
    return image;
}

}  // namespace app
