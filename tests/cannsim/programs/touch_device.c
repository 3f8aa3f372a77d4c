/* Writes into device memory as if it were the host's: on a card with memory of its own that must not work. */
#include "check.h"

int main(void) {
    void* memory = NULL;
    OK(aclInit(NULL));
    OK(aclrtSetDevice(0));
    OK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_NORMAL_ONLY));
    ((volatile char*)memory)[0] = 1;
    puts("written");
    return 0;
}
