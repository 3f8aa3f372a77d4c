/* One model, whole: argument 1 the .om (input "x" 1,3,8,8 float, one output "y"), 2 a truncated copy, 3 another chip's. */
#include "check.h"

static void wrong_files(char** paths) {
    uint32_t id = 0;
    size_t work = 0, weight = 0;
    RETURNS(ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID, aclmdlLoadFromFile("/nowhere.om", &id));
    RETURNS(ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID, aclmdlLoadFromFile(paths[2], &id));
    RETURNS(ACL_ERROR_GE_LOAD_MODEL, aclmdlLoadFromFile(paths[3], &id));
    RETURNS(ACL_ERROR_INVALID_PARAM, aclmdlLoadFromFile(NULL, &id));
    RETURNS(145002, aclmdlQuerySize("/nowhere.om", &work, &weight));
}

int main(int argc, char** argv) {
    uint32_t id = 0, second = 0;
    size_t work = 0, weight = 0, index = 99, at;
    void *work_memory = NULL, *weight_memory = NULL;
    aclmdlDesc* desc;
    aclmdlDataset *input, *output, *empty;
    aclmdlIODims dims;
    aclDataBuffer* lazy;
    aclrtContext context = NULL;
    float x[3 * 8 * 8];
    float* y;

    EXPECT(argc == 4);
    OK(aclInit(NULL));
    RETURNS(ACL_ERROR_RT_CONTEXT_NULL, aclmdlLoadFromFile(argv[1], &id));
    OK(aclrtSetDevice(0));
    wrong_files(argv);
    OK(aclmdlLoadFromFile(argv[1], &id));
    OK(aclmdlQuerySize(argv[1], &work, &weight));
    OK(aclrtMalloc(&work_memory, work, ACL_MEM_MALLOC_HUGE_FIRST));
    OK(aclrtMalloc(&weight_memory, weight, ACL_MEM_MALLOC_HUGE_FIRST));
    EXPECT(aclmdlLoadFromFileWithMem(argv[1], &second, work_memory, work - 1, weight_memory, weight) != ACL_SUCCESS);
    OK(aclmdlLoadFromFileWithMem(argv[1], &second, work_memory, work, weight_memory, weight));
    EXPECT(second != id);
    OK(aclmdlUnload(second));
    OK(aclrtFree(work_memory));
    OK(aclrtFree(weight_memory));

    desc = aclmdlCreateDesc();
    RETURNS(145003, aclmdlGetDesc(desc, 777));
    OK(aclmdlGetDesc(desc, id));
    EXPECT(aclmdlGetNumInputs(desc) == 1 && aclmdlGetNumOutputs(desc) == 1);
    EXPECT(strcmp(aclmdlGetInputNameByIndex(desc, 0), "x") == 0);
    EXPECT(strstr(aclmdlGetOutputNameByIndex(desc, 0), ":0:y") != NULL); /* node:index:name */
    RETURNS(ACL_ERROR_INVALID_PARAM, aclmdlGetOutputIndexByName(desc, "y", &index));
    OK(aclmdlGetOutputIndexByName(desc, aclmdlGetOutputNameByIndex(desc, 0), &index));
    EXPECT(index == 0);
    EXPECT(aclmdlGetInputSizeByIndex(desc, 0) == sizeof x);
    EXPECT(aclmdlGetInputDataType(desc, 0) == ACL_FLOAT && aclmdlGetInputFormat(desc, 0) == ACL_FORMAT_NCHW);
    OK(aclmdlGetInputDims(desc, 0, &dims));
    EXPECT(dims.dimCount == 4 && dims.dims[1] == 3 && dims.dims[3] == 8);
    RETURNS(ACL_ERROR_INVALID_PARAM, aclmdlGetInputDims(desc, 1, &dims));
    OK(aclmdlGetCurOutputDims(desc, 0, &dims));
    EXPECT(dims.dimCount > 0 && dims.dims[0] == 1);

    input = make_dataset(desc, 1);
    output = make_dataset(desc, 0);
    empty = aclmdlCreateDataset();
    for (at = 0; at < 3 * 8 * 8; ++at) x[at] = (float)at / 192.0F;
    put(address_of(input, 0), sizeof x, x, sizeof x);
    RETURNS(145003, aclmdlExecute(777, input, output));
    RETURNS(ACL_ERROR_INVALID_PARAM, aclmdlExecute(id, empty, output)); /* too few buffers */
    RETURNS(ACL_ERROR_INVALID_PARAM, aclmdlExecute(id, NULL, output));
    OK(aclmdlExecute(id, input, output));
    y = (float*)malloc(aclmdlGetOutputSizeByIndex(desc, 0));
    get(y, aclmdlGetOutputSizeByIndex(desc, 0), address_of(output, 0), aclmdlGetOutputSizeByIndex(desc, 0));
    for (at = 0; at < aclmdlGetOutputSizeByIndex(desc, 0) / sizeof(float); ++at) printf("%.9g\n", (double)y[at]);
    free(y);

    /* an output of (nullptr, 0): the runtime allocates */
    lazy = aclCreateDataBuffer(NULL, 0);
    OK(aclmdlAddDatasetBuffer(empty, lazy));
    OK(aclmdlExecute(id, input, empty));
    EXPECT(aclGetDataBufferAddr(lazy) != NULL && aclGetDataBufferSizeV2(lazy) == aclmdlGetOutputSizeByIndex(desc, 0));
    drop_dataset(empty);
    /* a buffer that is too small */
    OK(aclUpdateDataBuffer(aclmdlGetDatasetBuffer(input, 0), address_of(input, 0), 16));
    EXPECT(aclmdlExecute(id, input, output) != ACL_SUCCESS);
    /* another context than the model's */
    OK(aclrtCreateContext(&context, 0));
    RETURNS(ACL_ERROR_RT_MODEL_CONTEXT, aclmdlExecute(id, input, output));
    OK(aclrtDestroyContext(context));
    OK(aclrtSetDevice(0));
    drop_dataset(input);
    drop_dataset(output);
    OK(aclmdlUnload(id));
    RETURNS(145003, aclmdlUnload(id));
    OK(aclmdlDestroyDesc(desc));
    OK(aclrtResetDevice(0));
    OK(aclrtResetDevice(0));
    OK(aclFinalize());
    puts("ok");
    return 0;
}
