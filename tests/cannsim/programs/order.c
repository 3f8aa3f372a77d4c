/* Initialisation, devices and contexts: the order of calls and what a wrong order gives back. */
#include <pthread.h>

#include "check.h"

static aclrtContext shared_context;

static void* other_thread(void* unused) {
    void* memory = NULL;
    aclrtContext found = NULL;
    (void)unused;
    RETURNS(ACL_ERROR_RT_CONTEXT_NULL, aclrtGetCurrentContext(&found)); /* a context belongs to a thread */
    RETURNS(107002, aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_NORMAL_ONLY));
    OK(aclrtSetCurrentContext(shared_context));
    OK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_NORMAL_ONLY));
    OK(aclrtFree(memory));
    return NULL;
}

int main(void) {
    int32_t device = -1, major = 0, minor = 0, patch = 0;
    uint32_t count = 0;
    aclrtContext first = NULL, second = NULL, found = NULL;
    aclrtStream stream = NULL;
    aclrtRunMode mode;
    pthread_t thread;
    const char* message;

    RETURNS(ACL_ERROR_UNINITIALIZE, aclFinalize());
    RETURNS(ACL_ERROR_UNINITIALIZE, aclrtSetDevice(0));
    RETURNS(ACL_ERROR_INVALID_FILE, aclInit("/nowhere/acl.json"));
    OK(aclInit(NULL));
    RETURNS(100002, aclInit(NULL)); /* harmless */
    EXPECT(aclGetRecentErrMsg() != NULL);
    EXPECT(aclGetRecentErrMsg() == NULL); /* read once, then gone */

    RETURNS(ACL_ERROR_RT_CONTEXT_NULL, aclrtCreateStream(&stream));
    message = aclGetRecentErrMsg();
    EXPECT(message != NULL && strstr(message, "EE1001") != NULL);
    OK(aclrtGetDeviceCount(&count));
    EXPECT(count == 1);
    RETURNS(ACL_ERROR_RT_INVALID_DEVICEID, aclrtSetDevice(1));
    OK(aclrtSetDevice(0));
    OK(aclrtGetDevice(&device));
    EXPECT(device == 0);
    OK(aclrtGetCurrentContext(&first)); /* the default context is there after aclrtSetDevice */
    RETURNS(ACL_ERROR_RT_PARAM_INVALID, aclrtDestroyContext(first));
    OK(aclrtCreateContext(&second, 0));
    OK(aclrtGetCurrentContext(&found));
    EXPECT(found == second);
    OK(aclrtCreateStream(&stream));
    OK(aclrtSetCurrentContext(first));
    RETURNS(ACL_ERROR_RT_STREAM_CONTEXT, aclrtDestroyStream(stream));
    OK(aclrtSetCurrentContext(second));
    OK(aclrtDestroyStream(stream));
    RETURNS(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyStream(stream));
    shared_context = second;
    EXPECT(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_join(thread, NULL);
    OK(aclrtDestroyContext(second));
    RETURNS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSetCurrentContext(second));

    OK(aclrtGetRunMode(&mode));
    OK(aclrtGetVersion(&major, &minor, &patch));
    EXPECT(major == 1);
    EXPECT(strncmp(aclrtGetSocName(), "Ascend", 6) == 0);
    RETURNS(ACL_ERROR_INVALID_PARAM, aclrtGetRunMode(NULL));
    EXPECT(aclDataTypeSize(ACL_FLOAT16) == 2 && aclDataTypeSize(ACL_INT64) == 8);
    EXPECT(aclFloat16ToFloat(aclFloatToFloat16(1.5F)) == 1.5F);
    OK(aclrtResetDevice(0));
    OK(aclFinalize());
    RETURNS(ACL_ERROR_REPEAT_FINALIZE, aclFinalize());
    puts("ok");
    return 0;
}
