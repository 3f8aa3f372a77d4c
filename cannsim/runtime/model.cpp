// Loading, unloading, sizes.
#include "model.hpp"

#include <cstring>
#include <map>

#include "error.hpp"
#include "memory.hpp"
#include "profile.hpp"

struct aclmdlConfigHandle {
    size_t load_type = 0;
    std::string path;
    const void* memory = nullptr;
    size_t memory_size = 0;
    void* weight = nullptr;
    size_t weight_size = 0;
    void* work = nullptr;
    size_t work_size = 0;
};

namespace cannsim {
namespace {

std::mutex guard;
std::map<uint32_t, std::shared_ptr<Model>> models;
uint32_t next_id = 1;

void release(const Model& model) {
    if (model.reserved_bytes > 0) release_device_bytes(model.reserved_bytes);
}

// Memory the program brings (aclmdlQuerySize told it how much) instead of having it allocated.
struct Brought {
    void* work = nullptr;
    size_t work_size = 0;
    void* weight = nullptr;
    size_t weight_size = 0;
};

aclError check_brought(const OmFile& om, const Brought& brought, size_t* to_reserve) {
    const auto enough = [](const void* address, size_t size, size_t needed) {
        return address == nullptr || (size >= needed && reach(address, size) != nullptr);
    };
    if (!enough(brought.work, brought.work_size, om.work_size) || !enough(brought.weight, brought.weight_size, om.weight_size)) {
        return model_fault(ACL_ERROR_GE_PARAM_INVALID, "The work or weight memory is smaller than aclmdlQuerySize says, or is no device memory.");
    }
    *to_reserve = (brought.work == nullptr ? om.work_size : 0) + (brought.weight == nullptr ? om.weight_size : 0);
    return ACL_SUCCESS;
}

aclError load(const std::shared_ptr<const OmFile>& om, aclError parse_error, const Brought& brought, uint32_t* model_id) {
    const auto context = current_context();
    if (context == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    if (om == nullptr) return parse_error;
    auto model = std::make_shared<Model>();
    model->om = om;
    model->context = context;
    model->gear = om->largest_gear();
    if (const aclError error = check_brought(*om, brought, &model->reserved_bytes); error != ACL_SUCCESS) return error;
    if (model->reserved_bytes > 0 && !reserve_device_bytes(model->reserved_bytes)) {
        return model_fault(ACL_ERROR_GE_MEMORY_ALLOCATION, "The device has not enough memory for the model.");
    }
    try {
        model->engine = std::make_unique<Engine>(om);
        model->engine->prepare(model->gear);
    } catch (const std::exception& failure) {
        release(*model);
        return model_fault(ACL_ERROR_GE_LOAD_MODEL, std::string("The network cannot be run: ") + failure.what());
    }
    const std::lock_guard<std::mutex> lock(guard);
    model->id = next_id++;
    models[model->id] = model;
    *model_id = model->id;
    return ACL_SUCCESS;
}

}  // namespace

std::shared_ptr<Model> find_model(uint32_t id) {
    {
        const std::lock_guard<std::mutex> lock(guard);
        const auto found = models.find(id);
        if (found != models.end()) return found->second;
    }
    fail(static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID), "EH0001", "Invalid_Argument",
         "Value [" + std::to_string(id) + "] for [modelId] is invalid. Reason: no such model is loaded.");
    return nullptr;
}

size_t loaded_models() {
    const std::lock_guard<std::mutex> lock(guard);
    return models.size();
}

void unload_all_models() {
    std::map<uint32_t, std::shared_ptr<Model>> old;
    {
        const std::lock_guard<std::mutex> lock(guard);
        old.swap(models);
    }
    for (const auto& entry : old) release(*entry.second);
}

}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclError aclmdlLoadFromFileWithMem(const char* modelPath, uint32_t* modelId, void* workPtr, size_t workSize,
                                   void* weightPtr, size_t weightSize) {
    if (modelPath == nullptr) return null_argument("modelPath");
    if (modelId == nullptr) return null_argument("modelId");
    const Timed timed("aclmdlLoadFromFile");
    aclError error = ACL_SUCCESS;
    const auto om = read_om(modelPath, &error);
    return load(om, error, {workPtr, workSize, weightPtr, weightSize}, modelId);
}

aclError aclmdlLoadFromFile(const char* modelPath, uint32_t* modelId) {
    return aclmdlLoadFromFileWithMem(modelPath, modelId, nullptr, 0, nullptr, 0);
}

aclError aclmdlLoadFromMemWithMem(const void* model, size_t modelSize, uint32_t* modelId, void* workPtr, size_t workSize,
                                  void* weightPtr, size_t weightSize) {
    if (model == nullptr) return null_argument("model");
    if (modelId == nullptr) return null_argument("modelId");
    if (modelSize == 0) return bad_value("0", "modelSize", "it must be greater than 0");
    const Timed timed("aclmdlLoadFromMem");
    aclError error = ACL_SUCCESS;
    const auto om = parse_om(std::string(static_cast<const char*>(model), modelSize), &error);
    return load(om, error, {workPtr, workSize, weightPtr, weightSize}, modelId);
}

aclError aclmdlLoadFromMem(const void* model, size_t modelSize, uint32_t* modelId) {
    return aclmdlLoadFromMemWithMem(model, modelSize, modelId, nullptr, 0, nullptr, 0);
}

aclmdlConfigHandle* aclmdlCreateConfigHandle(void) { return new aclmdlConfigHandle; }

aclError aclmdlDestroyConfigHandle(aclmdlConfigHandle* handle) {
    if (handle == nullptr) return null_argument("handle");
    delete handle;
    return ACL_SUCCESS;
}

aclError aclmdlSetConfigOpt(aclmdlConfigHandle* handle, aclmdlConfigAttr attr, const void* attrValue, size_t valueSize) {
    if (handle == nullptr) return null_argument("handle");
    if (attrValue == nullptr) return null_argument("attrValue");
    const auto copy = [&](auto* to) {
        if (valueSize != sizeof *to) return bad_value(std::to_string(valueSize), "valueSize", "it is not the size of the attribute");
        std::memcpy(to, attrValue, sizeof *to);
        return static_cast<aclError>(ACL_SUCCESS);
    };
    switch (attr) {
        case ACL_MDL_PRIORITY_INT32: return ACL_SUCCESS;
        case ACL_MDL_LOAD_TYPE_SIZET: return copy(&handle->load_type);
        case ACL_MDL_MEM_ADDR_PTR: return copy(&handle->memory);
        case ACL_MDL_MEM_SIZET: return copy(&handle->memory_size);
        case ACL_MDL_WEIGHT_ADDR_PTR: return copy(&handle->weight);
        case ACL_MDL_WEIGHT_SIZET: return copy(&handle->weight_size);
        case ACL_MDL_WORKSPACE_ADDR_PTR: return copy(&handle->work);
        case ACL_MDL_WORKSPACE_SIZET: return copy(&handle->work_size);
        case ACL_MDL_PATH_PTR: {
            const char* path = nullptr;
            if (const aclError error = copy(&path); error != ACL_SUCCESS) return error;
            if (path == nullptr) return null_argument("attrValue");
            handle->path = path;
            return ACL_SUCCESS;
        }
    }
    return bad_value(std::to_string(attr), "attr", "not offered by the stand-in");
}

aclError aclmdlLoadWithConfig(const aclmdlConfigHandle* handle, uint32_t* modelId) {
    if (handle == nullptr) return null_argument("handle");
    const bool brings = handle->load_type == ACL_MDL_LOAD_FROM_FILE_WITH_MEM || handle->load_type == ACL_MDL_LOAD_FROM_MEM_WITH_MEM;
    void* const work = brings ? handle->work : nullptr;
    void* const weight = brings ? handle->weight : nullptr;
    switch (handle->load_type) {
        case ACL_MDL_LOAD_FROM_FILE:
        case ACL_MDL_LOAD_FROM_FILE_WITH_MEM:
            return aclmdlLoadFromFileWithMem(handle->path.c_str(), modelId, work, handle->work_size, weight, handle->weight_size);
        case ACL_MDL_LOAD_FROM_MEM:
        case ACL_MDL_LOAD_FROM_MEM_WITH_MEM:
            return aclmdlLoadFromMemWithMem(handle->memory, handle->memory_size, modelId, work, handle->work_size, weight, handle->weight_size);
        default: return bad_value(std::to_string(handle->load_type), "ACL_MDL_LOAD_TYPE_SIZET", "not offered by the stand-in");
    }
}

aclError aclmdlUnload(uint32_t modelId) {
    const auto context = current_context();
    if (context == nullptr) return ACL_ERROR_RT_CONTEXT_NULL;
    const auto model = find_model(modelId);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    const std::lock_guard<std::mutex> lock(guard);
    models.erase(modelId);
    release(*model);
    return ACL_SUCCESS;
}

aclError aclmdlQuerySize(const char* fileName, size_t* workSize, size_t* weightSize) {
    if (fileName == nullptr) return null_argument("fileName");
    if (workSize == nullptr) return null_argument("workSize");
    if (weightSize == nullptr) return null_argument("weightSize");
    aclError error = ACL_SUCCESS;
    const auto om = read_om(fileName, &error);
    if (om == nullptr) return error;
    *workSize = om->work_size;
    *weightSize = om->weight_size;
    return ACL_SUCCESS;
}

aclError aclmdlQuerySizeFromMem(const void* model, size_t modelSize, size_t* workSize, size_t* weightSize) {
    if (model == nullptr) return null_argument("model");
    if (workSize == nullptr) return null_argument("workSize");
    if (weightSize == nullptr) return null_argument("weightSize");
    aclError error = ACL_SUCCESS;
    const auto om = parse_om(std::string(static_cast<const char*>(model), modelSize), &error);
    if (om == nullptr) return error;
    *workSize = om->work_size;
    *weightSize = om->weight_size;
    return ACL_SUCCESS;
}

}  // extern "C"
