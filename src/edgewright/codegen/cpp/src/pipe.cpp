#include "pipe.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "failure.hpp"
#include "json.hpp"

namespace app {

namespace {

// False at the end of standard input; a frame that ends in its middle is an end as well.
bool read_whole(void* to, std::size_t bytes) {
    auto* at = static_cast<char*>(to);
    while (bytes > 0) {
        const ssize_t got = ::read(STDIN_FILENO, at, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        bytes -= static_cast<std::size_t>(got);
    }
    return true;
}

void say(int answers, const std::string& json) {
    const std::string line = json + "\n";
    std::size_t done = 0;
    while (done < line.size()) {
        const ssize_t wrote = ::write(answers, line.data() + done, line.size() - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) throw Failure(Exit::input, "Nobody reads the answers.");
        done += static_cast<std::size_t>(wrote);
    }
}

std::uint32_t number_at(const std::array<unsigned char, 16>& header, std::size_t at) {
    return header[at] | header[at + 1] << 8 | header[at + 2] << 16 | static_cast<std::uint32_t>(header[at + 3]) << 24;
}

std::string answered(const Task& task, const Prediction& prediction, const Times& times) {
    return "{\"prediction\": " + to_json(task, prediction) + ", \"timing_ms\": {\"pre\": " + number(times.pre, 4) +
           ", \"h2d\": " + number(times.to_device, 4) + ", \"execute\": " + number(times.execute, 4) +
           ", \"d2h\": " + number(times.to_host, 4) + ", \"post\": " + number(times.post, 4) + "}}";
}

}  // namespace

void say_failure(int answers, const std::string& words) { say(answers, "{\"error\": " + quoted(words) + "}"); }

void serve_pipe(const Task& task, Predictor& predict, int answers, double load_ms) {
    say(answers, "{\"ready\": true, \"name\": " + quoted(task.name) + ", \"runtime\": " + quoted(predict.engine().runtime()) +
                     ", \"batch\": " + std::to_string(predict.batch()) + ", \"load_ms\": " + number(load_ms, 3) +
                     ", \"pid\": " + std::to_string(::getpid()) + "}");
    std::array<unsigned char, 16> header{};
    Image image;
    while (read_whole(header.data(), header.size())) {
        const std::uint32_t flags = number_at(header, 4), width = number_at(header, 8), height = number_at(header, 12);
        const std::uint64_t pixels = static_cast<std::uint64_t>(width) * height;
        if (std::memcmp(header.data(), "EWF1", 4) != 0 || pixels == 0 || pixels > static_cast<std::uint64_t>(largest_image)) {
            say_failure(answers, "This is no frame.");
            throw Failure(Exit::input, "Standard input has something else where a frame should begin.");
        }
        image.width = static_cast<int>(width);
        image.height = static_cast<int>(height);
        image.rgb.resize(pixels * 3);
        if (!read_whole(image.rgb.data(), image.rgb.size())) return;
        try {
            const Prediction prediction = predict(image, (flags & 1u) != 0 ? Mode::metric : Mode::serve);
            say(answers, answered(task, prediction, predict.times()));
        } catch (const Failure& failure) {
            say_failure(answers, failure.what());
            if (failure.status() == Exit::device) throw;
        }
    }
}

}  // namespace app
