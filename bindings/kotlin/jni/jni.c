/*
 * The native methods of dev.satchel.internal.Native. All have one signature and go through one
 * function, which reads the request, runs the operation, and makes the reply; see bridge.h.
 */
#include "bridge.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ data beside a request */

const void *take_data(call *c, size_t *length) {
    *length = 0;
    if (!c->java)
        return NULL;
    JNIEnv *env = c->env;
    const void *direct = (*env)->GetDirectBufferAddress(env, c->java);
    if (direct) {
        *length = (size_t)(*env)->GetDirectBufferCapacity(env, c->java);
        return direct;
    }
    *length = (size_t)(*env)->GetArrayLength(env, c->java);
    // Not the critical kind: the call may last, and call Kotlin back.
    return (*env)->GetByteArrayElements(env, c->java, NULL);
}

void give_data(call *c, const void *data) {
    JNIEnv *env = c->env;
    if (data && !(*env)->GetDirectBufferAddress(env, c->java))
        (*env)->ReleaseByteArrayElements(env, c->java, (jbyte *)data, JNI_ABORT);
}

const float *take_floats(call *c, size_t *count) {
    *count = 0;
    if (!c->java)
        return NULL;
    JNIEnv *env = c->env;
    const float *direct = (*env)->GetDirectBufferAddress(env, c->java);
    if (direct) {
        *count = (size_t)(*env)->GetDirectBufferCapacity(env, c->java);
        return direct;
    }
    *count = (size_t)(*env)->GetArrayLength(env, c->java);
    return (*env)->GetFloatArrayElements(env, c->java, NULL);
}

void give_floats(call *c, const float *floats) {
    JNIEnv *env = c->env;
    if (floats && !(*env)->GetDirectBufferAddress(env, c->java))
        (*env)->ReleaseFloatArrayElements(env, c->java, (jfloat *)floats, JNI_ABORT);
}

/* ------------------------------------------------------------------ one call */

/* The reply as a Java array; NULL with an exception pending where Java has no memory for it. */
static jbyteArray reply_of(call *c) {
    JNIEnv *env = c->env;
    jbyteArray reply = c->out.failed ? NULL : (*env)->NewByteArray(env, (jsize)c->out.length);
    if (reply) {
        (*env)->SetByteArrayRegion(env, reply, 0, (jsize)c->out.length, (jbyte *)c->out.bytes);
        return reply;
    }
    if (c->made)
        c->unmake(c->made);
    if (!(*env)->ExceptionCheck(env)) {
        jclass class = (*env)->FindClass(env, "java/lang/OutOfMemoryError");
        if (class)
            (*env)->ThrowNew(env, class, "no memory for Satchel's reply");
    }
    return NULL;
}

static void write_failure(call *c, satchel_status status) {
    if (c->made)
        c->unmake(c->made);
    c->made = NULL;
    c->out.length = 0;
    c->out.failed = false;
    write_i32(&c->out, status);
    write_i32(&c->out, c->error.os_code);
    write_text(&c->out, c->error.message);
}

static jbyteArray run(JNIEnv *env, operation what, jbyteArray request, jint length, jobject data,
                      jobject given) {
    call c;
    memset(&c, 0, offsetof(call, error));
    c.env = env;
    c.callback = given;
    c.java = data;
    c.error.code = c.error.os_code = 0;
    c.error.message[0] = '\0';
    // Most requests are short: no allocation for them.
    uint8_t small[512];
    uint8_t *bytes = (size_t)length <= sizeof small ? small : malloc((size_t)length);
    satchel_status status = SATCHEL_OK;
    if (bytes) {
        // Within bounds: Request hands over its own array with what is filled of it.
        (*env)->GetByteArrayRegion(env, request, 0, length, (jbyte *)bytes);
        c.in = (reader){.at = bytes, .end = bytes + length};
        write_i32(&c.out, SATCHEL_OK);
        status = what(&c);
        if (!status && c.out.failed)
            status = fail(&c, SATCHEL_OUT_OF_MEMORY, "no memory for a reply");
    } else {
        status = fail(&c, SATCHEL_OUT_OF_MEMORY, "no memory for a request");
    }
    if (status)
        write_failure(&c, status);
    // An operation leaves an exception only where Java had no memory for an array.
    jbyteArray reply = (*env)->ExceptionCheck(env) ? NULL : reply_of(&c);
    free(c.out.bytes);
    while (c.memory) {
        kept *next = c.memory->next;
        free(c.memory);
        c.memory = next;
    }
    if (bytes != small)
        free(bytes);
    return reply;
}

#define METHOD(name, kotlin)                                                                       \
    static jbyteArray JNICALL method_##name(JNIEnv *env, jclass class, jbyteArray request,         \
                                            jint length, jobject data, jobject given) {            \
        (void)class;                                                                               \
        return run(env, op_##name, request, length, data, given);                                  \
    }
NATIVE_METHODS(METHOD)
#undef METHOD

#define SIGNATURE "([BILjava/lang/Object;Ldev/satchel/internal/Callback;)[B"
#define ENTRY(name, kotlin) {(char *)(kotlin), (char *)SIGNATURE, (void *)method_##name},
static const JNINativeMethod methods[] = {NATIVE_METHODS(ENTRY)};
#undef ENTRY

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved) {
    (void)reserved;
    void *got = NULL;
    if ((*vm)->GetEnv(vm, &got, JNI_VERSION_1_6) != JNI_OK)
        return JNI_ERR;
    JNIEnv *env = got;
    if (!callbacks_find(vm, env))
        return JNI_ERR;
    jclass class = (*env)->FindClass(env, "dev/satchel/internal/Native");
    if (!class)
        return JNI_ERR;
    // By a table, not by exported names: a method that one side lacks fails here, by name.
    jint failed = (*env)->RegisterNatives(env, class, methods, sizeof methods / sizeof *methods);
    (*env)->DeleteLocalRef(env, class);
    return failed ? JNI_ERR : JNI_VERSION_1_6;
}
