#include "om_file.hpp"

#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "board.hpp"
#include "error.hpp"

namespace cannsim {
namespace {

constexpr char kMagic[8] = {'C', 'N', 'S', 'I', 'M', 'O', 'M', '\0'};
constexpr uint32_t kVersion = 1;
constexpr size_t kHeader = 32;  // magic, version, checksum of all that follows the header, manifest size, network size

uint32_t checksum(const char* data, size_t size) {  // CRC-32 as zlib computes it
    static const std::array<uint32_t, 256> table = [] {
        std::array<uint32_t, 256> made{};
        for (uint32_t index = 0; index < 256; ++index) {
            uint32_t value = index;
            for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320U : 0U);
            made[index] = value;
        }
        return made;
    }();
    uint32_t crc = 0xFFFFFFFFU;
    for (size_t at = 0; at < size; ++at) crc = table[(crc ^ static_cast<uint8_t>(data[at])) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

std::string unescape(const std::string& text) {  // %20 and the like: names may hold anything
    std::string plain;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '%' && at + 2 < text.size()) {
            plain += static_cast<char>(std::strtol(text.substr(at + 1, 2).c_str(), nullptr, 16));
            at += 2;
        } else {
            plain += text[at];
        }
    }
    return plain;
}

Dims read_dims(const std::string& text) {  // "1,3,640,640"; "-" for a scalar
    Dims dims;
    if (text == "-") return dims;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) dims.push_back(std::strtoll(part.c_str(), nullptr, 10));
    return dims;
}

std::vector<Dims> read_dims_list(const std::string& text) {
    std::vector<Dims> list;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ';');) list.push_back(read_dims(part));
    return list;
}

TensorInfo read_tensor(std::istringstream& line) {
    TensorInfo tensor;
    std::string name, dims;
    int type = 0, format = 0;
    line >> name >> type >> format >> dims;
    tensor.name = unescape(name);
    tensor.type = static_cast<aclDataType>(type);
    tensor.format = static_cast<aclFormat>(format);
    tensor.dims = read_dims(dims);
    return tensor;
}

void read_line(const std::string& text, OmFile& om) {
    std::istringstream line(text);
    std::string key;
    line >> key;
    if (key == "soc") line >> om.soc;
    else if (key == "cann") line >> om.cann;
    else if (key == "name") { line >> om.name; om.name = unescape(om.name); }
    else if (key == "work_size") line >> om.work_size;
    else if (key == "weight_size") line >> om.weight_size;
    else if (key == "input") om.inputs.push_back(read_tensor(line));
    else if (key == "output") om.outputs.push_back(read_tensor(line));
    else if (key == "gear_kind") {
        std::string kind;
        line >> kind;
        om.gear_kind = kind == "batch" ? GearKind::batch : kind == "image" ? GearKind::image : GearKind::dims;
    } else if (key == "gear") {
        std::string values, inputs, outputs;
        line >> values >> inputs >> outputs;
        om.gears.push_back({read_dims(values), read_dims_list(inputs), read_dims_list(outputs)});
    } else if (key == "aipp") {
        om.aipp.push_back(read_aipp(text.substr(key.size())));
    } else if (key == "op") {
        OpInfo op;
        line >> op.name >> op.type >> op.input_shapes >> op.input_types >> op.output_shapes >> op.output_types;
        op.name = unescape(op.name);
        om.ops.push_back(op);
    }
}

// Whether every number a later calculation relies on is there and sane.
bool consistent(const OmFile& om) {
    const auto bounded = [](const Dims& dims) {
        double product = 1;
        for (const int64_t dim : dims) product *= dim < 0 ? 1.0 : static_cast<double>(dim);
        return dims.size() <= 16 && product < 1e11;
    };
    if (om.inputs.empty() || om.outputs.empty() || (om.gear_kind != GearKind::none) != !om.gears.empty()) return false;
    for (const auto& tensor : om.inputs) {
        if (!bounded(tensor.dims) || element_size(tensor.type) == 0) return false;
    }
    for (const auto& tensor : om.outputs) {
        if (!bounded(tensor.dims) || element_size(tensor.type) == 0) return false;
    }
    for (const auto& gear : om.gears) {
        if (gear.inputs.size() != om.inputs.size() || gear.outputs.size() != om.outputs.size()) return false;
        for (const auto& dims : gear.inputs) {
            if (!bounded(dims)) return false;
        }
        for (const auto& dims : gear.outputs) {
            if (!bounded(dims)) return false;
        }
    }
    for (const auto& settings : om.aipp) {
        if (settings.input_rank >= om.inputs.size() || om.inputs[settings.input_rank].dims.size() != 4) return false;
    }
    return true;
}

}  // namespace

size_t element_size(aclDataType type) {
    switch (type) {
        case ACL_INT8: case ACL_UINT8: case ACL_BOOL: return 1;
        case ACL_FLOAT16: case ACL_BF16: case ACL_INT16: case ACL_UINT16: return 2;
        case ACL_FLOAT: case ACL_INT32: case ACL_UINT32: return 4;
        case ACL_INT64: case ACL_UINT64: case ACL_DOUBLE: case ACL_COMPLEX64: return 8;
        case ACL_COMPLEX128: return 16;
        default: return 0;
    }
}

size_t element_count(const Dims& dims) {
    size_t count = 1;
    for (const int64_t dim : dims) count *= dim < 0 ? 0 : static_cast<size_t>(dim);
    return count;
}

const AippSettings* OmFile::aipp_of(size_t input) const {
    for (const auto& settings : aipp) {
        if (settings.input_rank == input) return &settings;
    }
    return nullptr;
}

size_t OmFile::largest_gear() const {
    size_t best = 0;
    size_t most = 0;
    for (size_t index = 0; index < gears.size(); ++index) {
        size_t total = 0;
        for (const auto& dims : gears[index].inputs) total += element_count(dims);
        if (total > most) {
            most = total;
            best = index;
        }
    }
    return best;
}

size_t OmFile::input_count() const {
    size_t added = gear_kind == GearKind::none ? 0 : 1;
    for (const auto& settings : aipp) added += settings.dynamic ? 1 : 0;
    return inputs.size() + added;
}

bool OmFile::is_gear_input(size_t index) const { return gear_kind != GearKind::none && index == inputs.size(); }

const AippSettings* OmFile::dynamic_aipp_at(size_t index) const {
    size_t at = inputs.size() + (gear_kind == GearKind::none ? 0 : 1);
    for (const auto& settings : aipp) {
        if (settings.dynamic && at++ == index) return &settings;
    }
    return nullptr;
}

size_t OmFile::input_bytes(size_t index) const {
    if (is_gear_input(index)) return gears.front().key.size() * sizeof(uint64_t);
    const Dims* dims = nullptr;
    if (dynamic_aipp_at(index) != nullptr) {
        const auto& largest = gears.empty() ? inputs[0].dims : gears[largest_gear()].inputs[0];
        return aipp_parameter_bytes(largest.empty() ? 1 : static_cast<size_t>(largest[0]));
    }
    if (index >= inputs.size()) return 0;
    dims = gears.empty() ? &inputs[index].dims : &gears[largest_gear()].inputs[index];
    if (const AippSettings* const settings = aipp_of(index); settings != nullptr) {
        if (settings->dynamic) return settings->max_src_image_size;
        return source_bytes(*settings, *dims);
    }
    return element_count(*dims) * element_size(inputs[index].type);
}

size_t OmFile::output_bytes(size_t index) const {
    return index < outputs.size() ? element_count(outputs[index].dims) * element_size(outputs[index].type) : 0;
}

std::shared_ptr<const OmFile> parse_om(const std::string& bytes, aclError* code) {
    const auto refuse = [code](uint32_t what, const std::string& why) {
        *code = model_fault(what, why);
        return nullptr;
    };
    uint32_t version = 0, crc = 0;
    uint64_t manifest_size = 0, network_size = 0;
    if (bytes.size() < kHeader) return refuse(ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID, "The model is shorter than its header.");
    if (std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
        return refuse(ACL_ERROR_GE_PARAM_INVALID, "The file is not a model of this stand-in (an .om of a real atc cannot run here).");
    }
    std::memcpy(&version, bytes.data() + 8, 4);
    std::memcpy(&crc, bytes.data() + 12, 4);
    std::memcpy(&manifest_size, bytes.data() + 16, 8);
    std::memcpy(&network_size, bytes.data() + 24, 8);
    if (version != kVersion) return refuse(ACL_ERROR_GE_PARAM_INVALID, "The model has format version " + std::to_string(version) + "; this runtime reads version 1.");
    const size_t body = bytes.size() - kHeader;
    if (manifest_size > body || network_size != body - manifest_size) {
        return refuse(ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID, "The model is cut short or has bytes too many.");
    }
    if (checksum(bytes.data() + kHeader, body) != crc) return refuse(ACL_ERROR_GE_PARAM_INVALID, "The model's checksum does not match: the file is damaged.");
    auto om = std::make_shared<OmFile>();
    std::istringstream manifest(bytes.substr(kHeader, manifest_size));
    for (std::string line; std::getline(manifest, line);) read_line(line, *om);
    if (!consistent(*om)) return refuse(ACL_ERROR_GE_PARAM_INVALID, "The model's description is incomplete.");
    if (om->soc != board().soc) {
        return refuse(ACL_ERROR_GE_LOAD_MODEL, "The model was built for " + om->soc + ", this device is " + board().soc + ".");
    }
    if (compare_versions(om->cann, board().cann) > 0) {
        return refuse(ACL_ERROR_GE_LOAD_MODEL, "The model was built by CANN " + om->cann + ", newer than this runtime, " + board().cann + ".");
    }
    om->network = bytes.substr(kHeader + manifest_size);
    return om;
}

std::shared_ptr<const OmFile> read_om(const char* path, aclError* code) {
    struct stat facts {};
    std::ifstream file;
    if (stat(path, &facts) == 0 && S_ISREG(facts.st_mode)) file.open(path, std::ios::binary);
    if (!file.is_open()) {
        *code = model_fault(ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID, "Path [" + std::string(path) + "] is invalid. Reason: it cannot be read.");
        return nullptr;
    }
    return parse_om(std::string(std::istreambuf_iterator<char>(file), {}), code);
}

}  // namespace cannsim
