#include "acl_model.hpp"

#include <algorithm>

#include "failure.hpp"

namespace app::acl {

namespace {

constexpr std::size_t none = static_cast<std::size_t>(-1);

Dtype dtype_of(aclDataType type, const std::string& what) {
    switch (type) {
        case ACL_FLOAT: return Dtype::float32;
        case ACL_FLOAT16: return Dtype::float16;
        case ACL_UINT8: return Dtype::uint8;
        case ACL_INT32: return Dtype::int32;
        case ACL_INT64: return Dtype::int64;
        default: throw Failure(Exit::device, what + " has the type " + std::to_string(type) + ", which is not read here.");
    }
}

std::vector<std::int64_t> shape_of(const aclmdlIODims& dims) { return {dims.dims, dims.dims + dims.dimCount}; }

bool ends_with(const std::string& text, const std::string& ending) {
    return text.size() >= ending.size() && text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

}  // namespace

Model::Model(const std::string& path) {
    check(aclmdlLoadFromFile(path.c_str(), &id_), "aclmdlLoadFromFile");
    try {
        desc_ = aclmdlCreateDesc();
        if (desc_ == nullptr) throw Failure(Exit::device, "aclmdlCreateDesc gave nothing.");
        check(aclmdlGetDesc(desc_, id_), "aclmdlGetDesc");
        find_gears();
    } catch (...) {  // no destructor runs for what was never whole
        released(aclmdlUnload(id_), "aclmdlUnload");
        if (desc_ != nullptr) released(aclmdlDestroyDesc(desc_), "aclmdlDestroyDesc");
        throw;
    }
}

Model::~Model() {
    released(aclmdlUnload(id_), "aclmdlUnload");
    released(aclmdlDestroyDesc(desc_), "aclmdlDestroyDesc");
}

void Model::find_gears() {
    // Models with gears have one input more than the network, through which the gear is told.
    for (std::size_t k = 0; k < inputs(); ++k) {
        const char* name = aclmdlGetInputNameByIndex(desc_, k);
        if (name == nullptr || std::string(name) != ACL_DYNAMIC_TENSOR_NAME) continue;
        gear_input_ = k;
        gears_ = Gears::dims;
        aclmdlBatch batch{};
        check(aclmdlGetDynamicBatch(desc_, &batch), "aclmdlGetDynamicBatch");
        aclmdlHW sizes{};
        if (batch.batchCount > 0) {
            gears_ = Gears::batch;
            for (std::size_t gear = 0; gear < batch.batchCount; ++gear)
                batches_.push_back(static_cast<std::int64_t>(batch.batch[gear]));
            std::sort(batches_.begin(), batches_.end());
        } else if (aclmdlGetDynamicHW(desc_, none, &sizes) == ACL_SUCCESS && sizes.hwCount > 0) {
            gears_ = Gears::image;
        }
    }
}

void Model::set_gear(const Dataset& inputs, const std::vector<std::int64_t>& shape, Order order) const {
    aclmdlDataset* const data = inputs.get();
    if (gears_ == Gears::batch) {
        check(aclmdlSetDynamicBatchSize(id_, data, gear_input_, static_cast<std::uint64_t>(shape.at(0))),
              "aclmdlSetDynamicBatchSize");
    } else if (gears_ == Gears::image) {
        const std::size_t height = order == Order::nchw ? 2 : 1;
        check(aclmdlSetDynamicHWSize(id_, data, gear_input_, static_cast<std::uint64_t>(shape.at(height)),
                                     static_cast<std::uint64_t>(shape.at(height + 1))),
              "aclmdlSetDynamicHWSize");
    } else if (gears_ == Gears::dims) {
        aclmdlIODims dims{};
        dims.dimCount = shape.size();
        for (std::size_t k = 0; k < shape.size() && k < ACL_MAX_DIM_CNT; ++k) dims.dims[k] = shape[k];
        check(aclmdlSetInputDynamicDims(id_, data, gear_input_, &dims), "aclmdlSetInputDynamicDims");
    }
}

Dtype Model::input_dtype(std::size_t index) const {
    return dtype_of(aclmdlGetInputDataType(desc_, index), "The input");
}

Dtype Model::output_dtype(std::size_t index) const {
    return dtype_of(aclmdlGetOutputDataType(desc_, index), "The output '" + output_name(index) + "'");
}

std::vector<std::int64_t> Model::input_shape(std::size_t index) const {
    aclmdlIODims dims{};
    check(aclmdlGetInputDims(desc_, index, &dims), "aclmdlGetInputDims");
    return shape_of(dims);
}

std::vector<std::int64_t> Model::output_shape(std::size_t index) const {
    aclmdlIODims dims{};
    if (gears_ == Gears::none) check(aclmdlGetOutputDims(desc_, index, &dims), "aclmdlGetOutputDims");
    else check(aclmdlGetCurOutputDims(desc_, index, &dims), "aclmdlGetCurOutputDims");
    return shape_of(dims);
}

std::size_t Model::input_index(const Port& port) const {
    std::size_t found = none, real = 0;
    for (std::size_t k = 0; k < inputs(); ++k) {
        const char* name = aclmdlGetInputNameByIndex(desc_, k);
        const std::string text = name == nullptr ? "" : name;
        if (text == ACL_DYNAMIC_AIPP_NAME)
            throw Failure(Exit::input, "The model wants its AIPP settings at run time; convert it with static ones.");
        if (text == ACL_DYNAMIC_TENSOR_NAME) continue;
        ++real;
        if (found == none || text == port.name) found = k;
    }
    if (real != 1) throw Failure(Exit::input, "The model has " + std::to_string(real) + " inputs, and this task has one.");
    return found;
}

std::string Model::output_name(std::size_t index) const {
    const char* name = aclmdlGetOutputNameByIndex(desc_, index);
    return name == nullptr ? "" : name;
}

std::size_t Model::output_index(const std::string& name, const std::vector<std::string>& order,
                                std::size_t position) const {
    for (std::size_t k = 0; k < outputs(); ++k)
        if (output_name(k) == name || ends_with(output_name(k), ":" + name)) return k;
    // --out_nodes leaves "node:index", and very long names are replaced: only the order is left.
    const auto listed = std::find(order.begin(), order.end(), name);
    const auto index = listed == order.end() ? position : static_cast<std::size_t>(listed - order.begin());
    if (index >= outputs()) throw Failure(Exit::input, "The model has no output '" + name + "'.");
    return index;
}

}  // namespace app::acl
