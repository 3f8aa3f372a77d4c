// Where pictures come from. sources_opencv.cpp reads images, folders, videos and cameras; sources_plain.cpp,
// for builds without OpenCV, reads PPM images and folders of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "image.hpp"

namespace app {

struct Frame {
    std::string name;
    Image image;
};

class Source {
public:
    virtual ~Source() = default;
    // False at the end. Failure (Exit::input) where a picture cannot be read.
    virtual bool next(Frame& frame) = 0;
};

// `word` as the user wrote it. Failure where there is no such thing.
std::unique_ptr<Source> open_source(const std::string& word);

// Pictures in a folder, in order of name. `endings` in lower case, with their dot.
std::vector<std::string> files_of(const std::string& folder, const std::vector<std::string>& endings);

// An image file: .ppm without OpenCV; by the ending (jpg, png, ...) with it.
void write_image(const std::string& path, const Image& image);
std::string image_ending();  // what annotated images are written as

}  // namespace app
