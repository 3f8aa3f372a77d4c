// The stand-in's .om: a header, a manifest of lines, and the lowered network as ONNX. Written by python/cannsim/om.py.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "acl/acl_mdl.h"
#include "aipp.hpp"

namespace cannsim {

using Dims = std::vector<int64_t>;

struct TensorInfo {
    std::string name;
    aclDataType type = ACL_FLOAT;
    aclFormat format = ACL_FORMAT_ND;
    Dims dims;  // -1 where a gear decides; outputs: of the largest gear
};

struct Gear {
    Dims key;                    // what the user wrote: {4}, {416,416}, {1,128}
    std::vector<Dims> inputs;    // every real input at this gear
    std::vector<Dims> outputs;
};

struct OpInfo {
    std::string name, type, input_shapes, input_types, output_shapes, output_types;
};

enum class GearKind { none, batch, image, dims };

struct OmFile {
    std::string soc, cann, name;
    size_t work_size = 0;
    size_t weight_size = 0;
    std::vector<TensorInfo> inputs;   // of the network; gears and dynamic AIPP add one each after them
    std::vector<TensorInfo> outputs;
    GearKind gear_kind = GearKind::none;
    std::vector<Gear> gears;
    std::vector<AippSettings> aipp;   // by input_rank
    std::vector<OpInfo> ops;
    std::string network;

    const AippSettings* aipp_of(size_t input) const;
    size_t largest_gear() const;
    size_t input_count() const;               // with the added ones
    bool is_gear_input(size_t index) const;
    const AippSettings* dynamic_aipp_at(size_t index) const;  // when input `index` carries AIPP parameters
    size_t input_bytes(size_t index) const;   // of the largest gear
    size_t output_bytes(size_t index) const;
};

size_t element_size(aclDataType type);
size_t element_count(const Dims& dims);

// Reads and checks a model in memory. On failure returns null and sets `code` to what the load call gives back.
std::shared_ptr<const OmFile> parse_om(const std::string& bytes, aclError* code);
std::shared_ptr<const OmFile> read_om(const char* path, aclError* code);

}  // namespace cannsim
