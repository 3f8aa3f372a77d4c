#include "golden.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "failure.hpp"
#include "json.hpp"
#include "npy.hpp"

namespace app {

namespace {

constexpr double score_slack = 0.05, least_overlap = 0.9;

double overlap(const Box& a, const Box& b) {
    const double wide = std::min(a.x2, b.x2) - std::max(a.x1, b.x1), tall = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
    const double both = std::max(wide, 0.0) * std::max(tall, 0.0);
    const double either = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both;
    const bool same = a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2;
    return either > 0 ? both / either : (same ? 1.0 : 0.0);
}

std::string said(const char* form, int kind, double first, double second = 0) {
    char text[128];
    std::snprintf(text, sizeof text, form, kind, first, second);
    return text;
}

std::string boxes_differ(const std::vector<Box>& expected, std::vector<Box> left, double confidence) {
    for (const Box& box : expected) {
        auto best = left.end();
        for (auto other = left.begin(); other != left.end(); ++other) {
            if (other->kind != box.kind || overlap(box, *other) < least_overlap) continue;
            if (best == left.end() || std::abs(other->score - box.score) < std::abs(best->score - box.score)) best = other;
        }
        if (best == left.end()) {
            if (box.score <= confidence + score_slack) continue;
            return said("a box of class %d with score %.3f is missing", box.kind, box.score);
        }
        if (std::abs(best->score - box.score) > score_slack)
            return said("a box of class %d has score %.3f, not %.3f", box.kind, best->score, box.score);
        left.erase(best);
    }
    for (const Box& box : left)
        if (box.score > confidence + score_slack) return said("a box of class %d with score %.3f is new", box.kind, box.score);
    return "";
}

std::string classes_differ(const std::vector<ClassScore>& expected, const std::vector<ClassScore>& seen) {
    double lowest = seen.empty() ? 0 : seen.front().probability;
    for (const ClassScore& entry : seen) lowest = std::min(lowest, entry.probability);
    // A class just beyond the last place shown has at most the probability of that place.
    const double absent = seen.size() >= expected.size() ? lowest : 0;
    for (const ClassScore& entry : expected) {
        const auto same = std::find_if(seen.begin(), seen.end(), [&](const auto& one) { return one.kind == entry.kind; });
        const double probability = same == seen.end() ? absent : same->probability;
        if (!(std::abs(probability - entry.probability) <= score_slack))
            return said("class %d has probability %.3f, not %.3f", entry.kind, probability, entry.probability);
    }
    return "";
}

Prediction expected_of(const Json& rows, bool boxes) {
    Prediction prediction;
    for (const Json& row : rows.as_list()) {
        const JsonList& cells = row.as_list();
        if (cells.size() != (boxes ? 6 : 2)) throw Failure(Exit::input, "golden.json has the answers of another task.");
        const int kind = static_cast<int>(cells[0].as_number());
        if (boxes)
            prediction.boxes.push_back({kind, cells[1].as_number(), cells[2].as_number(), cells[3].as_number(),
                                        cells[4].as_number(), cells[5].as_number()});
        else
            prediction.classes.push_back({kind, cells[1].as_number()});
    }
    return prediction;
}

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Failure(Exit::input, path.string() + " cannot be read.");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

std::string difference(const Prediction& expected, const Prediction& seen, double confidence) {
    const std::string boxes = boxes_differ(expected.boxes, seen.boxes, confidence);
    return boxes.empty() ? classes_differ(expected.classes, seen.classes) : boxes;
}

GoldenResult replay_golden(const std::string& folder, const Task& task, Predictor& predict) {
    std::filesystem::path list = std::filesystem::path(folder) / "golden" / "golden.json";
    if (!std::filesystem::exists(list)) list = std::filesystem::path(folder) / "golden.json";
    const std::filesystem::path base = list.parent_path();
    const Json golden = parse_json(text_of(list));
    const auto* detector = std::get_if<Detector>(&task.result);
    GoldenResult result;
    for (const Json& entry : golden["samples"].as_list()) {
        // "golden/0000.npy": only the last part is used, so that no list leads out of its folder.
        const std::string file = std::filesystem::path(entry["file"].as_text()).filename().string();
        const Prediction expected = expected_of(entry["prediction"], detector != nullptr);
        const Prediction seen = predict(read_npy((base / file).string()));
        const std::string words = difference(expected, seen, detector != nullptr ? detector->serve.confidence : 0);
        ++result.samples;
        if (words.empty()) continue;
        ++result.mismatches;
        std::cerr << entry["id"].as_text() << ": " << words << "\n";
    }
    return result;
}

}  // namespace app
