#include "json.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "failure.hpp"

namespace app {

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char letter : text) {
        const auto code = static_cast<unsigned char>(letter);
        if (letter == '"' || letter == '\\') {
            out += '\\';
            out += letter;
        } else if (code < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", code);
            out += escaped;
        } else {
            out += letter;
        }
    }
    return out + "\"";
}

std::string number(double value, int decimals) {
    if (!std::isfinite(value)) return "null";
    char text[352];  // the largest double has 309 digits before the point
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    std::string out = text;
    if (out.find('.') != std::string::npos) {
        out.erase(out.find_last_not_of('0') + 1);
        if (out.back() == '.') out += '0';
    }
    return out;
}

namespace {

class Parser {
public:
    explicit Parser(const std::string& text) : text_(text) {}

    Json whole() {
        Json value = any(0);
        space();
        if (at_ != text_.size()) wrong();
        return value;
    }

private:
    [[noreturn]] void wrong() const {
        throw Failure(Exit::input, "This is no JSON, at byte " + std::to_string(at_) + ".");
    }
    void space() {
        while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos) ++at_;
    }
    bool take(char letter) {
        space();
        if (at_ >= text_.size() || text_[at_] != letter) return false;
        ++at_;
        return true;
    }
    bool word(const char* name) {
        const std::string wanted = name;
        if (text_.compare(at_, wanted.size(), wanted) != 0) return false;
        at_ += wanted.size();
        return true;
    }
    Json any(int depth) {
        if (depth > 32) wrong();
        if (take('{')) return object(depth);
        if (take('[')) return list(depth);
        space();
        if (at_ < text_.size() && text_[at_] == '"') return Json{text()};
        if (word("null")) return Json{nullptr};
        if (word("true")) return Json{true};
        if (word("false")) return Json{false};
        const char* start = text_.c_str() + at_;
        char* end = nullptr;
        const double value = std::strtod(start, &end);
        if (end == start) wrong();
        at_ += static_cast<std::size_t>(end - start);
        return Json{value};
    }
    Json object(int depth) {
        auto found = std::make_shared<JsonObject>();
        if (take('}')) return Json{found};
        do {
            space();
            std::string key = text();
            if (!take(':')) wrong();
            (*found)[std::move(key)] = any(depth + 1);
        } while (take(','));
        if (!take('}')) wrong();
        return Json{found};
    }
    Json list(int depth) {
        auto found = std::make_shared<JsonList>();
        if (take(']')) return Json{found};
        do found->push_back(any(depth + 1));
        while (take(','));
        if (!take(']')) wrong();
        return Json{found};
    }
    std::string text() {
        if (!take('"')) wrong();
        std::string out;
        while (at_ < text_.size() && text_[at_] != '"') {
            if (text_[at_] != '\\') {
                out += text_[at_++];
                continue;
            }
            if (++at_ >= text_.size()) wrong();
            escaped(out);
        }
        if (!take('"')) wrong();
        return out;
    }
    void escaped(std::string& out) {
        const char letter = text_[at_++];
        const std::string from = "bfnrt", to = "\b\f\n\r\t";
        const auto found = from.find(letter);
        if (found != std::string::npos) {
            out += to[found];
        } else if (letter == 'u') {  // names only: what is beyond ASCII may look odd, and is never compared
            if (at_ + 4 > text_.size()) wrong();
            const auto code = std::strtoul(text_.substr(at_, 4).c_str(), nullptr, 16);
            out += code < 0x80 ? static_cast<char>(code) : '?';
            at_ += 4;
        } else {
            out += letter;
        }
    }

    const std::string& text_;
    std::size_t at_ = 0;
};

template <typename T>
const T& expect(const Json& json, const char* what) {
    const T* found = std::get_if<T>(&json.value);
    if (found == nullptr) throw Failure(Exit::input, std::string("The JSON has something else where ") + what + " should be.");
    return *found;
}

}  // namespace

double Json::as_number() const { return expect<double>(*this, "a number"); }
const std::string& Json::as_text() const { return expect<std::string>(*this, "text"); }
const JsonList& Json::as_list() const { return *expect<std::shared_ptr<JsonList>>(*this, "a list"); }

const Json& Json::operator[](const std::string& key) const {
    const JsonObject& object = *expect<std::shared_ptr<JsonObject>>(*this, "an object");
    const auto found = object.find(key);
    if (found == object.end()) throw Failure(Exit::input, "The JSON has no '" + key + "'.");
    return found->second;
}

Json parse_json(const std::string& text) { return Parser(text).whole(); }

}  // namespace app
