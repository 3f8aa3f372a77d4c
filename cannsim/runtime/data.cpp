// Data buffers, tensor descriptors, datasets: plain objects the program owns.
#include "error.hpp"
#include "half.hpp"
#include "model.hpp"

using namespace cannsim;

extern "C" {

float aclFloat16ToFloat(aclFloat16 value) { return from_half(value); }
aclFloat16 aclFloatToFloat16(float value) { return to_half(value); }
size_t aclDataTypeSize(aclDataType dataType) { return element_size(dataType); }

// (nullptr, 0) is allowed: an output the runtime shall allocate.
aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) { return new aclDataBuffer{data, size}; }

aclError aclDestroyDataBuffer(const aclDataBuffer* dataBuffer) {
    if (dataBuffer == nullptr) return null_argument("dataBuffer");
    delete dataBuffer;
    return ACL_SUCCESS;
}

aclError aclUpdateDataBuffer(aclDataBuffer* dataBuffer, void* data, size_t size) {
    if (dataBuffer == nullptr) return null_argument("dataBuffer");
    *dataBuffer = {data, size};
    return ACL_SUCCESS;
}

void* aclGetDataBufferAddr(const aclDataBuffer* dataBuffer) {
    if (dataBuffer != nullptr) return dataBuffer->data;
    null_argument("dataBuffer");
    return nullptr;
}

size_t aclGetDataBufferSizeV2(const aclDataBuffer* dataBuffer) {
    if (dataBuffer != nullptr) return dataBuffer->size;
    null_argument("dataBuffer");
    return 0;
}

uint32_t aclGetDataBufferSize(const aclDataBuffer* dataBuffer) {
    return static_cast<uint32_t>(aclGetDataBufferSizeV2(dataBuffer));
}

aclTensorDesc* aclCreateTensorDesc(aclDataType dataType, int numDims, const int64_t* dims, aclFormat format) {
    if (numDims < 0 || numDims > ACL_MAX_DIM_CNT || (numDims > 0 && dims == nullptr)) {
        bad_value(std::to_string(numDims), "numDims", "it does not fit the dimensions given");
        return nullptr;
    }
    return new aclTensorDesc{dataType, format, numDims == 0 ? Dims() : Dims(dims, dims + numDims), "", {}};
}

void aclDestroyTensorDesc(const aclTensorDesc* desc) { delete desc; }

aclError aclSetTensorShapeRange(aclTensorDesc* desc, size_t dimsCount, int64_t dimsRange[][ACL_TENSOR_SHAPE_RANGE_NUM]) {
    if (desc == nullptr) return null_argument("desc");
    if (dimsCount > 0 && dimsRange == nullptr) return null_argument("dimsRange");
    desc->range.clear();
    for (size_t index = 0; index < dimsCount; ++index) desc->range.emplace_back(dimsRange[index][0], dimsRange[index][1]);
    return ACL_SUCCESS;
}

aclDataType aclGetTensorDescType(const aclTensorDesc* desc) { return desc == nullptr ? ACL_DT_UNDEFINED : desc->type; }
aclFormat aclGetTensorDescFormat(const aclTensorDesc* desc) { return desc == nullptr ? ACL_FORMAT_UNDEFINED : desc->format; }

size_t aclGetTensorDescElementCount(const aclTensorDesc* desc) { return desc == nullptr ? 0 : element_count(desc->dims); }

size_t aclGetTensorDescSize(const aclTensorDesc* desc) {
    return desc == nullptr ? 0 : element_count(desc->dims) * element_size(desc->type);
}

size_t aclGetTensorDescNumDims(const aclTensorDesc* desc) { return desc == nullptr ? 0 : desc->dims.size(); }

aclError aclGetTensorDescDimV2(const aclTensorDesc* desc, size_t index, int64_t* dimSize) {
    if (desc == nullptr) return null_argument("desc");
    if (dimSize == nullptr) return null_argument("dimSize");
    if (index >= desc->dims.size()) return bad_value(std::to_string(index), "index", "the tensor has fewer dimensions");
    *dimSize = desc->dims[index];
    return ACL_SUCCESS;
}

int64_t aclGetTensorDescDim(const aclTensorDesc* desc, size_t index) {
    int64_t size = -1;
    aclGetTensorDescDimV2(desc, index, &size);
    return size;
}

aclError aclGetTensorDescDimRange(const aclTensorDesc* desc, size_t index, size_t dimRangeNum, int64_t* dimRange) {
    if (desc == nullptr) return null_argument("desc");
    if (dimRange == nullptr) return null_argument("dimRange");
    if (index >= desc->range.size() || dimRangeNum < 2) return bad_value(std::to_string(index), "index", "no range was set for it");
    dimRange[0] = desc->range[index].first;
    dimRange[1] = desc->range[index].second;
    return ACL_SUCCESS;
}

void aclSetTensorDescName(aclTensorDesc* desc, const char* name) {
    if (desc != nullptr) desc->name = name == nullptr ? "" : name;
}

const char* aclGetTensorDescName(aclTensorDesc* desc) { return desc == nullptr ? "" : desc->name.c_str(); }

aclError aclSetTensorFormat(aclTensorDesc* desc, aclFormat format) {
    if (desc == nullptr) return null_argument("desc");
    desc->format = format;
    return ACL_SUCCESS;
}

aclError aclSetTensorShape(aclTensorDesc* desc, int numDims, const int64_t* dims) {
    if (desc == nullptr) return null_argument("desc");
    if (numDims < 0 || (numDims > 0 && dims == nullptr)) return bad_value(std::to_string(numDims), "numDims", "no dimensions given");
    desc->dims = numDims == 0 ? Dims() : Dims(dims, dims + numDims);
    return ACL_SUCCESS;
}

// The layout a tensor had before it was put into the present one: nothing here depends on it.
aclError aclSetTensorOriginFormat(aclTensorDesc* desc, aclFormat) { return desc == nullptr ? null_argument("desc") : ACL_SUCCESS; }
aclError aclSetTensorOriginShape(aclTensorDesc* desc, int, const int64_t*) { return desc == nullptr ? null_argument("desc") : ACL_SUCCESS; }
aclError aclSetTensorPlaceMent(aclTensorDesc* desc, aclMemType) { return desc == nullptr ? null_argument("desc") : ACL_SUCCESS; }

aclmdlDataset* aclmdlCreateDataset(void) { return new aclmdlDataset; }

// The buffers in it stay the program's, as on a device.
aclError aclmdlDestroyDataset(const aclmdlDataset* dataset) {
    if (dataset == nullptr) return null_argument("dataset");
    for (const auto& entry : dataset->entries) delete entry.desc;
    delete dataset;
    return ACL_SUCCESS;
}

aclError aclmdlAddDatasetBuffer(aclmdlDataset* dataset, aclDataBuffer* dataBuffer) {
    if (dataset == nullptr) return null_argument("dataset");
    if (dataBuffer == nullptr) return null_argument("dataBuffer");
    dataset->entries.push_back({dataBuffer, nullptr});
    return ACL_SUCCESS;
}

size_t aclmdlGetDatasetNumBuffers(const aclmdlDataset* dataset) {
    if (dataset != nullptr) return dataset->entries.size();
    null_argument("dataset");
    return 0;
}

aclDataBuffer* aclmdlGetDatasetBuffer(const aclmdlDataset* dataset, size_t index) {
    if (dataset != nullptr && index < dataset->entries.size()) return dataset->entries[index].buffer;
    bad_value(std::to_string(index), "index", "the dataset has no such buffer");
    return nullptr;
}

aclError aclmdlSetDatasetTensorDesc(aclmdlDataset* dataset, aclTensorDesc* tensorDesc, size_t index) {
    if (dataset == nullptr) return null_argument("dataset");
    if (index >= dataset->entries.size()) return bad_value(std::to_string(index), "index", "the dataset has no such buffer");
    delete dataset->entries[index].desc;
    dataset->entries[index].desc = tensorDesc == nullptr ? nullptr : new aclTensorDesc(*tensorDesc);
    return ACL_SUCCESS;
}

aclTensorDesc* aclmdlGetDatasetTensorDesc(const aclmdlDataset* dataset, size_t index) {
    if (dataset != nullptr && index < dataset->entries.size()) return dataset->entries[index].desc;
    bad_value(std::to_string(index), "index", "the dataset has no such buffer");
    return nullptr;
}

}  // extern "C"
