// Opens the model once, then does what the command line asks: predict, measure, replay, or serve a parent process.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "bench.hpp"
#include "clock.hpp"
#include "draw.hpp"
#include "engine.hpp"
#include "failure.hpp"
#include "golden.hpp"
#include "json.hpp"
#include "options.hpp"
#include "pipe.hpp"
#include "predictor.hpp"
#include "sources.hpp"
#include "task.hpp"

namespace app {

namespace {

namespace fs = std::filesystem;

// The model beside the program: in its folder, or in the one above (build/predict, bin/predict).
std::string model_path(const Options& options) {
    if (!options.model.empty()) return options.model;
    std::error_code unknown;
    const fs::path program = fs::read_symlink("/proc/self/exe", unknown);
    for (fs::path folder = program.parent_path(); folder != folder.parent_path(); folder = folder.parent_path()) {
        const fs::path candidate = folder / task().engine.path;
        if (fs::exists(candidate)) return candidate.string();
        if (folder == program.parent_path().parent_path()) break;
    }
    throw Failure(Exit::input, "There is no " + task().engine.path + " beside the program; name the model with --model.");
}

Predictor open(const Options& options) {
    EngineOptions wanted{model_path(options), options.device.value_or(task().engine.device), options.profile};
    if (!fs::exists(wanted.model)) throw Failure(Exit::input, "There is no model " + wanted.model + ".");
    Predictor predict(task(), open_engine(task().engine, wanted));
    if (options.batch > predict.batch())
        throw Failure(Exit::usage, "--batch " + std::to_string(options.batch) + " is more than the model takes at once: " +
                                       std::to_string(predict.batch()) + ".");
    return predict;
}

// Where results go: a file, or standard output.
class Results {
public:
    explicit Results(const std::string& path) {
        if (path.empty()) return;
        file_.open(path);
        if (!file_) throw Failure(Exit::input, path + " cannot be written.");
    }
    std::ostream& stream() { return file_.is_open() ? file_ : std::cout; }

private:
    std::ofstream file_;
};

void show(std::vector<Frame>& frames, const std::vector<Prediction>& predictions, const Options& options, std::ostream& out) {
    for (std::size_t k = 0; k < frames.size(); ++k) {
        out << "{\"name\": " << quoted(frames[k].name) << ", \"prediction\": " << to_json(task(), predictions[k]) << "}\n";
        if (options.save.empty()) continue;
        draw(frames[k].image, predictions[k], task());
        std::string name = fs::path(frames[k].name).stem().string();
        if (frames[k].name.find('#') != std::string::npos) name = frames[k].name;  // one of many frames of a film
        for (char& letter : name)
            if (letter == '#' || letter == ':' || letter == '/') letter = '-';
        write_image((fs::path(options.save) / (name + image_ending())).string(), frames[k].image);
    }
    out.flush();
}

void predict_all(Predictor& predict, const Options& options) {
    Results results(options.json);
    if (!options.save.empty()) fs::create_directories(options.save);
    for (const std::string& word : options.sources) {
        const auto source = open_source(word);
        bool more = true;
        while (more) {
            std::vector<Frame> frames;
            for (Frame frame; static_cast<int>(frames.size()) < options.batch && (more = source->next(frame));)
                frames.push_back(std::move(frame));
            if (frames.empty()) break;
            std::vector<const Image*> images;
            for (const Frame& frame : frames) images.push_back(&frame.image);
            show(frames, predict(images, options.mode), options, results.stream());
        }
    }
}

void measure(Predictor& predict, const Options& options) {
    constexpr std::size_t most = 32;  // pictures kept in memory
    std::vector<Image> images;
    for (const std::string& word : options.sources) {
        const auto source = open_source(word);
        for (Frame frame; images.size() < most && source->next(frame);) images.push_back(std::move(frame.image));
    }
    if (images.empty()) images.push_back({640, 480, std::vector<std::uint8_t>(640 * 480 * 3, 127)});
    const std::string json = bench(predict, images, {options.bench, options.batch, options.mode}, std::cerr);
    Results(options.json).stream() << json << "\n";
}

Exit replay(Predictor& predict, const Options& options) {
    const GoldenResult result = replay_golden(options.golden, task(), predict);
    std::cout << "{\"samples\": " << result.samples << ", \"mismatches\": " << result.mismatches << "}\n";
    return result.mismatches == 0 && result.samples > 0 ? Exit::ok : Exit::mismatch;
}

void serve(const Options& options) {
    // What a runtime prints must not get between the answers.
    const int answers = ::dup(STDOUT_FILENO);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    Clock clock;
    std::unique_ptr<Predictor> predict;
    try {
        predict = std::make_unique<Predictor>(open(options));
    } catch (const Failure& failure) {
        say_failure(answers, failure.what());
        throw;
    }
    serve_pipe(task(), *predict, answers, clock.lap());
}

Exit run(const Options& options) {
    if (options.help) {
        std::cout << usage();
        return Exit::ok;
    }
    const bool nothing = options.sources.empty() && options.golden.empty() && options.bench <= 0;
    if (nothing && !options.pipe && !options.version) throw Failure(Exit::usage, "Name an image, a folder, a video or camera:0.");
    if (options.pipe) {
        serve(options);
        return Exit::ok;
    }
    Predictor predict = open(options);
    if (options.version) std::cout << task().name << ", " << predict.engine().runtime() << "\n";
    if (!options.golden.empty()) return replay(predict, options);
    if (options.bench > 0) measure(predict, options);
    else if (!options.sources.empty()) predict_all(predict, options);
    return Exit::ok;
}

}  // namespace

}  // namespace app

int main(int count, char** words) {
    app::Exit status = app::Exit::device;
    try {
        status = app::run(app::read_options(count, words));
    } catch (const app::Failure& failure) {
        std::cerr << "predict: " << failure.what() << "\n";
        status = failure.status();
    } catch (const std::exception& error) {  // the standard library's own, such as no memory
        std::cerr << "predict: " << error.what() << "\n";
    }
    return static_cast<int>(status);
}
