/* What Main.kt calls of overhead.c. Times go into taken[0], by the clock, and taken[1], of the processors. */
#define _GNU_SOURCE
#include "bench/overhead.h"

#include <jni.h>
#include <sched.h>

static jint give(JNIEnv *env, jlongArray taken, overhead_time time, int32_t count) {
    const jlong times[] = {time.clock, time.processors};
    (*env)->SetLongArrayRegion(env, taken, 0, 2, times);
    return count;
}

JNIEXPORT jint JNICALL Java_dev_satchel_bench_Bench_search(JNIEnv *env, jclass class, jlong store,
                                                           jstring query, jboolean elsewhere,
                                                           jlongArray taken) {
    (void)class;
    const char *text = (*env)->GetStringUTFChars(env, query, NULL);
    if (!text)
        return 0;
    overhead_time time;
    int32_t count = overhead_search((satchel_store *)(intptr_t)store, text, elsewhere, &time);
    (*env)->ReleaseStringUTFChars(env, query, text);
    return give(env, taken, time, count);
}

JNIEXPORT jlong JNICALL Java_dev_satchel_bench_Bench_generator(JNIEnv *env, jclass class,
                                                               jlong context) {
    (void)env, (void)class;
    return (jlong)(intptr_t)overhead_generator((satchel_context *)(intptr_t)context);
}

JNIEXPORT jint JNICALL Java_dev_satchel_bench_Bench_stream(JNIEnv *env, jclass class, jlong model,
                                                           jint most, jlongArray taken) {
    (void)class;
    overhead_time time;
    int32_t count = overhead_stream((satchel_model *)(intptr_t)model, most, &time);
    return give(env, taken, time, count);
}

JNIEXPORT void JNICALL Java_dev_satchel_bench_Bench_pin(JNIEnv *env, jclass class, jint thread,
                                                        jint processor) {
    (void)env, (void)class;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(thread, sizeof set, &set);
}

JNIEXPORT jlong JNICALL Java_dev_satchel_bench_Bench_processors(JNIEnv *env, jclass class) {
    (void)env, (void)class;
    return overhead_processors();
}
