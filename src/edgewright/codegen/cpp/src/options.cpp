#include "options.hpp"

#include <cstdlib>
#include <functional>
#include <map>

#include "failure.hpp"
#include "task.hpp"

namespace app {

namespace {

double to_number(const std::string& name, const std::string& text, double least, double most) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value >= least && value <= most))
        throw Failure(Exit::usage, name + " takes a number from " + std::to_string(static_cast<int>(least)) + " to " +
                                       std::to_string(static_cast<int>(most)) + ", not '" + text + "'.");
    return value;
}

}  // namespace

std::string usage() {
    return "predict: " + task().name +
           "\n\n"
           "  predict [options] SOURCE...      an image, a folder of images, a video, camera:0\n"
           "  predict --bench [SOURCE]         latency by phase; without a source on a gray picture\n"
           "  predict --golden DIR             replays recorded samples; exit status 1 where an answer differs\n"
           "  predict --pipe                   pictures on standard input, one JSON line each on standard output\n\n"
           "  --model FILE      the model (default: " + task().engine.path + " beside the program)\n"
           "  --json FILE       one JSON line for each picture (default: standard output)\n"
           "  --save DIR        annotated images\n"
           "  --batch N         pictures in one run of the model (1)\n"
           "  --seconds S       length of the benchmark (5)\n"
           "  --device N        number of the device (" + std::to_string(task().engine.device) + ")\n"
           "  --profile DIR     let the vendor's profiler write into DIR\n"
           "  --metric          the thresholds that accuracy is measured with, instead of those for serving\n"
           "  --version, --help\n";
}

Options read_options(int count, char** words) {
    Options options;
    double seconds = 5;
    bool bench = false;
    const std::map<std::string, std::function<void(const std::string&)>> valued = {
        {"--model", [&](const std::string& text) { options.model = text; }},
        {"--json", [&](const std::string& text) { options.json = text; }},
        {"--save", [&](const std::string& text) { options.save = text; }},
        {"--golden", [&](const std::string& text) { options.golden = text; }},
        {"--profile", [&](const std::string& text) { options.profile = text; }},
        {"--seconds", [&](const std::string& text) { seconds = to_number("--seconds", text, 0, 86400); }},
        {"--batch", [&](const std::string& text) { options.batch = static_cast<int>(to_number("--batch", text, 1, 1024)); }},
        {"--device", [&](const std::string& text) { options.device = static_cast<int>(to_number("--device", text, 0, 1023)); }},
    };
    const std::map<std::string, std::function<void()>> plain = {
        {"--bench", [&] { bench = true; }},
        {"--pipe", [&] { options.pipe = true; }},
        {"--metric", [&] { options.mode = Mode::metric; }},
        {"--help", [&] { options.help = true; }},
        {"-h", [&] { options.help = true; }},
        {"--version", [&] { options.version = true; }},
    };
    for (int k = 1; k < count; ++k) {
        std::string word = words[k], text;
        const auto equals = word.find('=');
        const bool joined = word.rfind("--", 0) == 0 && equals != std::string::npos;
        if (joined) {
            text = word.substr(equals + 1);
            word.resize(equals);
        }
        if (const auto found = valued.find(word); found != valued.end()) {
            if (!joined && k + 1 >= count) throw Failure(Exit::usage, word + " needs a value.");
            found->second(joined ? text : words[++k]);
        } else if (const auto flag = plain.find(word); flag != plain.end() && !joined) {
            flag->second();
        } else if (word.rfind("-", 0) == 0 && word != "-") {
            throw Failure(Exit::usage, "There is no option " + word + "; --help lists them.");
        } else {
            options.sources.push_back(word);
        }
    }
    if (bench) options.bench = seconds > 0 ? seconds : 1e-9;
    return options;
}

}  // namespace app
