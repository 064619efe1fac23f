/* Filling satchel_error: messages are always valid UTF-8, NUL-terminated and cut at a character
 * border, whatever was formatted into them. */
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void sat_format_v(char *out, size_t size, const char *format, va_list arguments) {
    char raw[1024];
    if (size == 0)
        return;
    int written = vsnprintf(raw, sizeof raw, format, arguments);
    size_t length = written < 0 ? 0 : (size_t)written;
    bool cut = length >= sizeof raw;
    if (cut)
        length = sizeof raw - 1;
    size_t in = 0, end = 0;
    while (in < length) {
        int32_t code;
        char encoded[4];
        size_t read = sat_utf8_decode(raw + in, length - in, &code);
        /* The end of a cut message is half a character, not an invalid one. */
        if (cut && code == 0xFFFD && in + read == length)
            break;
        size_t bytes = sat_utf8_encode(code, encoded);
        if (end + bytes >= size)
            break;
        memcpy(out + end, encoded, bytes);
        end += bytes;
        in += read;
    }
    out[end] = '\0';
}

satchel_status sat_fail_v(satchel_error *error, satchel_status status, int os_code,
                          const char *format, va_list arguments) {
    if (error) {
        error->code = status;
        error->os_code = os_code;
        sat_format_v(error->message, sizeof error->message, format, arguments);
    }
    return status;
}

satchel_status sat_fail(satchel_error *error, satchel_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sat_fail_v(error, status, 0, format, arguments);
    va_end(arguments);
    return status;
}

static satchel_status status_of_errno(int os_code) {
    switch (os_code) {
    case ENOENT:
    case ENOTDIR:
        return SATCHEL_NOT_FOUND;
    case EEXIST:
        return SATCHEL_EXISTS;
    case ENOSPC:
#ifdef EDQUOT
    case EDQUOT:
#endif
        return SATCHEL_DISK_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return SATCHEL_PERMISSION;
    case ENOMEM:
        return SATCHEL_OUT_OF_MEMORY;
    default:
        return SATCHEL_IO;
    }
}

/* strerror_r comes in two shapes: GNU's returns the text, POSIX's fills the buffer. */
static inline const char *gnu_text(const char *text, const char *buffer) {
    return text;
}
static inline const char *posix_text(int failed, const char *buffer) {
    return buffer;
}
#define STRERROR(os_code, buffer) strerror_r(os_code, buffer, sizeof(buffer))
#define ERROR_TEXT(os_code, buffer)                                                                \
    _Generic(STRERROR(os_code, buffer), int                                                        \
             : posix_text, default                                                                 \
             : gnu_text)(STRERROR(os_code, buffer), buffer)

satchel_status sat_fail_errno(satchel_error *error, int os_code, const char *format, ...) {
    satchel_status status = status_of_errno(os_code);
    if (!error)
        return status;
    va_list arguments;
    va_start(arguments, format);
    sat_fail_v(error, status, os_code, format, arguments);
    va_end(arguments);
    char buffer[128] = "";
    const char *reason = ERROR_TEXT(os_code, buffer);
    /* A long path must not push the reason out. reason has fewer than 128 bytes. */
    size_t room = sizeof error->message - 1, tail = strnlen(reason, sizeof buffer - 1) + 2;
    size_t head = strlen(error->message);
    if (head + tail > room)
        head = sat_utf8_border(error->message, head, room - tail);
    snprintf(error->message + head, sizeof error->message - head, ": %.*s", (int)(tail - 2),
             reason);
    return status;
}

satchel_status sat_fail_memory(satchel_error *error, size_t size) {
    return sat_fail(error, SATCHEL_OUT_OF_MEMORY,
                    "out of memory: the allocator refused %zu bytes; free memory or work on less",
                    size);
}

void sat_error_copy(satchel_error *error, const satchel_error *from) {
    if (error)
        *error = *from;
}

void sat_error_clear(satchel_error *error) {
    if (error)
        memset(error, 0, sizeof *error);
}

const char *sat_status_name(satchel_status status) {
#define NAME(code)                                                                                 \
    case code:                                                                                     \
        return #code
    switch (status) {
        NAME(SATCHEL_OK);
        NAME(SATCHEL_INVALID_ARGUMENT);
        NAME(SATCHEL_OUT_OF_MEMORY);
        NAME(SATCHEL_MEMORY_LIMIT);
        NAME(SATCHEL_IO);
        NAME(SATCHEL_NOT_FOUND);
        NAME(SATCHEL_EXISTS);
        NAME(SATCHEL_DISK_FULL);
        NAME(SATCHEL_PERMISSION);
        NAME(SATCHEL_LOCKED);
        NAME(SATCHEL_BUSY);
        NAME(SATCHEL_CANCELLED);
        NAME(SATCHEL_DAMAGED);
        NAME(SATCHEL_UNSUPPORTED);
        NAME(SATCHEL_TOO_NEW);
        NAME(SATCHEL_NOT_A_STORE);
        NAME(SATCHEL_WRONG_MODEL);
        NAME(SATCHEL_INVALID_TEXT);
        NAME(SATCHEL_INVALID_FILTER);
        NAME(SATCHEL_INVALID_METADATA);
        NAME(SATCHEL_LIMIT);
        NAME(SATCHEL_CONFIRM_REMOVALS);
        NAME(SATCHEL_CALLBACK);
        NAME(SATCHEL_FORKED);
        NAME(SATCHEL_READ_ONLY);
        NAME(SATCHEL_NO_MODEL);
        NAME(SATCHEL_INTERNAL);
    default:
        return "SATCHEL_UNKNOWN";
    }
#undef NAME
}
