#include <algorithm>
#include <cctype>
#include <filesystem>

#include "failure.hpp"
#include "sources.hpp"

namespace app {

std::vector<std::string> files_of(const std::string& folder, const std::vector<std::string>& endings) {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::string ending = entry.path().extension().string();
        std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
        if (std::find(endings.begin(), endings.end(), ending) != endings.end()) found.push_back(entry.path().string());
    }
    if (found.empty()) throw Failure(Exit::input, "The folder " + folder + " has no images.");
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace app
