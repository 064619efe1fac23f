/*
 * The lease: one sync at a time for a store, in however many processes. It is a row, so it goes
 * with the transactions it guards: each batch renews it, and a sync whose lease was taken over
 * stops there. A lease is free when its process is gone, when another process has its number (the
 * start time tells), or when it has not been renewed in time.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include "retrieval/store.h"

#define LEASE_MS 120000

/* When a process started, in some unit of the system; 0 if that cannot be told. */
static int64_t process_start(const sat_store *store, int64_t process) {
#ifdef __APPLE__
    (void)store;
    struct kinfo_proc info = {0};
    size_t size = sizeof info;
    int name[4] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, (int)process};
    if (sysctl(name, 4, &info, &size, NULL, 0) != 0 || size != sizeof info)
        return 0;
    return (int64_t)info.kp_proc.p_starttime.tv_sec * 1000000 + info.kp_proc.p_starttime.tv_usec;
#else
    const sat_file_table *files = store->context->files;
    void *user = store->context->files_user;
    char path[48], text[1024];
    int fd;
    size_t size = 0;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)process);
    if (files->open(user, path, SAT_OPEN_READ, &fd) != 0)
        return 0;
    int failed = files->read_at(user, fd, text, sizeof text - 1, 0, &size);
    files->close(user, fd);
    if (failed)
        return 0;
    text[size] = '\0';
    /* Field 22, counted from after the command's name, which may hold anything but ends the last
     * ')'. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoll(at, NULL, 10) : 0;
#endif
}

static bool is_alive(const sat_store *store, int64_t process, int64_t started) {
    if (process <= 0 || (kill((pid_t)process, 0) != 0 && errno == ESRCH))
        return false;
    int64_t now = process_start(store, process);
    return now == 0 || started == 0 || now == started;
}

/* Who keeps up the index alone has one byte more: a sync may take the lease from it at any moment. */
static size_t owner_size(const sat_lease *lease) {
    return sizeof lease->owner - !lease->for_index;
}

/* BUSY if the row in the store is of a living sync other than this. */
static satchel_status check_free(const sat_lease *lease, sat_connection *connection,
                                 satchel_error *error) {
    sat_query query;
    int64_t process = 0, started = 0, expires = 0;
    bool found = false, ours = false, yields = false;
    sat_query_begin(&query, connection,
                    "SELECT owner, process, started, expires FROM lease WHERE id = 1");
    if (sat_query_row(&query)) {
        size_t length;
        const void *owner = sat_column_blob(&query, 0, &length);
        ours = length == owner_size(lease) && memcmp(owner, lease->owner, length) == 0;
        yields = length == sizeof lease->owner && !lease->for_index;
        process = sat_column_int(&query, 1);
        started = sat_column_int(&query, 2);
        expires = sat_column_int(&query, 3);
        found = true;
    }
    satchel_status status = sat_query_end(&query, error);
    if (status || !found || ours || yields)
        return status;
    int64_t now = sat_clock_unix_ms();
    /* A clock that was set back must not hold it for longer than one lease. */
    bool expired = now >= expires || expires - now > 2 * LEASE_MS;
    if (expired || !is_alive(connection->store, process, started))
        return SATCHEL_OK;
    return sat_fail(
        error, SATCHEL_BUSY,
        "another sync is at work on store '%s' (process %lld); wait for it or cancel it",
        connection->store->path, (long long)process);
}

satchel_status sat_lease_take(sat_lease *lease, sat_store *store, const satchel_cancel *cancel,
                              satchel_error *error) {
    sqlite3_randomness(sizeof lease->owner, lease->owner);
    lease->process = (int64_t)getpid();
    lease->started = process_start(store, lease->process);
    /* First without waiting for the writer: who holds the lease may hold that too. */
    sat_connection *connection;
    satchel_status status = SATCHEL_OK;
    if (!store->read_only) {
        status = sat_reader_begin(store, cancel, &connection, error);
        if (!status)
            status = check_free(lease, connection, error);
        if (connection)
            sat_reader_end(connection);
    }
    if (!status)
        status = sat_writer_begin(store, cancel, &connection, error);
    if (status)
        return status;
    status = check_free(lease, connection, error);
    if (!status) {
        sat_query query;
        sat_query_begin(&query, connection,
                        "INSERT OR REPLACE INTO lease(id, owner, process, started, expires) "
                        "VALUES(1, ?1, ?2, ?3, ?4)");
        sat_bind_blob(&query, 1, lease->owner, owner_size(lease));
        sat_bind_int(&query, 2, lease->process);
        sat_bind_int(&query, 3, lease->started);
        sat_bind_int(&query, 4, sat_clock_unix_ms() + LEASE_MS);
        status = sat_query_run(&query, error);
    }
    status = sat_writer_end(connection, status, error);
    lease->held = !status;
    return status;
}

satchel_status sat_lease_renew(const sat_lease *lease, sat_connection *writer,
                               satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer, "UPDATE lease SET expires = ?1 WHERE id = 1 AND owner = ?2");
    sat_bind_int(&query, 1, sat_clock_unix_ms() + LEASE_MS);
    sat_bind_blob(&query, 2, lease->owner, owner_size(lease));
    satchel_status status = sat_query_run(&query, error);
    if (!status && sqlite3_changes(writer->db) == 0)
        status = sat_fail(error, SATCHEL_BUSY,
                          "another sync took over store '%s', because this one was idle for too "
                          "long; what it had committed stays",
                          writer->store->path);
    return status;
}

void sat_lease_drop(sat_lease *lease, sat_store *store) {
    if (!lease->held)
        return;
    lease->held = false;
    /* If this fails the lease ends by itself: with the process, or in time. */
    sat_connection *writer;
    if (sat_writer_begin(store, NULL, &writer, NULL))
        return;
    sat_query query;
    sat_query_begin(&query, writer, "DELETE FROM lease WHERE id = 1 AND owner = ?1");
    sat_bind_blob(&query, 1, lease->owner, owner_size(lease));
    sat_writer_end(writer, sat_query_run(&query, NULL), NULL);
}
