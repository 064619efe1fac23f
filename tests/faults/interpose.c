/* See interpose.h. Built as a shared object and named in LD_PRELOAD. */
#undef _FILE_OFFSET_BITS /* both names of each call are defined here, so neither may be an alias */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAULT_FUNCTION
#include "tests/faults/interpose.h"

/* glibc's own entry points: no dlsym is needed, which would itself allocate. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

#define EXPORT __attribute__((visibility("default")))

static _Atomic int armed_kind;
static _Atomic int armed_for_good;
static _Atomic long armed_at;
static _Atomic long seen;
static _Atomic long live;

EXPORT void fault_arm(int kind, long k, int for_good) {
    atomic_store(&armed_kind, FAULT_NONE);
    atomic_store(&seen, 0);
    atomic_store(&armed_at, k);
    atomic_store(&armed_for_good, for_good);
    atomic_store(&armed_kind, kind);
}

EXPORT long fault_disarm(void) {
    atomic_store(&armed_kind, FAULT_NONE);
    return atomic_load(&seen);
}

EXPORT long fault_live_blocks(void) {
    return atomic_load(&live);
}

/* With FAULT_TRACE set, who called when it was made to fail. */
static void trace(void) {
    if (!getenv("FAULT_TRACE"))
        return;
    int kind = atomic_exchange(&armed_kind, FAULT_NONE);
    void *frames[40];
    backtrace_symbols_fd(frames, backtrace(frames, 40), 2);
    atomic_store(&armed_kind, kind);
}

/* Counts a call and says whether it is to fail. */
static int strike(void) {
    long now = atomic_fetch_add(&seen, 1) + 1;
    long at = atomic_load(&armed_at);
    if (now == at)
        trace();
    return at > 0 && (now == at || (now > at && atomic_load(&armed_for_good)));
}

static int strike_memory(void) {
    return atomic_load(&armed_kind) == FAULT_MEMORY && strike();
}

static int strike_file(void) {
    int kind = atomic_load(&armed_kind);
    return (kind == FAULT_FILE || kind == FAULT_FILE_TORN) && strike();
}

/* Before a call that changes a file. */
static void kill_point(void) {
    if (atomic_load(&armed_kind) == FAULT_KILL && strike())
        kill(getpid(), SIGKILL);
}

/* ------------------------------------------------------------------ memory */

static void *counted(void *block) {
    if (block)
        atomic_fetch_add(&live, 1);
    else
        errno = ENOMEM;
    return block;
}

EXPORT void *malloc(size_t size) {
    return counted(strike_memory() ? NULL : __libc_malloc(size));
}

EXPORT void *calloc(size_t count, size_t size) {
    return counted(strike_memory() ? NULL : __libc_calloc(count, size));
}

EXPORT void *realloc(void *block, size_t size) {
    if (!block)
        return malloc(size);
    if (strike_memory()) {
        errno = ENOMEM;
        return NULL;
    }
    void *moved = __libc_realloc(block, size);
    if (!moved && size == 0)
        atomic_fetch_sub(&live, 1);
    return moved;
}

EXPORT void *memalign(size_t alignment, size_t size) {
    return counted(strike_memory() ? NULL : __libc_memalign(alignment, size));
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

EXPORT void free(void *block) {
    if (block)
        atomic_fetch_sub(&live, 1);
    __libc_free(block);
}

/* ------------------------------------------------------------------ files */

/* A pointer to an object becomes one to a function: POSIX allows what ISO C does not. */
#define REAL(name) (__extension__(__typeof__(&name)) real(&real_##name, #name))
static void *_Atomic real_open, *_Atomic real_open64, *_Atomic real_openat, *_Atomic real_read,
    *_Atomic real_pread, *_Atomic real_pread64, *_Atomic real_write, *_Atomic real_pwrite,
    *_Atomic real_pwrite64, *_Atomic real_ftruncate, *_Atomic real_ftruncate64, *_Atomic real_mmap,
    *_Atomic real_mmap64, *_Atomic real_rename, *_Atomic real_unlink, *_Atomic real_opendir,
    *_Atomic real_readdir, *_Atomic real_readdir64, *_Atomic real_fstat, *_Atomic real_fstat64,
    *_Atomic real_stat, *_Atomic real_stat64;

static void *real(void *_Atomic *slot, const char *name) {
    void *function = atomic_load(slot);
    if (!function) {
        function = dlsym(RTLD_NEXT, name);
        atomic_store(slot, function);
    }
    return function;
}

static int fail(int code) {
    errno = code;
    return -1;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(arguments, int) : 0;
}

#define DEFINE_OPEN(name)                                                                          \
    EXPORT int name(const char *path, int flags, ...) {                                            \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        if (flags & (O_CREAT | O_TRUNC))                                                           \
            kill_point();                                                                          \
        return strike_file() ? fail(EIO) : REAL(name)(path, flags, mode);                          \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

EXPORT int openat(int folder, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return strike_file() ? fail(EIO) : REAL(openat)(folder, path, flags, mode);
}

EXPORT ssize_t read(int fd, void *data, size_t size) {
    return strike_file() ? fail(EIO) : REAL(read)(fd, data, size);
}

#define DEFINE_PREAD(name, offset_type)                                                            \
    EXPORT ssize_t name(int fd, void *data, size_t size, offset_type offset) {                     \
        return strike_file() ? fail(EIO) : REAL(name)(fd, data, size, offset);                     \
    }
DEFINE_PREAD(pread, off_t)
DEFINE_PREAD(pread64, off64_t)

static int torn(void) {
    return atomic_load(&armed_kind) == FAULT_FILE_TORN;
}

EXPORT ssize_t write(int fd, const void *data, size_t size) {
    if (fd == 1 || fd == 2) /* the test's own report */
        return REAL(write)(fd, data, size);
    kill_point();
    if (!strike_file())
        return REAL(write)(fd, data, size);
    if (torn() && size > 1)
        (void)!REAL(write)(fd, data, size / 2);
    return fail(ENOSPC);
}

#define DEFINE_PWRITE(name, offset_type)                                                           \
    EXPORT ssize_t name(int fd, const void *data, size_t size, offset_type offset) {               \
        kill_point();                                                                              \
        if (!strike_file())                                                                        \
            return REAL(name)(fd, data, size, offset);                                             \
        if (torn() && size > 1)                                                                    \
            (void)!REAL(name)(fd, data, size / 2, offset);                                         \
        return fail(ENOSPC);                                                                       \
    }
DEFINE_PWRITE(pwrite, off_t)
DEFINE_PWRITE(pwrite64, off64_t)

/* Not waited for: no test takes the power away, and the disk would be most of their time. */
#define DEFINE_SYNC(name)                                                                          \
    EXPORT int name(int fd) {                                                                      \
        kill_point();                                                                              \
        return strike_file() ? fail(EIO) : 0;                                                      \
    }
DEFINE_SYNC(fsync)
DEFINE_SYNC(fdatasync)

#define DEFINE_TRUNCATE(name, size_type)                                                           \
    EXPORT int name(int fd, size_type size) {                                                      \
        kill_point();                                                                              \
        return strike_file() ? fail(EIO) : REAL(name)(fd, size);                                   \
    }
DEFINE_TRUNCATE(ftruncate, off_t)
DEFINE_TRUNCATE(ftruncate64, off64_t)

/* Only mappings of files: anonymous ones are malloc's own. */
#define DEFINE_MMAP(name, offset_type)                                                             \
    EXPORT void *name(void *hint, size_t size, int protection, int flags, int fd,                  \
                      offset_type offset) {                                                        \
        if (fd >= 0 && strike_file()) {                                                            \
            errno = ENODEV;                                                                        \
            return MAP_FAILED;                                                                     \
        }                                                                                          \
        return REAL(name)(hint, size, protection, flags, fd, offset);                              \
    }
DEFINE_MMAP(mmap, off_t)
DEFINE_MMAP(mmap64, off64_t)

EXPORT int rename(const char *from, const char *to) {
    kill_point();
    return strike_file() ? fail(EIO) : REAL(rename)(from, to);
}

EXPORT int unlink(const char *path) {
    kill_point();
    return strike_file() ? fail(EIO) : REAL(unlink)(path);
}

EXPORT DIR *opendir(const char *path) {
    if (strike_file()) {
        errno = EIO;
        return NULL;
    }
    return REAL(opendir)(path);
}

#define DEFINE_READDIR(name, type)                                                                 \
    EXPORT type *name(DIR *folder) {                                                               \
        if (strike_file()) {                                                                       \
            errno = EIO;                                                                           \
            return NULL;                                                                           \
        }                                                                                          \
        return REAL(name)(folder);                                                                 \
    }
DEFINE_READDIR(readdir, struct dirent)
DEFINE_READDIR(readdir64, struct dirent64)

#define DEFINE_FSTAT(name, type)                                                                   \
    EXPORT int name(int fd, struct type *info) {                                                   \
        return strike_file() ? fail(EIO) : REAL(name)(fd, info);                                   \
    }
DEFINE_FSTAT(fstat, stat)
DEFINE_FSTAT(fstat64, stat64)

#define DEFINE_STAT(name, type)                                                                    \
    EXPORT int name(const char *path, struct type *info) {                                         \
        return strike_file() ? fail(EIO) : REAL(name)(path, info);                                 \
    }
DEFINE_STAT(stat, stat)
DEFINE_STAT(stat64, stat64)
