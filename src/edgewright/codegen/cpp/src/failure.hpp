// What ends the program: one sentence for the person at the keyboard, and the exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace app {

enum class Exit { ok = 0, mismatch = 1, usage = 2, input = 3, device = 4 };

class Failure : public std::runtime_error {
public:
    Failure(Exit status, const std::string& message) : std::runtime_error(message), status_(status) {}
    Exit status() const { return status_; }

private:
    Exit status_;
};

}  // namespace app
