/*
 * A reader for PDF, as an application writes one: the bytes go to poppler's pdftotext through
 * pipes, its text comes back page by page. No shell, no temporary file; the child is killed when it
 * takes too long, writes too much, or the user interrupts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { TIME_LIMIT_S = 120, TURN_MS = 100 };
#define TEXT_LIMIT ((size_t)512 << 20)

extern char **environ;

struct output {
    char *data;
    size_t length, capacity;
};

const char *pdf_program(void) {
    static char found[4096];
    if (*found)
        return found;
    const char *path = getenv("PATH");
    while (path && *path) {
        const size_t length = strcspn(path, ":");
        /* An empty part means the current folder, where a stranger's pdftotext may lie. */
        if (length > 0 && length + sizeof "/pdftotext" <= sizeof found) {
            snprintf(found, sizeof found, "%.*s/pdftotext", (int)length, path);
            if (found[0] == '/' && access(found, X_OK) == 0)
                return found;
        }
        path += length + (path[length] == ':');
    }
    found[0] = '\0';
    return NULL;
}

/* ------------------------------------------------------------------ the child */

struct child {
    pid_t pid;
    int in, out, err; /* our ends; -1 when closed */
};

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Ends that a child gets only where it is given them. */
static int make_pipe(int ends[2]) {
#ifdef __APPLE__ /* has no pipe2 */
    if (pipe(ends) != 0)
        return errno;
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0)
            return errno;
    return 0;
#else
    return pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
#endif
}

static int start(struct child *child) {
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    int failed = make_pipe(in);
    if (!failed)
        failed = make_pipe(out);
    if (!failed)
        failed = make_pipe(err);
    posix_spawn_file_actions_t actions;
    bool have_actions = false;
    if (!failed) {
        failed = posix_spawn_file_actions_init(&actions);
        have_actions = !failed;
    }
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    char *const arguments[] = {"pdftotext", "-q", "-enc", "UTF-8", "-eol", "unix", "-", "-", NULL};
    if (!failed)
        failed = posix_spawn(&child->pid, pdf_program(), &actions, NULL, arguments, environ);
    if (have_actions)
        posix_spawn_file_actions_destroy(&actions);
    close_end(&in[0]);
    close_end(&out[1]);
    close_end(&err[1]);
    if (failed) {
        close_end(&in[1]);
        close_end(&out[0]);
        close_end(&err[0]);
        return failed;
    }
    child->in = in[1];
    child->out = out[0];
    child->err = err[0];
    fcntl(child->in, F_SETFL, O_NONBLOCK);
    return 0;
}

/* Reads what is there; false when out of memory or over the limit. Closes the end at the end. */
static bool take(int *fd, struct output *output, size_t limit) {
    if (output->capacity - output->length < 65536) {
        const size_t capacity = output->capacity * 2 + 131072;
        char *data = realloc(output->data, capacity);
        if (!data)
            return false;
        output->data = data;
        output->capacity = capacity;
    }
    const ssize_t got = read(*fd, output->data + output->length, output->capacity - output->length);
    if (got > 0)
        output->length += (size_t)got;
    else if (got == 0 || errno != EINTR)
        close_end(fd);
    return output->length <= limit;
}

/* Feeds and drains the child until it has closed both its outputs. SATCHEL_OK, or why not. */
static satchel_status exchange(struct child *child, const char *data, size_t length,
                               struct output *text, struct output *complaint,
                               const satchel_cancel *cancel) {
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    while (child->out >= 0 || child->err >= 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begun.tv_sec > TIME_LIMIT_S)
            return SATCHEL_LIMIT;
        if (satchel_cancel_fired(cancel))
            return SATCHEL_CANCELLED;
        if (length == 0)
            close_end(&child->in);
        struct pollfd ends[3] = {{.fd = child->in, .events = POLLOUT},
                                 {.fd = child->out, .events = POLLIN},
                                 {.fd = child->err, .events = POLLIN}};
        if (poll(ends, 3, TURN_MS) < 0 && errno != EINTR)
            return SATCHEL_IO;
        if (ends[0].revents) {
            const ssize_t wrote = write(child->in, data, length);
            if (wrote > 0) {
                data += wrote;
                length -= (size_t)wrote;
            } else if (wrote < 0 && errno != EAGAIN && errno != EINTR) {
                close_end(&child->in); /* it has seen enough; its exit status will tell */
            }
        }
        if (ends[1].revents && !take(&child->out, text, TEXT_LIMIT))
            return SATCHEL_LIMIT;
        if (ends[2].revents && !take(&child->err, complaint, 1 << 20))
            return SATCHEL_LIMIT;
    }
    return SATCHEL_OK;
}

static bool finish(struct child *child, bool stop) {
    close_end(&child->in);
    close_end(&child->out);
    close_end(&child->err);
    if (stop)
        kill(child->pid, SIGKILL);
    int how = 0;
    while (waitpid(child->pid, &how, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

/* ------------------------------------------------------------------ text to the sink */

/* Hands over valid UTF-8: what poppler made of a broken font may not be. */
static satchel_status hand_over(const satchel_reader_sink *sink, const char *text, size_t length) {
    satchel_status status = SATCHEL_OK;
    size_t begin = 0, at = 0;
    while (!status && at < length) {
        uint32_t code;
        const size_t size = decode(text + at, length - at, &code);
        const bool bad =
            code == 0xFFFD && !(size == 3 && memcmp(text + at, "\xEF\xBF\xBD", 3) == 0);
        if (bad || code == 0) {
            if (at > begin)
                status = sink->text(sink->sink, text + begin, at - begin);
            if (!status)
                status = sink->text(sink->sink, "\xEF\xBF\xBD", 3);
            begin = at + size;
        }
        at += size;
    }
    if (!status && at > begin)
        status = sink->text(sink->sink, text + begin, at - begin);
    return status;
}

/* pdftotext ends each page with a form feed. */
static satchel_status hand_over_pages(const satchel_reader_sink *sink, const struct output *text) {
    satchel_status status = SATCHEL_OK;
    size_t at = 0;
    for (int64_t page = 1; !status && at < text->length; page++) {
        const char *feed = memchr(text->data + at, '\f', text->length - at);
        const size_t end = feed ? (size_t)(feed - text->data) : text->length;
        const satchel_locator locator = {.kind = SATCHEL_LOCATOR_PAGE, .number = page};
        status = sink->locate(sink->sink, &locator);
        if (!status)
            status = hand_over(sink, text->data + at, end - at);
        if (!status && feed)
            status = sink->text(sink->sink, "\n\n", 2);
        at = end + 1;
    }
    return status;
}

static satchel_status read_pdf(void *user, const char *media_type, const void *data, size_t length,
                               const satchel_reader_sink *sink, char *message,
                               size_t message_size) {
    (void)media_type;
    struct child child = {.in = -1, .out = -1, .err = -1};
    const int failed = start(&child);
    if (failed) {
        snprintf(message, message_size, "cannot start pdftotext: %s", strerror(failed));
        return SATCHEL_IO;
    }
    struct output text = {0}, complaint = {0};
    satchel_status status = exchange(&child, data, length, &text, &complaint, user);
    const bool fine = finish(&child, status != SATCHEL_OK);
    if (status == SATCHEL_LIMIT)
        snprintf(message, message_size, "pdftotext was stopped: over %d s or %zu MB of text",
                 TIME_LIMIT_S, TEXT_LIMIT >> 20);
    if (!status && !fine) {
        /* Its first line says what: "Command Line Error: Incorrect password". */
        const char *end = complaint.data ? memchr(complaint.data, '\n', complaint.length) : NULL;
        const size_t line = end ? (size_t)(end - complaint.data) : complaint.length;
        snprintf(message, message_size, "pdftotext could not read it%s%.*s", line ? ": " : "",
                 (int)(line < 200 ? line : 200), line ? complaint.data : "");
        status = SATCHEL_DAMAGED;
    }
    if (!status)
        status = hand_over_pages(sink, &text);
    free(text.data);
    free(complaint.data);
    return status;
}

satchel_status pdf_register(satchel_store *store, satchel_cancel *cancel, satchel_error *error) {
    if (!pdf_program())
        return SATCHEL_OK;
    const satchel_reader reader = {.struct_size = sizeof reader,
                                   .user = cancel,
                                   .id = "pdftotext",
                                   .media_types = "application/pdf",
                                   .extensions = "pdf",
                                   .read = read_pdf};
    return satchel_store_add_reader(store, &reader, error);
}
