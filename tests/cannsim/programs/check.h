/* A failed expectation names its line and ends the program. Valid as C99 and as C++17. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl/acl.h"

#define EXPECT(condition)                                                                        \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);              \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

#define RETURNS(code, call)                                                                      \
    do {                                                                                         \
        const aclError got_ = (call);                                                            \
        if (got_ != (aclError)(code)) {                                                          \
            const char* why_ = aclGetRecentErrMsg();                                             \
            fprintf(stderr, "%s:%d: %s gave %d, not %d\n%s\n", __FILE__, __LINE__, #call, got_,  \
                    (int)(code), why_ == NULL ? "" : why_);                                      \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

#define OK(call) RETURNS(ACL_SUCCESS, call)

/* Copies between host and device by the run mode, as a careful program does. */
static inline void put(void* device, size_t room, const void* host, size_t size) {
    aclrtRunMode mode;
    OK(aclrtGetRunMode(&mode));
    OK(aclrtMemcpy(device, room, host, size, mode == ACL_HOST ? ACL_MEMCPY_HOST_TO_DEVICE : ACL_MEMCPY_DEVICE_TO_DEVICE));
}

static inline void get(void* host, size_t room, const void* device, size_t size) {
    aclrtRunMode mode;
    OK(aclrtGetRunMode(&mode));
    OK(aclrtMemcpy(host, room, device, size, mode == ACL_HOST ? ACL_MEMCPY_DEVICE_TO_HOST : ACL_MEMCPY_DEVICE_TO_DEVICE));
}

/* A dataset with one device buffer an input (or output) of the description. */
static inline aclmdlDataset* make_dataset(aclmdlDesc* desc, int inputs) {
    aclmdlDataset* dataset = aclmdlCreateDataset();
    const size_t count = inputs ? aclmdlGetNumInputs(desc) : aclmdlGetNumOutputs(desc);
    size_t index;
    for (index = 0; index < count; ++index) {
        const size_t size = inputs ? aclmdlGetInputSizeByIndex(desc, index) : aclmdlGetOutputSizeByIndex(desc, index);
        void* memory = NULL;
        OK(aclrtMalloc(&memory, size, ACL_MEM_MALLOC_HUGE_FIRST));
        OK(aclrtMemset(memory, size, 0, size));
        OK(aclmdlAddDatasetBuffer(dataset, aclCreateDataBuffer(memory, size)));
    }
    return dataset;
}

static inline void drop_dataset(aclmdlDataset* dataset) {
    size_t index;
    for (index = 0; index < aclmdlGetDatasetNumBuffers(dataset); ++index) {
        aclDataBuffer* buffer = aclmdlGetDatasetBuffer(dataset, index);
        OK(aclrtFree(aclGetDataBufferAddr(buffer)));
        OK(aclDestroyDataBuffer(buffer));
    }
    OK(aclmdlDestroyDataset(dataset));
}

static inline void* address_of(aclmdlDataset* dataset, size_t index) {
    return aclGetDataBufferAddr(aclmdlGetDatasetBuffer(dataset, index));
}

#endif
