/* Filling satchel_error. The codes themselves are public: sdk/include/satchel.h. */
#ifndef SATCHEL_BASE_STATUS_H
#define SATCHEL_BASE_STATUS_H

#include <stdarg.h>

#include "sdk/include/satchel.h"

#if defined(__GNUC__)
#define SAT_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))
#define SAT_NODISCARD __attribute__((warn_unused_result))
#else
#define SAT_PRINTF(string, first)
#define SAT_NODISCARD
#endif

/* Fills *error (may be NULL) and returns `status`, so that `return sat_fail(...)` works. The
 * message is cut at a character border; invalid UTF-8 in it is replaced. */
satchel_status sat_fail(satchel_error *error, satchel_status status, const char *format, ...)
    SAT_PRINTF(3, 4);
satchel_status sat_fail_v(satchel_error *error, satchel_status status, int os_code,
                          const char *format, va_list arguments);
/* As sat_fail, with the system's error number: chooses the status from it (ENOENT/ENOTDIR →
 * NOT_FOUND, EEXIST → EXISTS, ENOSPC/EDQUOT → DISK_FULL, EACCES/EPERM/EROFS → PERMISSION, ENOMEM →
 * OUT_OF_MEMORY, else IO) and appends its text to the message. */
satchel_status sat_fail_errno(satchel_error *error, int os_code, const char *format, ...)
    SAT_PRINTF(3, 4);
/* The formatting inside sat_fail, for other messages: cuts `out` to `size` bytes, NUL included. */
void sat_format_v(char *out, size_t size, const char *format, va_list arguments);
satchel_status sat_fail_memory(satchel_error *error, size_t size);
/* Copies an error where `error` may be NULL. */
void sat_error_copy(satchel_error *error, const satchel_error *from);
void sat_error_clear(satchel_error *error);
const char *sat_status_name(satchel_status status); /* satchel_status_name() */

#define SAT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
