// Boxes after the model: overlap, non-maximum suppression, back to the source image. Knows no model family.
#pragma once

#include <cstddef>
#include <vector>

#include "preprocess.hpp"
#include "task.hpp"

namespace app {

struct Candidate {
    float x1, y1, x2, y2;  // pixels of the model's input
    float score;
    int kind;
};

// A finished detection, in pixels of the source image: score to 1e-6, coordinates to 1/1000.
struct Box {
    int kind;
    double score, x1, y1, x2, y2;
};

Candidate from_centre(float x, float y, float width, float height, float score, int kind);

// Best first; equal scores stay in the decoder's order. Numbers that are none are dropped before.
std::vector<Candidate> suppress(std::vector<Candidate> found, Suppression suppression, float iou, std::size_t most);

Box to_source(const Candidate& candidate, const Geometry& geometry, bool move);

double rounded_to(double value, double parts);

}  // namespace app
