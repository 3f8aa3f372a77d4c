// Images, folders, videos and cameras through OpenCV.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <utility>

#include "failure.hpp"
#include "sources.hpp"

namespace app {

namespace {

const std::vector<std::string> endings = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm"};
// By name and not by content: some decoder takes any bytes for a film.
const std::vector<std::string> films = {".mp4", ".m4v", ".mov", ".avi",  ".mkv", ".webm", ".mpg",
                                        ".mpeg", ".ts",  ".wmv", ".h264", ".264", ".h265", ".mjpeg"};

bool among(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

Image from_bgr(const cv::Mat& bgr) {
    Image image{bgr.cols, bgr.rows, {}};
    image.rgb.resize(static_cast<std::size_t>(bgr.cols) * static_cast<std::size_t>(bgr.rows) * 3);
    cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.rgb.data());
    cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
    return image;
}

// OpenCV tells of damaged files on std::cerr, with lines of its own source; one sentence is ours to say.
class Quiet {
public:
    Quiet() : kept_(std::cerr.rdbuf(nullptr)) {}
    ~Quiet() { std::cerr.rdbuf(kept_); }  // which also clears the error that writing nowhere has set
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

private:
    std::streambuf* kept_;
};

// The photo as a person sees it: OpenCV turns it by its Exif orientation.
Image read_image(const std::string& path) {
    cv::Mat bgr;
    try {
        const Quiet quiet;
        bgr = cv::imread(path, cv::IMREAD_COLOR);
    } catch (const cv::Exception&) {  // a header that claims an absurd size
    }
    if (bgr.empty()) throw Failure(Exit::input, path + " cannot be read as an image.");
    return from_bgr(bgr);
}

class Pictures final : public Source {
public:
    explicit Pictures(std::vector<std::string> paths) : paths_(std::move(paths)) {}
    bool next(Frame& frame) override {
        if (at_ == paths_.size()) return false;
        const std::string& path = paths_[at_++];
        frame = {std::filesystem::path(path).filename().string(), read_image(path)};
        return true;
    }

private:
    std::vector<std::string> paths_;
    std::size_t at_ = 0;
};

class Film final : public Source {
public:
    Film(std::string name, cv::VideoCapture capture) : name_(std::move(name)), capture_(std::move(capture)) {}
    bool next(Frame& frame) override {
        if (!capture_.read(bgr_) || bgr_.empty()) return false;
        char number[16];
        std::snprintf(number, sizeof number, "#%06d", number_++);
        frame = {name_ + number, from_bgr(bgr_)};
        return true;
    }

private:
    std::string name_;
    cv::VideoCapture capture_;
    cv::Mat bgr_;
    int number_ = 0;
};

std::unique_ptr<Source> film(const std::string& word, cv::VideoCapture capture) {
    if (!capture.isOpened()) throw Failure(Exit::input, word + " cannot be opened as an image, a video or a camera.");
    // An address may hold a password: results only say what kind it was.
    const auto scheme = word.find("://");
    const std::string name = scheme != std::string::npos ? word.substr(0, scheme)
                             : std::filesystem::exists(word) ? std::filesystem::path(word).filename().string() : word;
    return std::make_unique<Film>(name, std::move(capture));
}

}  // namespace

std::unique_ptr<Source> open_source(const std::string& word) {
    // Each of OpenCV's readers would tell why it is not the one for this file.
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    const std::string camera = "camera:";
    if (word.rfind(camera, 0) == 0) {
        const std::string number = word.substr(camera.size());
        if (number.empty() || number.size() > 3 || number.find_first_not_of("0123456789") != std::string::npos)
            throw Failure(Exit::usage, "A camera is camera:0, camera:1, and so on.");
        cv::VideoCapture capture(std::stoi(number));
        capture.set(cv::CAP_PROP_BUFFERSIZE, 1);  // the newest frame, not the oldest that waits
        return film(word, std::move(capture));
    }
    if (word.find("://") != std::string::npos) return film(word, cv::VideoCapture(word));
    if (std::filesystem::is_directory(word)) return std::make_unique<Pictures>(files_of(word, endings));
    if (!std::filesystem::exists(word)) throw Failure(Exit::input, "There is no file " + word + ".");
    std::string ending = std::filesystem::path(word).extension().string();
    for (char& letter : ending) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (among(endings, ending)) return std::make_unique<Pictures>(std::vector<std::string>{word});
    if (among(films, ending)) return film(word, cv::VideoCapture(word));
    throw Failure(Exit::input, word + " has no ending of an image or a video.");
}

void write_image(const std::string& path, const Image& image) {
    cv::Mat bgr;
    const cv::Mat rgb(image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.rgb.data()));  // only read
    cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
    bool written = false;
    try {
        written = cv::imwrite(path, bgr);
    } catch (const cv::Exception&) {
    }
    if (!written) throw Failure(Exit::input, path + " cannot be written.");
}
std::string image_ending() { return ".jpg"; }

}  // namespace app
