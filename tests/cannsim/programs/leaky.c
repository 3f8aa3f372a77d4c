/* Releases nothing: aclFinalize has to say so. */
#include "check.h"

int main(void) {
    void* memory = NULL;
    aclrtStream stream = NULL;
    OK(aclInit(NULL));
    OK(aclrtSetDevice(0));
    OK(aclrtMalloc(&memory, 4096, ACL_MEM_MALLOC_NORMAL_ONLY));
    OK(aclrtCreateStream(&stream));
    OK(aclFinalize());
    return 0;
}
