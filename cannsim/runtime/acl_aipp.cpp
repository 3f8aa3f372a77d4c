// The AIPP calls: dynamic parameters, and questions about the static ones.
#include <cstring>

#include "error.hpp"
#include "memory.hpp"
#include "model.hpp"
#include "parameters.hpp"

struct aclmdlAIPP {
    cannsim::AippParameters parameters;
    bool has_format = false;
    bool has_size = false;
};

namespace cannsim {
namespace {

constexpr char kPacked[8] = {'A', 'I', 'P', 'P', 'D', 'Y', 'N', '1'};

struct Packed {  // trivially copyable, and no longer than AippSettings, whose size the input is made for
    char magic[8];
    uint32_t batch;
    int32_t format, src_w, src_h;
    int32_t csc, rbuv, ax;
    std::array<int32_t, 9> matrix;
    std::array<int32_t, 3> input_bias, output_bias;
};
static_assert(sizeof(Packed) <= sizeof(AippSettings), "the parameters' input is sized by AippSettings");

AippPicture* picture_at(aclmdlAIPP* set, uint64_t index) {
    if (set == nullptr) {
        null_argument("aippParmsSet");
        return nullptr;
    }
    if (index < set->parameters.pictures.size()) return &set->parameters.pictures[index];
    bad_value(std::to_string(index), "batchIndex", "the set was created for fewer pictures");
    return nullptr;
}

aclError bad_aipp(const char* name, const std::string& why) {
    return fail(ACL_ERROR_INVALID_PARAM, "EH0005", "Invalid_AIPP_Argument", std::string("AIPP argument [") + name + "] is invalid. Reason: " + why + ".");
}

aclError check_set(const aclmdlAIPP& set) {
    const AippSettings& settings = set.parameters.settings;
    if (!set.has_format) return bad_aipp("inputFormat", "it was not set");
    if (!set.has_size) return bad_aipp("srcImageSize", "it was not set");
    if (settings.format == ACL_YUV420SP_U8 && (settings.src_w % 2 != 0 || settings.src_h % 2 != 0)) {
        return bad_aipp("srcImageSize", "a YUV420SP picture has even sides");
    }
    for (const auto& picture : set.parameters.pictures) {
        if (!picture.crop) continue;
        if (picture.crop_x + picture.crop_w > settings.src_w || picture.crop_y + picture.crop_h > settings.src_h) {
            return bad_aipp("cropSize", "the crop reaches outside the picture");
        }
        if (settings.format == ACL_YUV420SP_U8 && (picture.crop_x % 2 != 0 || picture.crop_y % 2 != 0)) {
            return bad_aipp("cropStartPos", "a YUV420SP crop starts at even positions");
        }
    }
    return ACL_SUCCESS;
}

}  // namespace

void pack_parameters(const AippParameters& parameters, void* memory) {
    const AippSettings& from = parameters.settings;
    Packed packed{};
    std::memcpy(packed.magic, kPacked, sizeof kPacked);
    packed.batch = static_cast<uint32_t>(parameters.pictures.size());
    packed.format = from.format;
    packed.src_w = from.src_w;
    packed.src_h = from.src_h;
    packed.csc = from.csc ? 1 : 0;
    packed.rbuv = from.rbuv_swap ? 1 : 0;
    packed.ax = from.ax_swap ? 1 : 0;
    packed.matrix = from.matrix;
    packed.input_bias = from.input_bias;
    packed.output_bias = from.output_bias;
    std::memcpy(memory, &packed, sizeof packed);
    char* const pictures = static_cast<char*>(memory) + sizeof packed;
    std::memcpy(pictures, parameters.pictures.data(), parameters.pictures.size() * sizeof(AippPicture));
}

bool unpack_parameters(const void* memory, size_t batch, AippParameters* parameters) {
    Packed packed{};
    std::memcpy(&packed, memory, sizeof packed);
    if (std::memcmp(packed.magic, kPacked, sizeof kPacked) != 0 || packed.batch < batch) return false;
    AippSettings& to = parameters->settings;
    to = {};
    to.dynamic = true;
    to.format = static_cast<aclAippInputFormat>(packed.format);
    to.src_w = packed.src_w;
    to.src_h = packed.src_h;
    to.csc = packed.csc != 0;
    to.rbuv_swap = packed.rbuv != 0;
    to.ax_swap = packed.ax != 0;
    to.matrix = packed.matrix;
    to.input_bias = packed.input_bias;
    to.output_bias = packed.output_bias;
    parameters->pictures.resize(batch);
    std::memcpy(parameters->pictures.data(), static_cast<const char*>(memory) + sizeof packed, batch * sizeof(AippPicture));
    return true;
}

}  // namespace cannsim

using namespace cannsim;

extern "C" {

aclmdlAIPP* aclmdlCreateAIPP(uint64_t batchSize) {
    if (batchSize == 0 || batchSize > 65535) {
        bad_value(std::to_string(batchSize), "batchSize", "it must be greater than 0");
        return nullptr;
    }
    auto* const set = new aclmdlAIPP;
    set->parameters.settings.dynamic = true;
    set->parameters.pictures.resize(batchSize);
    return set;
}

aclError aclmdlDestroyAIPP(const aclmdlAIPP* aippParmsSet) {
    if (aippParmsSet == nullptr) return null_argument("aippParmsSet");
    delete aippParmsSet;
    return ACL_SUCCESS;
}

aclError aclmdlGetAippDataSize(uint64_t batchSize, size_t* size) {
    if (size == nullptr) return null_argument("size");
    if (batchSize == 0) return bad_value("0", "batchSize", "it must be greater than 0");
    *size = aipp_parameter_bytes(batchSize);
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPInputFormat(aclmdlAIPP* aippParmsSet, aclAippInputFormat inputFormat) {
    if (aippParmsSet == nullptr) return null_argument("aippParmsSet");
    if (inputFormat < ACL_YUV420SP_U8 || inputFormat > ACL_YUV400_U8) return bad_aipp("inputFormat", "not a format of this stand-in");
    aippParmsSet->parameters.settings.format = inputFormat;
    aippParmsSet->has_format = true;
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPCscParams(aclmdlAIPP* aippParmsSet, int8_t cscSwitch, int16_t cscMatrixR0C0, int16_t cscMatrixR0C1,
                                int16_t cscMatrixR0C2, int16_t cscMatrixR1C0, int16_t cscMatrixR1C1, int16_t cscMatrixR1C2,
                                int16_t cscMatrixR2C0, int16_t cscMatrixR2C1, int16_t cscMatrixR2C2, uint8_t cscOutputBiasR0,
                                uint8_t cscOutputBiasR1, uint8_t cscOutputBiasR2, uint8_t cscInputBiasR0,
                                uint8_t cscInputBiasR1, uint8_t cscInputBiasR2) {
    if (aippParmsSet == nullptr) return null_argument("aippParmsSet");
    AippSettings& settings = aippParmsSet->parameters.settings;
    settings.csc = cscSwitch != 0;
    settings.matrix = {cscMatrixR0C0, cscMatrixR0C1, cscMatrixR0C2, cscMatrixR1C0, cscMatrixR1C1,
                       cscMatrixR1C2, cscMatrixR2C0, cscMatrixR2C1, cscMatrixR2C2};
    settings.output_bias = {cscOutputBiasR0, cscOutputBiasR1, cscOutputBiasR2};
    settings.input_bias = {cscInputBiasR0, cscInputBiasR1, cscInputBiasR2};
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPRbuvSwapSwitch(aclmdlAIPP* aippParmsSet, int8_t rbuvSwapSwitch) {
    if (aippParmsSet == nullptr) return null_argument("aippParmsSet");
    aippParmsSet->parameters.settings.rbuv_swap = rbuvSwapSwitch != 0;
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPAxSwapSwitch(aclmdlAIPP* aippParmsSet, int8_t axSwapSwitch) {
    if (aippParmsSet == nullptr) return null_argument("aippParmsSet");
    aippParmsSet->parameters.settings.ax_swap = axSwapSwitch != 0;
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPSrcImageSize(aclmdlAIPP* aippParmsSet, int32_t srcImageSizeW, int32_t srcImageSizeH) {
    if (aippParmsSet == nullptr) return null_argument("aippParmsSet");
    if (srcImageSizeW < 2 || srcImageSizeW > 4096 || srcImageSizeH < 1 || srcImageSizeH > 4096) {
        return bad_aipp("srcImageSize", "the width is 2 to 4096, the height 1 to 4096");
    }
    aippParmsSet->parameters.settings.src_w = srcImageSizeW;
    aippParmsSet->parameters.settings.src_h = srcImageSizeH;
    aippParmsSet->has_size = true;
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPScfParams(aclmdlAIPP* aippParmsSet, int8_t scfSwitch, int32_t, int32_t, int32_t, int32_t, uint64_t batchIndex) {
    if (picture_at(aippParmsSet, batchIndex) == nullptr) return ACL_ERROR_INVALID_PARAM;
    if (scfSwitch == 0) return ACL_SUCCESS;
    return fail(ACL_ERROR_API_NOT_SUPPORT, "EH0006", "Unsupported_Feature", "AIPP scaling is not supported. Reason: this chip does not offer it.");
}

aclError aclmdlSetAIPPCropParams(aclmdlAIPP* aippParmsSet, int8_t cropSwitch, int32_t cropStartPosW, int32_t cropStartPosH,
                                 int32_t cropSizeW, int32_t cropSizeH, uint64_t batchIndex) {
    AippPicture* const picture = picture_at(aippParmsSet, batchIndex);
    if (picture == nullptr) return ACL_ERROR_INVALID_PARAM;
    if (cropSwitch != 0 && (cropStartPosW < 0 || cropStartPosH < 0 || cropSizeW < 1 || cropSizeW > 4096 || cropSizeH < 1 || cropSizeH > 4096)) {
        return bad_aipp("cropSize", "positions start at 0, sizes are 1 to 4096");
    }
    picture->crop = cropSwitch != 0;
    picture->crop_x = cropStartPosW;
    picture->crop_y = cropStartPosH;
    picture->crop_w = cropSizeW;
    picture->crop_h = cropSizeH;
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPPaddingParams(aclmdlAIPP* aippParmsSet, int8_t paddingSwitch, int32_t paddingSizeTop,
                                    int32_t paddingSizeBottom, int32_t paddingSizeLeft, int32_t paddingSizeRight, uint64_t batchIndex) {
    AippPicture* const picture = picture_at(aippParmsSet, batchIndex);
    if (picture == nullptr) return ACL_ERROR_INVALID_PARAM;
    for (const int32_t size : {paddingSizeTop, paddingSizeBottom, paddingSizeLeft, paddingSizeRight}) {
        if (paddingSwitch != 0 && (size < 0 || size > 32)) return bad_aipp("paddingSize", "it must be in the range of [0, 32]");
    }
    picture->padding = paddingSwitch != 0;
    picture->top = paddingSizeTop;
    picture->bottom = paddingSizeBottom;
    picture->left = paddingSizeLeft;
    picture->right = paddingSizeRight;
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPDtcPixelMean(aclmdlAIPP* aippParmsSet, int16_t chn0, int16_t chn1, int16_t chn2, int16_t chn3, uint64_t batchIndex) {
    AippPicture* const picture = picture_at(aippParmsSet, batchIndex);
    if (picture == nullptr) return ACL_ERROR_INVALID_PARAM;
    picture->mean = {chn0, chn1, chn2, chn3};
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPDtcPixelMin(aclmdlAIPP* aippParmsSet, float chn0, float chn1, float chn2, float chn3, uint64_t batchIndex) {
    AippPicture* const picture = picture_at(aippParmsSet, batchIndex);
    if (picture == nullptr) return ACL_ERROR_INVALID_PARAM;
    picture->min = {chn0, chn1, chn2, chn3};
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPPixelVarReci(aclmdlAIPP* aippParmsSet, float chn0, float chn1, float chn2, float chn3, uint64_t batchIndex) {
    AippPicture* const picture = picture_at(aippParmsSet, batchIndex);
    if (picture == nullptr) return ACL_ERROR_INVALID_PARAM;
    picture->var_reci = {chn0, chn1, chn2, chn3};
    return ACL_SUCCESS;
}

aclError aclmdlSetInputAIPP(uint32_t modelId, aclmdlDataset* dataset, size_t index, const aclmdlAIPP* aippParmsSet) {
    if (dataset == nullptr) return null_argument("dataset");
    if (aippParmsSet == nullptr) return null_argument("aippParmsSet");
    const auto model = find_model(modelId);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    if (model->om->dynamic_aipp_at(index) == nullptr) {
        return model_fault(ACL_ERROR_GE_AIPP_MODE_INVALID, "Input " + std::to_string(index) + " is not " ACL_DYNAMIC_AIPP_NAME ".");
    }
    if (index >= dataset->entries.size()) return bad_value(std::to_string(index), "index", "the dataset has no such buffer");
    if (const aclError error = check_set(*aippParmsSet); error != ACL_SUCCESS) return error;
    const aclDataBuffer& buffer = *dataset->entries[index].buffer;
    const size_t needed = aipp_parameter_bytes(aippParmsSet->parameters.pictures.size());
    void* const memory = buffer.size < needed ? nullptr : reach(buffer.data, needed);
    if (memory == nullptr) return model_fault(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID, "The buffer of " ACL_DYNAMIC_AIPP_NAME " is too small.");
    pack_parameters(aippParmsSet->parameters, memory);
    return ACL_SUCCESS;
}

aclError aclmdlSetAIPPByInputIndex(uint32_t modelId, aclmdlDataset* dataset, size_t index, const aclmdlAIPP* aippParmsSet) {
    const auto model = find_model(modelId);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    const AippSettings* const settings = model->om->aipp_of(index);
    if (settings == nullptr || !settings->dynamic) {
        return model_fault(ACL_ERROR_GE_AIPP_MODE_INVALID, "Input " + std::to_string(index) + " has no dynamic AIPP.");
    }
    return aclmdlSetInputAIPP(modelId, dataset, dynamic_aipp_input(*model->om, index), aippParmsSet);
}

aclError aclmdlGetAippType(uint32_t modelId, size_t index, aclmdlInputAippType* type, size_t* dynamicAttachedDataIndex) {
    if (type == nullptr) return null_argument("type");
    if (dynamicAttachedDataIndex == nullptr) return null_argument("dynamicAttachedDataIndex");
    const auto model = find_model(modelId);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    const OmFile& om = *model->om;
    if (index >= om.input_count()) return bad_value(std::to_string(index), "index", "the model has fewer inputs");
    *dynamicAttachedDataIndex = ACL_INVALID_NODE_INDEX;
    *type = ACL_DATA_WITHOUT_AIPP;
    if (om.dynamic_aipp_at(index) != nullptr) {
        *type = ACL_DYNAMIC_AIPP_NODE;
    } else if (const AippSettings* const settings = index < om.inputs.size() ? om.aipp_of(index) : nullptr; settings != nullptr) {
        *type = settings->dynamic ? ACL_DATA_WITH_DYNAMIC_AIPP : ACL_DATA_WITH_STATIC_AIPP;
        if (settings->dynamic) *dynamicAttachedDataIndex = dynamic_aipp_input(om, index);
    }
    return ACL_SUCCESS;
}

aclError aclmdlGetFirstAippInfo(uint32_t modelId, size_t index, aclAippInfo* aippInfo) {
    if (aippInfo == nullptr) return null_argument("aippInfo");
    const auto model = find_model(modelId);
    if (model == nullptr) return static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    const OmFile& om = *model->om;
    const AippSettings* const settings = index < om.inputs.size() ? om.aipp_of(index) : nullptr;
    if (settings == nullptr || settings->dynamic) {
        return fail(ACL_ERROR_NOT_STATIC_AIPP, "EH0001", "Invalid_Argument", "Input " + std::to_string(index) + " has no static AIPP.");
    }
    const AippPicture& picture = settings->picture;
    const Dims& network = om.inputs[index].dims;
    std::memset(aippInfo, 0, sizeof *aippInfo);
    aippInfo->inputFormat = settings->format;
    aippInfo->srcImageSizeW = static_cast<int32_t>(source_width(*settings, network));
    aippInfo->srcImageSizeH = static_cast<int32_t>(source_height(*settings, network));
    aippInfo->cropSwitch = picture.crop ? 1 : 0;
    aippInfo->loadStartPosW = picture.crop_x;
    aippInfo->loadStartPosH = picture.crop_y;
    aippInfo->cropSizeW = picture.crop_w;
    aippInfo->cropSizeH = picture.crop_h;
    aippInfo->paddingSwitch = picture.padding ? 1 : 0;
    aippInfo->leftPaddingSize = picture.left;
    aippInfo->rightPaddingSize = picture.right;
    aippInfo->topPaddingSize = picture.top;
    aippInfo->bottomPaddingSize = picture.bottom;
    aippInfo->cscSwitch = settings->csc ? 1 : 0;
    aippInfo->rbuvSwapSwitch = settings->rbuv_swap ? 1 : 0;
    aippInfo->axSwapSwitch = settings->ax_swap ? 1 : 0;
    std::memcpy(&aippInfo->matrixR0C0, settings->matrix.data(), sizeof settings->matrix);
    std::memcpy(&aippInfo->outputBias0, settings->output_bias.data(), sizeof settings->output_bias);
    std::memcpy(&aippInfo->inputBias0, settings->input_bias.data(), sizeof settings->input_bias);
    std::memcpy(&aippInfo->meanChn0, picture.mean.data(), sizeof picture.mean);
    std::memcpy(&aippInfo->minChn0, picture.min.data(), sizeof picture.min);
    std::memcpy(&aippInfo->varReciChn0, picture.var_reci.data(), sizeof picture.var_reci);
    aippInfo->srcFormat = om.inputs[index].format;
    aippInfo->srcDatatype = om.inputs[index].type;
    aippInfo->srcDimNum = network.size();
    aippInfo->shapeCount = 1;
    aclAippDims& shape = aippInfo->outDims[0];
    shape.srcDims.dimCount = shape.aippOutdims.dimCount = network.size();
    std::memcpy(shape.srcDims.dims, network.data(), network.size() * sizeof(int64_t));
    std::memcpy(shape.aippOutdims.dims, network.data(), network.size() * sizeof(int64_t));
    shape.srcSize = om.input_bytes(index);
    shape.aippOutSize = element_count(network) * 2;
    return ACL_SUCCESS;
}

}  // extern "C"
