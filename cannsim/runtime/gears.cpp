// Dynamic batch, image size and dims: one of the gears the model was converted with, chosen before each run.
#include <algorithm>
#include <cstring>

#include "error.hpp"
#include "memory.hpp"
#include "model.hpp"

namespace cannsim {
namespace {

std::string text_of(const Dims& key) {
    std::string text;
    for (const int64_t value : key) text += (text.empty() ? "" : ",") + std::to_string(value);
    return text;
}

// Sets the gear whose key is `key` on dataset and model, and writes it where a device would look for it.
aclError set_gear(uint32_t model_id, aclmdlDataset* dataset, size_t index, GearKind kind, const Dims& key) {
    if (dataset == nullptr) return null_argument("dataset");
    const auto model = find_model(model_id);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    const OmFile& om = *model->om;
    if (om.gear_kind != kind) {
        return model_fault(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "The model was not converted with gears of this kind.");
    }
    if (!om.is_gear_input(index)) return bad_value(std::to_string(index), "index", "it is not the index of " ACL_DYNAMIC_TENSOR_NAME);
    if (index >= dataset->entries.size()) return bad_value(std::to_string(index), "index", "the dataset has no such buffer");
    const auto found = std::find_if(om.gears.begin(), om.gears.end(), [&](const Gear& gear) { return gear.key == key; });
    if (found == om.gears.end()) {
        return model_fault(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "The model has no gear [" + text_of(key) + "].");
    }
    const aclDataBuffer& buffer = *dataset->entries[index].buffer;
    const size_t needed = om.input_bytes(index);
    void* const to = buffer.size < needed ? nullptr : reach(buffer.data, needed);
    if (buffer.data == nullptr) return model_fault(ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID, "The buffer of " ACL_DYNAMIC_TENSOR_NAME " is null.");
    if (to == nullptr) {
        return model_fault(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID, "The buffer of " ACL_DYNAMIC_TENSOR_NAME " is too small.");
    }
    std::memcpy(to, key.data(), needed);
    const auto gear = static_cast<size_t>(found - om.gears.begin());
    dataset->gear = static_cast<long>(gear);
    const std::lock_guard<std::mutex> lock(model->guard);
    model->gear = gear;
    model->engine->prepare(gear);  // a device has every gear compiled: the time of the first run shall not pay for it
    return ACL_SUCCESS;
}

// The dims of every real input of a gear, one after the other: what aclmdlSetInputDynamicDims wants and gives.
Dims all_dims(const Gear& gear) {
    Dims all;
    for (const auto& dims : gear.inputs) all.insert(all.end(), dims.begin(), dims.end());
    return all;
}

aclError filled(const aclmdlDesc* desc) {
    if (desc == nullptr) return null_argument("modelDesc");
    return desc->om == nullptr ? bad_value("empty", "modelDesc", "aclmdlGetDesc has not filled it") : ACL_SUCCESS;
}

}  // namespace
}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclError aclmdlSetDynamicBatchSize(uint32_t modelId, aclmdlDataset* dataset, size_t index, uint64_t batchSize) {
    if (batchSize == 0) return bad_value("0", "batchSize", "it must be greater than 0");
    return set_gear(modelId, dataset, index, GearKind::batch, {static_cast<int64_t>(batchSize)});
}

aclError aclmdlSetDynamicHWSize(uint32_t modelId, aclmdlDataset* dataset, size_t index, uint64_t height, uint64_t width) {
    if (height == 0 || width == 0) return bad_value("0", "height, width", "they must be greater than 0");
    return set_gear(modelId, dataset, index, GearKind::image, {static_cast<int64_t>(height), static_cast<int64_t>(width)});
}

aclError aclmdlSetInputDynamicDims(uint32_t modelId, aclmdlDataset* dataset, size_t index, const aclmdlIODims* dims) {
    if (dims == nullptr) return null_argument("dims");
    const auto model = find_model(modelId);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    if (model->om->gear_kind != GearKind::dims || dims->dimCount > ACL_MAX_DIM_CNT) {
        return model_fault(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "The model was not converted with --dynamic_dims, or dims has too many entries.");
    }
    const Dims wanted(dims->dims, dims->dims + dims->dimCount);
    for (const auto& gear : model->om->gears) {
        if (all_dims(gear) == wanted) return set_gear(modelId, dataset, index, GearKind::dims, gear.key);
    }
    return model_fault(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "The model has no gear with the dims [" + text_of(wanted) + "].");
}

aclError aclmdlGetDynamicBatch(const aclmdlDesc* modelDesc, aclmdlBatch* batch) {
    if (const aclError error = filled(modelDesc); error != ACL_SUCCESS) return error;
    if (batch == nullptr) return null_argument("batch");
    batch->batchCount = 0;
    if (modelDesc->om->gear_kind != GearKind::batch) return ACL_SUCCESS;
    for (const auto& gear : modelDesc->om->gears) {
        if (batch->batchCount < ACL_MAX_BATCH_NUM) batch->batch[batch->batchCount++] = static_cast<uint64_t>(gear.key[0]);
    }
    return ACL_SUCCESS;
}

aclError aclmdlGetDynamicHW(const aclmdlDesc* modelDesc, size_t, aclmdlHW* hw) {
    if (const aclError error = filled(modelDesc); error != ACL_SUCCESS) return error;
    if (hw == nullptr) return null_argument("hw");
    hw->hwCount = 0;
    if (modelDesc->om->gear_kind != GearKind::image) return ACL_SUCCESS;
    for (const auto& gear : modelDesc->om->gears) {
        if (hw->hwCount == ACL_MAX_HW_NUM) break;
        hw->hw[hw->hwCount][0] = static_cast<uint64_t>(gear.key[0]);
        hw->hw[hw->hwCount++][1] = static_cast<uint64_t>(gear.key[1]);
    }
    return ACL_SUCCESS;
}

aclError aclmdlGetInputDynamicGearCount(const aclmdlDesc* modelDesc, size_t index, size_t* gearCount) {
    if (const aclError error = filled(modelDesc); error != ACL_SUCCESS) return error;
    if (gearCount == nullptr) return null_argument("gearCount");
    if (index != static_cast<size_t>(-1)) return bad_value(std::to_string(index), "index", "it must be -1");
    *gearCount = modelDesc->om->gear_kind == GearKind::dims ? modelDesc->om->gears.size() : 0;
    return ACL_SUCCESS;
}

aclError aclmdlGetInputDynamicDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims, size_t gearCount) {
    if (const aclError error = filled(modelDesc); error != ACL_SUCCESS) return error;
    if (dims == nullptr) return null_argument("dims");
    if (index != static_cast<size_t>(-1)) return bad_value(std::to_string(index), "index", "it must be -1");
    const auto& gears = modelDesc->om->gears;
    if (modelDesc->om->gear_kind != GearKind::dims || gearCount < gears.size()) {
        return bad_value(std::to_string(gearCount), "gearCount", "the model has " + std::to_string(gears.size()) + " gears");
    }
    for (size_t at = 0; at < gears.size(); ++at) {
        const Dims all = all_dims(gears[at]);
        std::memset(&dims[at], 0, sizeof dims[at]);
        dims[at].dimCount = std::min<size_t>(all.size(), ACL_MAX_DIM_CNT);
        std::copy_n(all.begin(), dims[at].dimCount, dims[at].dims);
    }
    return ACL_SUCCESS;
}

}  // extern "C"
