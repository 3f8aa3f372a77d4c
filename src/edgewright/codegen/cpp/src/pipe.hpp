// The program as somebody's child: pictures on standard input, one JSON line for each on standard output.
//
// A frame is a header of 16 bytes, little-endian, and then height * width * 3 bytes of RGB:
//   "EWF1" | flags: 1 = thresholds of the metric | width | height      (four times 32 bits)
// The first line says {"ready": true, ...}; an answer is {"prediction": ..., "timing_ms": {...}} or {"error": "..."}.
// The program ends when standard input does.
#pragma once

#include <string>

#include "predictor.hpp"

namespace app {

// Failure where the model fails, after saying so on standard output.
void serve_pipe(const Task& task, Predictor& predict, int answers, double load_ms);

// What a parent reads in place of the first line where the model cannot be opened.
void say_failure(int answers, const std::string& words);

}  // namespace app
