#include "bench.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <utility>

#include "clock.hpp"
#include "json.hpp"
#include "task.hpp"

namespace app {

namespace {

constexpr int warm_up = 5;             // the first runs allocate, and raise the clocks
constexpr std::size_t least_runs = 10;  // however long one takes
constexpr std::array<double, 4> percents = {50, 90, 95, 99};

struct Phase {
    const char* name;
    std::vector<double> values;
};

// Linear between the two nearest ranks, as numpy.percentile does it. `sorted` is not empty.
double percentile(const std::vector<double>& sorted, double percent) {
    const double rank = percent / 100 * static_cast<double>(sorted.size() - 1);
    const auto low = static_cast<std::size_t>(rank);
    const std::size_t high = std::min(low + 1, sorted.size() - 1);
    return sorted[low] + (rank - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

double mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<Phase> measure(Predictor& predict, const std::vector<Image>& images, const BenchOptions& options) {
    std::vector<Phase> phases = {{"pre", {}},    {"h2d", {}},  {"execute", {}},
                                 {"d2h", {}},    {"post", {}}, {"total", {}}};
    std::size_t next = 0;
    double passed = 0;
    Clock clock;
    for (int run = -warm_up; passed < options.seconds * 1000 || phases[0].values.size() < least_runs; ++run) {
        std::vector<const Image*> together;
        for (int k = 0; k < options.batch; ++k) together.push_back(&images[next++ % images.size()]);
        predict(together, options.mode);
        const Times& times = predict.times();
        if (run == -1) clock.lap();
        if (run < 0) continue;
        const std::array<double, 6> row = {times.pre,    times.to_device, times.execute,
                                           times.to_host, times.post,     times.total()};
        for (std::size_t k = 0; k < row.size(); ++k) phases[k].values.push_back(row[k]);
        passed += clock.lap();
    }
    return phases;
}

}  // namespace

std::string bench(Predictor& predict, const std::vector<Image>& images, const BenchOptions& options, std::ostream& table) {
    std::vector<Phase> phases = measure(predict, images, options);
    const double total = mean(phases.back().values);
    const double rate = 1000.0 * options.batch / total;
    table << std::left << std::setw(10) << "ms" << std::right;
    for (const double percent : percents) table << std::setw(10) << ("p" + std::to_string(static_cast<int>(percent)));
    table << std::setw(10) << "mean" << "\n" << std::fixed << std::setprecision(3);
    std::string json = "{\"count\": " + std::to_string(phases[0].values.size()) +
                       ", \"batch\": " + std::to_string(options.batch) +
                       ", \"images_per_second\": " + number(rate, 3) +
                       ", \"simulated\": " + (task().simulated ? "true" : "false") + ", \"phases_ms\": {";
    for (Phase& phase : phases) {
        std::sort(phase.values.begin(), phase.values.end());
        table << std::left << std::setw(10) << phase.name << std::right;
        json += std::string(phase.name == phases[0].name ? "" : ", ") + quoted(phase.name) + ": {";
        for (const double percent : percents) {
            const double value = percentile(phase.values, percent);
            table << std::setw(10) << value;
            json += quoted("p" + std::to_string(static_cast<int>(percent))) + ": " + number(value, 4) + ", ";
        }
        table << std::setw(10) << mean(phase.values) << "\n";
        json += "\"mean\": " + number(mean(phase.values), 4) + "}";
    }
    table << std::setprecision(1) << rate << " images/s, batch " << options.batch << ", "
          << phases[0].values.size() << " runs" << (task().simulated ? ", simulated" : "") << "\n";
    return json + "}}";
}

}  // namespace app
