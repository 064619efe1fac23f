/* The file table of POSIX systems: interrupted calls are repeated, short ones continued, and errors
 * come back as errno values. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* At most this much in one system call: macOS refuses more than INT_MAX. */
#define LARGEST_CALL ((size_t)1 << 30)
#define LARGEST_OFFSET ((uint64_t)INT64_MAX)

static int posix_open(void *user, const char *path, int mode, int *fd) {
    /* O_NONBLOCK: opening a pipe someone left in a folder must not wait for its writer. */
    int flags = mode == SAT_OPEN_CREATE ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY | O_NONBLOCK;
    do
        *fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
    while (*fd < 0 && errno == EINTR);
    return *fd < 0 ? errno : 0;
}

static int posix_close(void *user, int fd) {
    /* After EINTR the descriptor is gone on the systems we know: closing again could hit
     * another's. */
    return close(fd) != 0 && errno != EINTR ? errno : 0;
}

static int posix_read_at(void *user, int fd, void *data, size_t size, uint64_t offset,
                         size_t *done) {
    *done = 0;
    if (offset > LARGEST_OFFSET || size > LARGEST_OFFSET - offset)
        return EOVERFLOW;
    while (*done < size) {
        size_t want = size - *done < LARGEST_CALL ? size - *done : LARGEST_CALL;
        ssize_t got = pread(fd, (char *)data + *done, want, (off_t)(offset + *done));
        if (got == 0)
            break;
        if (got > 0)
            *done += (size_t)got;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int posix_write_at(void *user, int fd, const void *data, size_t size, uint64_t offset) {
    if (offset > LARGEST_OFFSET || size > LARGEST_OFFSET - offset)
        return EOVERFLOW;
    for (size_t done = 0; done < size;) {
        size_t want = size - done < LARGEST_CALL ? size - done : LARGEST_CALL;
        ssize_t put = pwrite(fd, (const char *)data + done, want, (off_t)(offset + done));
        if (put == 0)
            return EIO;
        if (put > 0)
            done += (size_t)put;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int posix_sync(void *user, int fd) {
#if defined(__APPLE__)
    /* fsync only reaches the drive's cache there. Some file systems know no other. */
    if (fcntl(fd, F_FULLFSYNC) == 0)
        return 0;
#endif
    int failed;
    do
        failed = fsync(fd);
    while (failed != 0 && errno == EINTR);
    return failed != 0 ? errno : 0;
}

static void info_from_stat(sat_file_info *info, const struct stat *from) {
#if defined(__APPLE__)
    const struct timespec modified = from->st_mtimespec;
#else
    const struct timespec modified = from->st_mtim;
#endif
    *info = (sat_file_info){
        .size = from->st_size < 0 ? 0 : (uint64_t)from->st_size,
        .device = (uint64_t)from->st_dev,
        .inode = (uint64_t)from->st_ino,
        .is_directory = S_ISDIR(from->st_mode),
        .is_regular = S_ISREG(from->st_mode),
        .is_link = S_ISLNK(from->st_mode),
    };
    /* A damaged file system can give a year past 2262. */
    if (__builtin_mul_overflow((int64_t)modified.tv_sec, INT64_C(1000000000), &info->modified_ns) ||
        __builtin_add_overflow(info->modified_ns, (int64_t)modified.tv_nsec, &info->modified_ns))
        info->modified_ns = modified.tv_sec < 0 ? INT64_MIN : INT64_MAX;
}

static int posix_stat(void *user, const char *path, bool follow, sat_file_info *info) {
    struct stat found;
    if ((follow ? stat(path, &found) : lstat(path, &found)) != 0)
        return errno;
    info_from_stat(info, &found);
    return 0;
}

static int posix_fstat(void *user, int fd, sat_file_info *info) {
    struct stat found;
    if (fstat(fd, &found) != 0)
        return errno;
    info_from_stat(info, &found);
    return 0;
}

static int posix_map(void *user, int fd, uint64_t offset, size_t size, void **data) {
    if (offset > LARGEST_OFFSET)
        return EOVERFLOW;
    void *mapped = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, (off_t)offset);
    if (mapped == MAP_FAILED)
        return errno;
    *data = mapped;
    return 0;
}

static void posix_unmap(void *user, void *data, size_t size) {
    munmap(data, size);
}

static int posix_rename(void *user, const char *from, const char *to) {
    return rename(from, to) != 0 ? errno : 0;
}

static int posix_remove(void *user, const char *path) {
    return unlink(path) != 0 ? errno : 0;
}

static int posix_sync_directory(void *user, const char *path) {
    int fd;
    do
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    int failed = posix_sync(user, fd);
    posix_close(user, fd);
    /* Some file systems cannot sync a folder: they keep names in order by themselves. */
    return failed == EINVAL || failed == ENOTSUP ? 0 : failed;
}

static int posix_list(void *user, const char *path,
                      int (*entry)(void *entry_user, const char *name), void *entry_user) {
    DIR *directory = opendir(path);
    if (!directory)
        return errno;
    int failed = 0;
    while (failed == 0) {
        errno = 0; /* tells the end from an error */
        const struct dirent *next = readdir(directory);
        if (!next) {
            failed = errno;
            break;
        }
        const char *name = next->d_name;
        if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
            continue;
        failed = entry(entry_user, name);
    }
    closedir(directory);
    return failed;
}

static int posix_make_directory(void *user, const char *path) {
    return mkdir(path, 0700) != 0 ? errno : 0;
}

static int posix_touch(void *user, const char *path, int64_t modified_ns) {
    int64_t second = modified_ns / 1000000000, rest = modified_ns % 1000000000;
    if (rest < 0) {
        second--;
        rest += 1000000000;
    }
    const struct timespec modified = {.tv_sec = (time_t)second, .tv_nsec = (long)rest};
    const struct timespec times[2] = {modified, modified};
    return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
}

static int posix_space(void *user, const char *path, uint64_t *bytes) {
    struct statvfs volume;
    int failed;
    do
        failed = statvfs(path, &volume);
    while (failed != 0 && errno == EINTR);
    if (failed != 0)
        return errno;
    uint64_t unit = volume.f_frsize ? volume.f_frsize : volume.f_bsize;
    if (__builtin_mul_overflow((uint64_t)volume.f_bavail, unit, bytes))
        *bytes = UINT64_MAX;
    return 0;
}

const sat_file_table sat_file_posix = {
    .open = posix_open,
    .close = posix_close,
    .read_at = posix_read_at,
    .write_at = posix_write_at,
    .sync = posix_sync,
    .stat = posix_stat,
    .fstat = posix_fstat,
    .map = posix_map,
    .unmap = posix_unmap,
    .rename = posix_rename,
    .remove = posix_remove,
    .sync_directory = posix_sync_directory,
    .list = posix_list,
    .make_directory = posix_make_directory,
    .touch = posix_touch,
    .space = posix_space,
};
