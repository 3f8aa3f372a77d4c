// What a model says about itself: names, shapes, sizes, types.
#include <algorithm>
#include <cstring>

#include "error.hpp"
#include "model.hpp"

namespace cannsim {
namespace {

// Names of 128 characters and more are replaced; aclmdlGetTensorRealName gives the real one back.
std::string shown(const std::string& name, uint32_t model_id, const char* kind, size_t index) {
    if (name.size() < ACL_MAX_TENSOR_NAME_LEN) return name;
    return "acl_modelId_" + std::to_string(model_id) + "_" + kind + "_" + std::to_string(index) + "_0";
}

void fill(aclmdlDesc& desc, std::shared_ptr<const OmFile> om, uint32_t model_id) {
    desc.om = std::move(om);
    desc.model_id = model_id;
    desc.input_names.clear();
    desc.output_names.clear();
    for (size_t index = 0; index < desc.om->input_count(); ++index) {
        desc.input_names.push_back(shown(input_name(*desc.om, index), model_id, "input", index));
    }
    for (size_t index = 0; index < desc.om->outputs.size(); ++index) {
        desc.output_names.push_back(shown(desc.om->outputs[index].name, model_id, "output", index));
    }
}

aclError check(const aclmdlDesc* desc, size_t index, size_t count) {
    if (desc == nullptr) return null_argument("modelDesc");
    if (desc->om == nullptr) return bad_value("empty", "modelDesc", "aclmdlGetDesc has not filled it");
    if (index >= count) return bad_value(std::to_string(index), "index", "the model has " + std::to_string(count));
    return ACL_SUCCESS;
}

size_t inputs_of(const aclmdlDesc* desc) { return desc == nullptr || desc->om == nullptr ? 0 : desc->om->input_count(); }
size_t outputs_of(const aclmdlDesc* desc) { return desc == nullptr || desc->om == nullptr ? 0 : desc->om->outputs.size(); }

void put(const std::string& name, const Dims& from, aclmdlIODims* to) {
    std::memset(to, 0, sizeof *to);
    std::strncpy(to->name, name.c_str(), sizeof to->name - 1);
    to->dimCount = std::min<size_t>(from.size(), ACL_MAX_DIM_CNT);
    std::copy_n(from.begin(), to->dimCount, to->dims);
}

// The shape of input `index` as the program has to fill it. Static AIPP turns it into a picture, NHWC; `v2` says how
// YUV420SP is told: as bytes (h * 1.5, one channel) or as the picture's own size.
Dims input_dims(const OmFile& om, size_t index, bool v2) {
    if (om.is_gear_input(index)) return {static_cast<int64_t>(om.gears.front().key.size())};
    if (om.dynamic_aipp_at(index) != nullptr) return {static_cast<int64_t>(om.input_bytes(index))};
    const Dims& network = om.inputs[index].dims;
    const AippSettings* const settings = om.aipp_of(index);
    if (settings == nullptr || settings->dynamic) return network;
    const int64_t width = source_width(*settings, network);
    const int64_t height = source_height(*settings, network);
    switch (settings->format) {
        case ACL_RGB888_U8: return {network[0], height, width, 3};
        case ACL_XRGB8888_U8: return {network[0], height, width, 4};
        case ACL_YUV420SP_U8:
            if (v2) return {network[0], height < 0 ? height : height * 3 / 2, width, 1};
            return {network[0], height, width, 3};
        default: return {network[0], height, width, 1};
    }
}

}  // namespace

std::string input_name(const OmFile& om, size_t index) {
    if (om.is_gear_input(index)) return ACL_DYNAMIC_TENSOR_NAME;
    if (om.dynamic_aipp_at(index) != nullptr) {
        const size_t first = om.inputs.size() + (om.gear_kind == GearKind::none ? 0 : 1);
        return std::string(ACL_DYNAMIC_AIPP_NAME) + (index == first ? "" : "_" + std::to_string(index - first));
    }
    return om.inputs[index].name;
}

size_t dynamic_aipp_input(const OmFile& om, size_t for_input) {
    for (size_t index = om.inputs.size(); index < om.input_count(); ++index) {
        const AippSettings* const settings = om.dynamic_aipp_at(index);
        if (settings != nullptr && settings->input_rank == for_input) return index;
    }
    return om.input_count();
}

}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclmdlDesc* aclmdlCreateDesc(void) { return new aclmdlDesc; }

aclError aclmdlDestroyDesc(aclmdlDesc* modelDesc) {
    if (modelDesc == nullptr) return null_argument("modelDesc");
    delete modelDesc;
    return ACL_SUCCESS;
}

aclError aclmdlGetDesc(aclmdlDesc* modelDesc, uint32_t modelId) {
    if (modelDesc == nullptr) return null_argument("modelDesc");
    const auto model = find_model(modelId);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    fill(*modelDesc, model->om, modelId);
    return ACL_SUCCESS;
}

aclError aclmdlGetDescFromFile(aclmdlDesc* modelDesc, const char* modelPath) {
    if (modelDesc == nullptr) return null_argument("modelDesc");
    if (modelPath == nullptr) return null_argument("modelPath");
    aclError error = ACL_SUCCESS;
    auto om = read_om(modelPath, &error);
    if (om == nullptr) return error;
    fill(*modelDesc, std::move(om), 0);
    return ACL_SUCCESS;
}

aclError aclmdlGetDescFromMem(aclmdlDesc* modelDesc, const void* model, size_t modelSize) {
    if (modelDesc == nullptr) return null_argument("modelDesc");
    if (model == nullptr) return null_argument("model");
    aclError error = ACL_SUCCESS;
    auto om = parse_om(std::string(static_cast<const char*>(model), modelSize), &error);
    if (om == nullptr) return error;
    fill(*modelDesc, std::move(om), 0);
    return ACL_SUCCESS;
}

size_t aclmdlGetNumInputs(aclmdlDesc* modelDesc) { return inputs_of(modelDesc); }
size_t aclmdlGetNumOutputs(aclmdlDesc* modelDesc) { return outputs_of(modelDesc); }

size_t aclmdlGetInputSizeByIndex(aclmdlDesc* modelDesc, size_t index) {
    return check(modelDesc, index, inputs_of(modelDesc)) == ACL_SUCCESS ? modelDesc->om->input_bytes(index) : 0;
}

size_t aclmdlGetOutputSizeByIndex(aclmdlDesc* modelDesc, size_t index) {
    return check(modelDesc, index, outputs_of(modelDesc)) == ACL_SUCCESS ? modelDesc->om->output_bytes(index) : 0;
}

aclError aclmdlGetInputDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
    if (const aclError error = check(modelDesc, index, inputs_of(modelDesc)); error != ACL_SUCCESS) return error;
    if (dims == nullptr) return null_argument("dims");
    put(modelDesc->input_names[index], input_dims(*modelDesc->om, index, false), dims);
    return ACL_SUCCESS;
}

aclError aclmdlGetInputDimsV2(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
    if (const aclError error = check(modelDesc, index, inputs_of(modelDesc)); error != ACL_SUCCESS) return error;
    if (dims == nullptr) return null_argument("dims");
    put(modelDesc->input_names[index], input_dims(*modelDesc->om, index, true), dims);
    return ACL_SUCCESS;
}

aclError aclmdlGetOutputDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
    if (const aclError error = check(modelDesc, index, outputs_of(modelDesc)); error != ACL_SUCCESS) return error;
    if (dims == nullptr) return null_argument("dims");
    put(modelDesc->output_names[index], modelDesc->om->outputs[index].dims, dims);
    return ACL_SUCCESS;
}

aclError aclmdlGetCurOutputDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
    if (const aclError error = aclmdlGetOutputDims(modelDesc, index, dims); error != ACL_SUCCESS) return error;
    if (modelDesc->om->gears.empty() || modelDesc->model_id == 0) return ACL_SUCCESS;
    const auto model = find_model(modelDesc->model_id);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    const std::lock_guard<std::mutex> lock(model->guard);
    put(modelDesc->output_names[index], model->om->gears[model->gear].outputs[index], dims);
    return ACL_SUCCESS;
}

const char* aclmdlGetInputNameByIndex(const aclmdlDesc* modelDesc, size_t index) {
    return check(modelDesc, index, inputs_of(modelDesc)) == ACL_SUCCESS ? modelDesc->input_names[index].c_str() : "";
}

const char* aclmdlGetOutputNameByIndex(const aclmdlDesc* modelDesc, size_t index) {
    return check(modelDesc, index, outputs_of(modelDesc)) == ACL_SUCCESS ? modelDesc->output_names[index].c_str() : "";
}

static aclError find_name(const std::vector<std::string>& names, const char* name, size_t* index) {
    if (name == nullptr) return null_argument("name");
    if (index == nullptr) return null_argument("index");
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return bad_value(name, "name", "the model has no tensor of that name");
    *index = static_cast<size_t>(found - names.begin());
    return ACL_SUCCESS;
}

aclError aclmdlGetInputIndexByName(const aclmdlDesc* modelDesc, const char* name, size_t* index) {
    if (const aclError error = check(modelDesc, 0, inputs_of(modelDesc)); error != ACL_SUCCESS) return error;
    return find_name(modelDesc->input_names, name, index);
}

aclError aclmdlGetOutputIndexByName(const aclmdlDesc* modelDesc, const char* name, size_t* index) {
    if (const aclError error = check(modelDesc, 0, outputs_of(modelDesc)); error != ACL_SUCCESS) return error;
    return find_name(modelDesc->output_names, name, index);
}

const char* aclmdlGetTensorRealName(const aclmdlDesc* modelDesc, const char* name) {
    if (name == nullptr || check(modelDesc, 0, inputs_of(modelDesc)) != ACL_SUCCESS) return nullptr;
    size_t index = 0;
    if (std::count(modelDesc->output_names.begin(), modelDesc->output_names.end(), name) > 0) {
        find_name(modelDesc->output_names, name, &index);
        return modelDesc->om->outputs[index].name.c_str();
    }
    if (find_name(modelDesc->input_names, name, &index) != ACL_SUCCESS) return nullptr;
    return index < modelDesc->om->inputs.size() ? modelDesc->om->inputs[index].name.c_str() : modelDesc->input_names[index].c_str();
}

aclFormat aclmdlGetInputFormat(const aclmdlDesc* modelDesc, size_t index) {
    if (check(modelDesc, index, inputs_of(modelDesc)) != ACL_SUCCESS) return ACL_FORMAT_UNDEFINED;
    const OmFile& om = *modelDesc->om;
    if (index >= om.inputs.size()) return ACL_FORMAT_ND;
    return om.aipp_of(index) != nullptr ? ACL_FORMAT_NHWC : om.inputs[index].format;
}

aclFormat aclmdlGetOutputFormat(const aclmdlDesc* modelDesc, size_t index) {
    return check(modelDesc, index, outputs_of(modelDesc)) == ACL_SUCCESS ? modelDesc->om->outputs[index].format : ACL_FORMAT_UNDEFINED;
}

aclDataType aclmdlGetInputDataType(const aclmdlDesc* modelDesc, size_t index) {
    if (check(modelDesc, index, inputs_of(modelDesc)) != ACL_SUCCESS) return ACL_DT_UNDEFINED;
    const OmFile& om = *modelDesc->om;
    if (om.is_gear_input(index)) return ACL_INT64;
    if (index >= om.inputs.size() || om.aipp_of(index) != nullptr) return ACL_UINT8;
    return om.inputs[index].type;
}

aclDataType aclmdlGetOutputDataType(const aclmdlDesc* modelDesc, size_t index) {
    return check(modelDesc, index, outputs_of(modelDesc)) == ACL_SUCCESS ? modelDesc->om->outputs[index].type : ACL_DT_UNDEFINED;
}

}  // extern "C"
