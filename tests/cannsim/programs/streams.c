/* Asynchronous work: streams, events, callbacks. Argument 1: the .om of model.c. */
#include <pthread.h>

#include "check.h"

static int served;
static int leave;

static void count(void* by) { __atomic_fetch_add(&served, *(int*)by, __ATOMIC_SEQ_CST); }

static void* serve(void* unused) {
    (void)unused;
    while (!__atomic_load_n(&leave, __ATOMIC_SEQ_CST)) (void)aclrtProcessReport(20);
    return NULL;
}

int main(int argc, char** argv) {
    uint32_t id = 0;
    int one = 1, round;
    float ms = -1.0F;
    aclmdlDesc* desc;
    aclmdlDataset *input, *output;
    aclrtStream stream = NULL, other = NULL;
    aclrtEvent start = NULL, end = NULL;
    aclrtEventRecordedStatus recorded;
    aclrtStreamStatus status;
    pthread_t thread;

    EXPECT(argc == 2);
    OK(aclInit(NULL));
    OK(aclrtSetDevice(0));
    OK(aclmdlLoadFromFile(argv[1], &id));
    desc = aclmdlCreateDesc();
    OK(aclmdlGetDesc(desc, id));
    input = make_dataset(desc, 1);
    output = make_dataset(desc, 0);
    OK(aclrtCreateStream(&stream));
    OK(aclrtCreateStream(&other));
    OK(aclrtCreateEventWithFlag(&start, ACL_EVENT_TIME_LINE));
    OK(aclrtCreateEvent(&end));
    OK(aclrtQueryEventStatus(start, &recorded));
    EXPECT(recorded == ACL_EVENT_RECORDED_STATUS_NOT_READY);
    EXPECT(aclrtEventElapsedTime(&ms, start, end) != ACL_SUCCESS);

    RETURNS(ACL_ERROR_RT_STREAM_NO_CB_REG, aclrtLaunchCallback(count, &one, ACL_CALLBACK_BLOCK, stream));
    EXPECT(pthread_create(&thread, NULL, serve, NULL) == 0);
    OK(aclrtSubscribeReport((uint64_t)thread, stream));
    EXPECT(aclrtSubscribeReport((uint64_t)thread, stream) != ACL_SUCCESS);
    OK(aclrtRecordEvent(start, stream));
    for (round = 0; round < 5; ++round) {
        OK(aclmdlExecuteAsync(id, input, output, stream));
        OK(aclrtLaunchCallback(count, &one, round % 2 ? ACL_CALLBACK_BLOCK : ACL_CALLBACK_NO_BLOCK, stream));
    }
    OK(aclrtRecordEvent(end, stream));
    OK(aclrtStreamWaitEvent(other, end)); /* other goes on when stream is there */
    OK(aclrtSynchronizeStream(other));
    OK(aclrtSynchronizeEvent(end));
    OK(aclrtEventElapsedTime(&ms, start, end));
    EXPECT(ms >= 0.0F);
    EXPECT(aclrtEventElapsedTime(&ms, end, start) != ACL_SUCCESS);
    OK(aclrtSynchronizeStreamWithTimeout(stream, 60000));
    OK(aclrtStreamQuery(stream, &status));
    EXPECT(status == ACL_STREAM_STATUS_COMPLETE);
    OK(aclrtSynchronizeDevice());
    while (__atomic_load_n(&served, __ATOMIC_SEQ_CST) < 5) {
    }
    OK(aclrtUnSubscribeReport((uint64_t)thread, stream));
    EXPECT(aclrtUnSubscribeReport((uint64_t)thread, stream) != ACL_SUCCESS);
    __atomic_store_n(&leave, 1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);

    OK(aclrtDestroyEvent(start));
    OK(aclrtDestroyEvent(end));
    EXPECT(aclrtRecordEvent(end, stream) != ACL_SUCCESS);
    drop_dataset(input);
    drop_dataset(output);
    OK(aclmdlDestroyDesc(desc));
    OK(aclmdlUnload(id));
    OK(aclrtDestroyStream(stream));
    OK(aclrtDestroyStream(other));
    OK(aclrtResetDevice(0));
    OK(aclFinalize());
    puts("ok");
    return 0;
}
