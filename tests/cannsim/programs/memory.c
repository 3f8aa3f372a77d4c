/* Device and host memory, copies and their kinds. Runs in both run modes. */
#include "check.h"

int main(void) {
    char text[128] = "from the host";
    char back[128] = "";
    void *device = NULL, *other = NULL, *host = NULL, *small = NULL;
    size_t available = 0, total = 0, later = 0;
    aclrtRunMode mode;

    OK(aclInit(NULL));
    OK(aclrtSetDevice(0));
    OK(aclrtGetRunMode(&mode));
    OK(aclrtGetMemInfo(ACL_DDR_MEM, &available, &total));
    EXPECT(total > 0 && available > 0 && available < total);
    EXPECT(aclrtMalloc(&device, 0, ACL_MEM_MALLOC_HUGE_FIRST) != ACL_SUCCESS);
    RETURNS(ACL_ERROR_INVALID_PARAM, aclrtMalloc(NULL, 64, ACL_MEM_MALLOC_HUGE_FIRST));
    RETURNS(ACL_ERROR_RT_MEMORY_ALLOCATION, aclrtMalloc(&device, total, ACL_MEM_MALLOC_HUGE_FIRST));
    EXPECT(strstr(aclGetRecentErrMsg(), "EL0004") != NULL);
    OK(aclrtMalloc(&device, 1 << 20, ACL_MEM_MALLOC_HUGE_FIRST));
    EXPECT((size_t)device % 64 == 0);
    OK(aclrtGetMemInfo(ACL_DDR_MEM, &later, &total));
    EXPECT(available - later >= (1 << 20));
    OK(aclrtMalloc(&other, 100, ACL_MEM_MALLOC_NORMAL_ONLY));
    OK(aclrtMalloc(&small, 1, ACL_MEM_MALLOC_NORMAL_ONLY));
    OK(aclrtMallocHost(&host, sizeof text));
    memcpy(host, text, sizeof text);

    RETURNS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemcpy(device, 10, text, 11, ACL_MEMCPY_HOST_TO_DEVICE)); /* destMax */
    RETURNS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemcpy(small, 4096, text, 100, ACL_MEMCPY_HOST_TO_DEVICE)); /* past its end */
    RETURNS(ACL_ERROR_INVALID_PARAM, aclrtMemcpy(NULL, 10, text, 10, ACL_MEMCPY_HOST_TO_DEVICE));
    RETURNS(ACL_ERROR_INVALID_PARAM, aclrtMemcpy(device, 10, text, 10, (aclrtMemcpyKind)77));
    if (mode == ACL_HOST) {
        RETURNS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemcpy(device, 100, text, 100, ACL_MEMCPY_DEVICE_TO_DEVICE));
        RETURNS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemcpy(back, 100, device, 100, ACL_MEMCPY_HOST_TO_HOST));
        RETURNS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemcpy(device, 100, text, 100, ACL_MEMCPY_DEVICE_TO_HOST));
        OK(aclrtMemcpy(device, 100, text, 100, ACL_MEMCPY_HOST_TO_DEVICE));
        OK(aclrtMemcpy(other, 100, device, 100, ACL_MEMCPY_DEVICE_TO_DEVICE));
        OK(aclrtMemcpy(back, 100, other, 100, ACL_MEMCPY_DEVICE_TO_HOST));
    } else {
        OK(aclrtMemcpy(device, 100, host, 100, ACL_MEMCPY_HOST_TO_DEVICE)); /* all is one memory */
        OK(aclrtMemcpy(back, 100, device, 100, ACL_MEMCPY_DEVICE_TO_DEVICE));
        EXPECT(strcmp((const char*)device, text) == 0);
    }
    EXPECT(strcmp(back, text) == 0);
    OK(aclrtMemcpy((char*)device + 64, 100, text, 100, ACL_MEMCPY_DEFAULT)); /* inside a block */
    OK(aclrtMemset(device, 1 << 20, 7, 16));
    get(back, sizeof back, device, 16);
    EXPECT(back[0] == 7 && back[15] == 7);
    OK(aclrtMemcpy2d(device, 32, text, 16, 8, 4, ACL_MEMCPY_HOST_TO_DEVICE));
    EXPECT(aclrtMemcpy2d(device, 4, text, 16, 8, 4, ACL_MEMCPY_HOST_TO_DEVICE) != ACL_SUCCESS);
    OK(aclrtFree(device));
    EXPECT(aclrtFree(device) != ACL_SUCCESS); /* twice */
    EXPECT(aclrtFreeHost(other) != ACL_SUCCESS);
    OK(aclrtFree(other));
    OK(aclrtFree(small));
    OK(aclrtFreeHost(host));
    OK(aclrtResetDevice(0));
    OK(aclFinalize());
    puts("ok");
    return 0;
}
