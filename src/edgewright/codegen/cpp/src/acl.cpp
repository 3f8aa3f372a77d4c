#include "acl.hpp"

#include <cstdio>
#include <utility>

#include "failure.hpp"

namespace app::acl {

namespace {

struct Meaning {
    aclError code;
    const char* words;
};

constexpr Meaning meanings[] = {
    {100039, "the program was linked at run time to a library that is only for building; source set_env.sh"},
    {107001, "there is no device of this number; see npu-smi info -l"},
    {145000, "the model file is damaged or not for this chip"},
    {145006, "the model file is cut off"},
    {207001, "the device has not enough memory"},
    {507008, "there is no device or no right to use it; see npu-smi info and the group HwHiAiUser"},
    {507033, "there is no device or no right to use it; see npu-smi info and the group HwHiAiUser"},
    {507899, "there is no device or no right to use it; see npu-smi info and the group HwHiAiUser"},
    {545001, "the model was made for another chip or a newer CANN; convert it again"},
};

// The vendor's text is a block of several lines; a log wants one.
std::string recent_words() {
    const char* text = aclGetRecentErrMsg();
    std::string line = text == nullptr ? "" : text;
    for (char& letter : line)
        if (letter == '\n' || letter == '\r' || letter == '\t') letter = ' ';
    std::string out;
    for (const char letter : line.substr(0, line.find("TraceBack (")))  // the vendor's own source lines
        if (letter != ' ' || (!out.empty() && out.back() != ' ')) out += letter;
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out.substr(0, 600);
}

std::string told(aclError code, const char* call) {
    std::string text = std::string(call) + " gave " + std::to_string(code);
    for (const Meaning& meaning : meanings)
        if (meaning.code == code) text += ": " + std::string(meaning.words);
    const std::string recent = recent_words();
    return text + (recent.empty() ? "." : ". " + recent);
}

}  // namespace

void check(aclError code, const char* call) {
    if (code != ACL_SUCCESS) throw Failure(Exit::device, told(code, call));
}

void released(aclError code, const char* call) noexcept {
    if (code != ACL_SUCCESS) std::fprintf(stderr, "predict: %s gave %d while it was released.\n", call, code);
}

Library::Library() {
    const aclError code = aclInit(nullptr);
    ours_ = code == ACL_SUCCESS;
    if (code != ACL_ERROR_REPEAT_INITIALIZE) check(code, "aclInit");
}

Library::~Library() {
    if (ours_) released(aclFinalize(), "aclFinalize");
}

Device::Device(int number) : number_(number) {
    check(aclrtSetDevice(number), "aclrtSetDevice");
    aclrtRunMode mode = ACL_HOST;
    const aclError code = aclrtGetRunMode(&mode);
    if (code != ACL_SUCCESS) released(aclrtResetDevice(number), "aclrtResetDevice");
    check(code, "aclrtGetRunMode");
    shares_memory_ = mode == ACL_DEVICE;
}

Device::~Device() { released(aclrtResetDevice(number_), "aclrtResetDevice"); }

DeviceMemory::DeviceMemory(std::size_t bytes) : size_(bytes) {
    check(aclrtMalloc(&data_, bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
}

DeviceMemory::DeviceMemory(DeviceMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}

DeviceMemory::~DeviceMemory() {
    if (data_ != nullptr) released(aclrtFree(data_), "aclrtFree");
}

HostMemory::HostMemory(std::size_t bytes) : size_(bytes) { check(aclrtMallocHost(&data_, bytes), "aclrtMallocHost"); }

HostMemory::HostMemory(HostMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}

HostMemory::~HostMemory() {
    if (data_ != nullptr) released(aclrtFreeHost(data_), "aclrtFreeHost");
}

Dataset::Dataset() : dataset_(aclmdlCreateDataset()) {
    if (dataset_ == nullptr) throw Failure(Exit::device, "aclmdlCreateDataset gave nothing. " + recent_words());
}

Dataset::~Dataset() {
    for (aclDataBuffer* buffer : buffers_) released(aclDestroyDataBuffer(buffer), "aclDestroyDataBuffer");
    released(aclmdlDestroyDataset(dataset_), "aclmdlDestroyDataset");
}

void Dataset::add(const DeviceMemory& memory) {
    aclDataBuffer* buffer = aclCreateDataBuffer(memory.data(), memory.size());
    if (buffer == nullptr) throw Failure(Exit::device, "aclCreateDataBuffer gave nothing. " + recent_words());
    buffers_.push_back(buffer);
    check(aclmdlAddDatasetBuffer(dataset_, buffer), "aclmdlAddDatasetBuffer");
}

}  // namespace app::acl
