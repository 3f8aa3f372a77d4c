#include "boxes.hpp"

#include <algorithm>
#include <cmath>

namespace app {

namespace {

constexpr std::size_t most_candidates = 30'000;  // YOLOv5's own bound

float area(const Candidate& box) {
    return std::max(box.x2 - box.x1, 0.0f) * std::max(box.y2 - box.y1, 0.0f);
}

// Intersection over union above the threshold; without a division, so two empty boxes do not overlap.
bool overlap(const Candidate& a, const Candidate& b, float threshold) {
    const float wide = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0.0f);
    const float tall = std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0.0f);
    const float common = wide * tall;
    return common > (area(a) + area(b) - common) * threshold;
}

bool finite(const Candidate& box) {
    return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2) &&
           std::isfinite(box.score);
}

}  // namespace

Candidate from_centre(float x, float y, float width, float height, float score, int kind) {
    const float half_width = width * 0.5f, half_height = height * 0.5f;
    return {x - half_width, y - half_height, x + half_width, y + half_height, score, kind};
}

std::vector<Candidate> suppress(std::vector<Candidate> found, Suppression suppression, float iou, std::size_t most) {
    found.erase(std::remove_if(found.begin(), found.end(), [](const Candidate& box) { return !finite(box); }),
                found.end());
    std::stable_sort(found.begin(), found.end(),
                     [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
    if (suppression == Suppression::none) {
        found.resize(std::min(found.size(), most));
        return found;
    }
    found.resize(std::min(found.size(), most_candidates));
    std::vector<Candidate> kept;
    for (const Candidate& box : found) {
        if (kept.size() == most) break;
        const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Candidate& better) {
            return (suppression == Suppression::of_all || better.kind == box.kind) && overlap(better, box, iou);
        });
        if (!hidden) kept.push_back(box);
    }
    return kept;
}

double rounded_to(double value, double parts) { return std::nearbyint(value * parts) / parts; }

Box to_source(const Candidate& candidate, const Geometry& geometry, bool move) {
    const auto back = [&](float value, double shift, double scale, int edge) {
        if (!move) return static_cast<double>(value);
        const float there = (value - static_cast<float>(shift)) / static_cast<float>(scale);
        return static_cast<double>(std::min(std::max(there, 0.0f), static_cast<float>(edge)));
    };
    const auto across = [&](float x) {
        return rounded_to(back(x, geometry.left, geometry.scale_x, geometry.width), 1000);
    };
    const auto down = [&](float y) { return rounded_to(back(y, geometry.top, geometry.scale_y, geometry.height), 1000); };
    return {candidate.kind,      rounded_to(candidate.score, 1e6), across(candidate.x1), down(candidate.y1),
            across(candidate.x2), down(candidate.y2)};
}

}  // namespace app
