/* Tensor descriptors, and profiling by aclprof. Arguments: the .om of model.c, a folder for the profile. */
#include "acl/acl_prof.h"
#include "check.h"

static void descriptors(void) {
    const int64_t dims[2] = {4, 5}, wider[3] = {2, 3, 4};
    int64_t size = 0;
    aclTensorDesc* desc = aclCreateTensorDesc(ACL_FLOAT16, 2, dims, ACL_FORMAT_ND);
    EXPECT(aclGetTensorDescType(desc) == ACL_FLOAT16 && aclGetTensorDescFormat(desc) == ACL_FORMAT_ND);
    EXPECT(aclGetTensorDescNumDims(desc) == 2 && aclGetTensorDescElementCount(desc) == 20);
    EXPECT(aclGetTensorDescSize(desc) == 40);
    OK(aclGetTensorDescDimV2(desc, 1, &size));
    EXPECT(size == 5);
    EXPECT(aclGetTensorDescDimV2(desc, 2, &size) != ACL_SUCCESS);
    OK(aclSetTensorShape(desc, 3, wider));
    EXPECT(aclGetTensorDescElementCount(desc) == 24);
    aclSetTensorDescName(desc, "name");
    EXPECT(strcmp(aclGetTensorDescName(desc), "name") == 0);
    aclDestroyTensorDesc(desc);
    EXPECT(aclCreateTensorDesc(ACL_FLOAT, 2, NULL, ACL_FORMAT_ND) == NULL);
}

int main(int argc, char** argv) {
    uint32_t id = 0, devices[1] = {0};
    aclmdlDesc* desc;
    aclmdlDataset *input, *output;
    aclprofConfig* config;
    EXPECT(argc == 3);
    descriptors();
    OK(aclInit(NULL));
    OK(aclrtSetDevice(0));
    OK(aclmdlLoadFromFile(argv[1], &id));
    desc = aclmdlCreateDesc();
    OK(aclmdlGetDesc(desc, id));
    input = make_dataset(desc, 1);
    output = make_dataset(desc, 0);
    config = aclprofCreateConfig(devices, 1, ACL_AICORE_PIPE_UTILIZATION, NULL, ACL_PROF_ACL_API | ACL_PROF_TASK_TIME);
    EXPECT(config != NULL && aclprofCreateConfig(NULL, 0, ACL_AICORE_NONE, NULL, 0) == NULL);
    RETURNS(ACL_ERROR_PROF_NOT_RUN, aclprofStart(config));
    OK(aclprofInit(argv[2], strlen(argv[2])));
    OK(aclprofStart(config));
    RETURNS(ACL_ERROR_PROF_ALREADY_RUN, aclprofStart(config));
    OK(aclmdlExecute(id, input, output));
    OK(aclmdlExecute(id, input, output));
    OK(aclprofStop(config));
    OK(aclprofFinalize());
    OK(aclprofDestroyConfig(config));
    drop_dataset(input);
    drop_dataset(output);
    OK(aclmdlDestroyDesc(desc));
    OK(aclmdlUnload(id));
    OK(aclrtResetDevice(0));
    OK(aclFinalize());
    puts("ok");
    return 0;
}
