/* AIPP. Arguments: static.om (RGB888, 8x8), yuv.om (YUV420SP), dynamic.om, and a raw RGB file for the dynamic one. */
#include "check.h"

static void static_aipp(const char* path) {
    uint32_t id = 0;
    size_t attached = 0;
    aclmdlInputAippType type;
    static aclAippInfo info;
    aclmdlIODims dims;
    aclmdlDesc* desc = aclmdlCreateDesc();
    OK(aclmdlLoadFromFile(path, &id));
    OK(aclmdlGetDesc(desc, id));
    EXPECT(aclmdlGetInputDataType(desc, 0) == ACL_UINT8 && aclmdlGetInputFormat(desc, 0) == ACL_FORMAT_NHWC);
    EXPECT(aclmdlGetInputSizeByIndex(desc, 0) == 8 * 8 * 3);
    OK(aclmdlGetInputDimsV2(desc, 0, &dims));
    EXPECT(dims.dims[1] == 8 && dims.dims[3] == 3);
    OK(aclmdlGetAippType(id, 0, &type, &attached));
    EXPECT(type == ACL_DATA_WITH_STATIC_AIPP);
    OK(aclmdlGetFirstAippInfo(id, 0, &info));
    EXPECT(info.inputFormat == ACL_RGB888_U8 && info.rbuvSwapSwitch == 1);
    OK(aclmdlUnload(id));
    OK(aclmdlDestroyDesc(desc));
}

static void yuv_aipp(const char* path) {
    uint32_t id = 0;
    aclmdlIODims dims, v2;
    aclmdlDesc* desc = aclmdlCreateDesc();
    OK(aclmdlLoadFromFile(path, &id));
    OK(aclmdlGetDesc(desc, id));
    OK(aclmdlGetInputDims(desc, 0, &dims));
    OK(aclmdlGetInputDimsV2(desc, 0, &v2));
    EXPECT(dims.dims[1] == 8 && v2.dims[1] == 12 && v2.dims[3] == 1); /* h * 1.5 */
    EXPECT((int64_t)aclmdlGetInputSizeByIndex(desc, 0) == v2.dims[0] * v2.dims[1] * v2.dims[2] * v2.dims[3]);
    OK(aclmdlUnload(id));
    OK(aclmdlDestroyDesc(desc));
}

static void dynamic_aipp(const char* path, const char* picture) {
    uint32_t id = 0;
    size_t attached = 0, index = 0, size, at;
    unsigned char raw[20 * 10 * 3];
    float* y;
    aclmdlInputAippType type;
    aclmdlDesc* desc = aclmdlCreateDesc();
    aclmdlDataset *input, *output;
    aclmdlAIPP* set;
    FILE* file = fopen(picture, "rb");
    EXPECT(file != NULL && fread(raw, 1, sizeof raw, file) == sizeof raw);
    fclose(file);
    OK(aclmdlLoadFromFile(path, &id));
    OK(aclmdlGetDesc(desc, id));
    EXPECT(aclmdlGetNumInputs(desc) == 2);
    OK(aclmdlGetInputIndexByName(desc, ACL_DYNAMIC_AIPP_NAME, &index));
    OK(aclmdlGetAippType(id, 0, &type, &attached));
    EXPECT(type == ACL_DATA_WITH_DYNAMIC_AIPP && attached == index);
    input = make_dataset(desc, 1);
    output = make_dataset(desc, 0);
    put(address_of(input, 0), aclmdlGetInputSizeByIndex(desc, 0), raw, sizeof raw);
    EXPECT(aclmdlExecute(id, input, output) != ACL_SUCCESS); /* no parameters yet */
    set = aclmdlCreateAIPP(1);
    EXPECT(aclmdlSetInputAIPP(id, input, index, set) != ACL_SUCCESS); /* format and size are missing */
    OK(aclmdlSetAIPPInputFormat(set, ACL_RGB888_U8));
    OK(aclmdlSetAIPPSrcImageSize(set, 20, 10));
    OK(aclmdlSetAIPPRbuvSwapSwitch(set, 1));
    EXPECT(aclmdlSetAIPPCropParams(set, 1, 2, 1, 6, 5, 1) != ACL_SUCCESS); /* batch index */
    OK(aclmdlSetAIPPCropParams(set, 1, 2, 1, 6, 5, 0));
    EXPECT(aclmdlSetAIPPPaddingParams(set, 1, 33, 0, 0, 0, 0) != ACL_SUCCESS);
    OK(aclmdlSetAIPPPaddingParams(set, 1, 1, 2, 1, 1, 0));
    OK(aclmdlSetAIPPDtcPixelMean(set, 10, 20, 30, 0, 0));
    OK(aclmdlSetAIPPPixelVarReci(set, 0.5F, 0.25F, 0.125F, 1.0F, 0));
    EXPECT(aclmdlSetInputAIPP(id, input, 0, set) != ACL_SUCCESS);
    OK(aclmdlSetInputAIPP(id, input, index, set));
    OK(aclmdlExecute(id, input, output));
    size = aclmdlGetOutputSizeByIndex(desc, 0);
    y = (float*)malloc(size);
    get(y, size, address_of(output, 0), size);
    for (at = 0; at < size / sizeof(float); ++at) printf("%.9g\n", (double)y[at]);
    free(y);
    OK(aclmdlDestroyAIPP(set));
    drop_dataset(input);
    drop_dataset(output);
    OK(aclmdlUnload(id));
    OK(aclmdlDestroyDesc(desc));
}

int main(int argc, char** argv) {
    EXPECT(argc == 5);
    OK(aclInit(NULL));
    OK(aclrtSetDevice(0));
    static_aipp(argv[1]);
    yuv_aipp(argv[2]);
    dynamic_aipp(argv[3], argv[4]);
    OK(aclrtResetDevice(0));
    OK(aclFinalize());
    puts("ok");
    return 0;
}
