// Without OpenCV: PPM images, which need no library.
#include <filesystem>
#include <utility>

#include "failure.hpp"
#include "sources.hpp"

namespace app {

namespace {

class Pictures final : public Source {
public:
    explicit Pictures(std::vector<std::string> paths) : paths_(std::move(paths)) {}
    bool next(Frame& frame) override {
        if (at_ == paths_.size()) return false;
        const std::string& path = paths_[at_++];
        frame = {std::filesystem::path(path).filename().string(), read_ppm(path)};
        return true;
    }

private:
    std::vector<std::string> paths_;
    std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Source> open_source(const std::string& word) {
    if (std::filesystem::is_directory(word)) return std::make_unique<Pictures>(files_of(word, {".ppm"}));
    if (!std::filesystem::exists(word)) throw Failure(Exit::input, "There is no file " + word + ".");
    if (std::filesystem::path(word).extension() != ".ppm")
        throw Failure(Exit::input, word + " is no .ppm image; this program was built without OpenCV.");
    return std::make_unique<Pictures>(std::vector<std::string>{word});
}

void write_image(const std::string& path, const Image& image) { write_ppm(path, image); }
std::string image_ending() { return ".ppm"; }

}  // namespace app
