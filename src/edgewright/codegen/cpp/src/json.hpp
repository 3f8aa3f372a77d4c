// As much JSON as this program writes and reads: results, and the list of golden samples.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace app {

std::string quoted(const std::string& text);
std::string number(double value, int decimals);  // without zeros at the end

struct Json;
using JsonList = std::vector<Json>;
using JsonObject = std::map<std::string, Json>;

struct Json {
    std::variant<std::nullptr_t, bool, double, std::string, std::shared_ptr<JsonList>, std::shared_ptr<JsonObject>> value;

    // Failure (Exit::input) where the value is something else, or not there.
    double as_number() const;
    const std::string& as_text() const;
    const JsonList& as_list() const;
    const Json& operator[](const std::string& key) const;
};

// Failure (Exit::input) with the place where it is no JSON, or is nested more than 32 deep.
Json parse_json(const std::string& text);

}  // namespace app
