/* Gears. Arguments: batch.om (gears 1,2,4), image.om (8,8 and 16,16), dims.om (N,3,H,W by 1,8,8 and 2,16,16). */
#include "check.h"

typedef struct Opened {
    uint32_t id;
    aclmdlDesc* desc;
    aclmdlDataset *input, *output;
    size_t gear_input;
} Opened;

static Opened open_model(const char* path) {
    Opened made;
    OK(aclmdlLoadFromFile(path, &made.id));
    made.desc = aclmdlCreateDesc();
    OK(aclmdlGetDesc(made.desc, made.id));
    EXPECT(aclmdlGetNumInputs(made.desc) == 2); /* the gear's own input is counted */
    OK(aclmdlGetInputIndexByName(made.desc, ACL_DYNAMIC_TENSOR_NAME, &made.gear_input));
    made.input = make_dataset(made.desc, 1);
    made.output = make_dataset(made.desc, 0);
    return made;
}

static void close_model(Opened* model) {
    drop_dataset(model->input);
    drop_dataset(model->output);
    OK(aclmdlDestroyDesc(model->desc));
    OK(aclmdlUnload(model->id));
}

static int64_t batch_now(const Opened* model) {
    aclmdlIODims dims;
    OK(aclmdlGetCurOutputDims(model->desc, 0, &dims));
    return dims.dims[0];
}

static void batch_gears(const char* path) {
    Opened model = open_model(path);
    aclmdlBatch batch;
    aclmdlIODims dims;
    OK(aclmdlGetDynamicBatch(model.desc, &batch));
    EXPECT(batch.batchCount == 3 && batch.batch[2] == 4);
    OK(aclmdlGetInputDims(model.desc, 0, &dims));
    EXPECT(dims.dims[0] == -1);
    EXPECT(aclmdlGetInputSizeByIndex(model.desc, 0) == 4 * 3 * 8 * 8 * sizeof(float)); /* of the largest gear */
    OK(aclmdlGetOutputDims(model.desc, 0, &dims));
    EXPECT(dims.dims[0] == 4);
    OK(aclmdlExecute(model.id, model.input, model.output)); /* no gear set: the largest */
    EXPECT(batch_now(&model) == 4);
    RETURNS(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, aclmdlSetDynamicBatchSize(model.id, model.input, model.gear_input, 3));
    EXPECT(aclmdlSetDynamicBatchSize(model.id, model.input, 0, 2) != ACL_SUCCESS); /* not the gear's input */
    EXPECT(aclmdlSetDynamicHWSize(model.id, model.input, model.gear_input, 8, 8) != ACL_SUCCESS);
    OK(aclmdlSetDynamicBatchSize(model.id, model.input, model.gear_input, 2));
    OK(aclmdlExecute(model.id, model.input, model.output));
    EXPECT(batch_now(&model) == 2);
    close_model(&model);
}

static void image_gears(const char* path) {
    Opened model = open_model(path);
    aclmdlHW hw;
    OK(aclmdlGetDynamicHW(model.desc, (size_t)-1, &hw));
    EXPECT(hw.hwCount == 2 && hw.hw[1][0] == 16);
    OK(aclmdlSetDynamicHWSize(model.id, model.input, model.gear_input, 8, 8));
    OK(aclmdlExecute(model.id, model.input, model.output));
    RETURNS(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, aclmdlSetDynamicHWSize(model.id, model.input, model.gear_input, 8, 16));
    close_model(&model);
}

static void dims_gears(const char* path) {
    Opened model = open_model(path);
    aclmdlIODims gears[2], wanted;
    size_t count = 0;
    OK(aclmdlGetInputDynamicGearCount(model.desc, (size_t)-1, &count));
    EXPECT(count == 2);
    OK(aclmdlGetInputDynamicDims(model.desc, (size_t)-1, gears, count));
    EXPECT(gears[1].dimCount == 4 && gears[1].dims[0] == 2 && gears[1].dims[3] == 16);
    memset(&wanted, 0, sizeof wanted);
    wanted.dimCount = 4;
    wanted.dims[0] = 1, wanted.dims[1] = 3, wanted.dims[2] = 8, wanted.dims[3] = 8; /* all dims of all inputs */
    OK(aclmdlSetInputDynamicDims(model.id, model.input, model.gear_input, &wanted));
    OK(aclmdlExecute(model.id, model.input, model.output));
    EXPECT(batch_now(&model) == 1);
    wanted.dims[3] = 9;
    EXPECT(aclmdlSetInputDynamicDims(model.id, model.input, model.gear_input, &wanted) != ACL_SUCCESS);
    close_model(&model);
}

int main(int argc, char** argv) {
    EXPECT(argc == 4);
    OK(aclInit(NULL));
    OK(aclrtSetDevice(0));
    batch_gears(argv[1]);
    image_gears(argv[2]);
    dims_gears(argv[3]);
    OK(aclrtResetDevice(0));
    OK(aclFinalize());
    puts("ok");
    return 0;
}
