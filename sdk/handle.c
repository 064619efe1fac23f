/* Checks at the border of the public interface, and the gate around application callbacks. */
#include "sdk/handle.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ gate */

satchel_status sat_gate_init(sat_gate *gate, satchel_error *error) {
    memset(gate, 0, sizeof *gate);
    int failed = pthread_mutex_init(&gate->lock, NULL);
    if (failed)
        return sat_fail_errno(error, failed, "cannot make a lock");
    failed = pthread_cond_init(&gate->left, NULL);
    if (failed) {
        pthread_mutex_destroy(&gate->lock);
        return sat_fail_errno(error, failed, "cannot make a condition variable");
    }
    return SATCHEL_OK;
}

void sat_gate_destroy(sat_gate *gate) {
    pthread_cond_destroy(&gate->left);
    pthread_mutex_destroy(&gate->lock);
}

void sat_gate_enter(sat_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    while (gate->occupied)
        pthread_cond_wait(&gate->left, &gate->lock);
    gate->occupied = true;
    gate->inside = pthread_self();
    pthread_mutex_unlock(&gate->lock);
}

void sat_gate_leave(sat_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->occupied = false;
    pthread_cond_signal(&gate->left);
    pthread_mutex_unlock(&gate->lock);
}

bool sat_gate_is_mine(sat_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    bool mine = gate->occupied && pthread_equal(gate->inside, pthread_self());
    pthread_mutex_unlock(&gate->lock);
    return mine;
}

/* ------------------------------------------------------------------ checks */

bool sat_is_forked(const satchel_context *context) {
    return context->process != (int64_t)getpid();
}

bool sat_struct_reaches(size_t struct_size, size_t reach) {
    return struct_size >= reach && struct_size <= 64 * 1024;
}

satchel_status sat_check_pointer(const char *call, const char *what, const void *pointer,
                                 satchel_error *error) {
    if (pointer)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: %s is NULL", call, what);
}

satchel_status sat_check_out(const char *call, const char *what, void *out, size_t size,
                             satchel_error *error) {
    if (out)
        memset(out, 0, size);
    return sat_check_pointer(call, what, out, error);
}

satchel_status sat_check_context(const char *call, const satchel_context *context,
                                 satchel_error *error) {
    satchel_status status = sat_check_pointer(call, "the context", context, error);
    return status ? status : sat_context_check(context, error);
}

static satchel_status called_back(const char *call, const char *object, satchel_error *error) {
    return sat_fail(error, SATCHEL_BUSY,
                    "%s: called from a callback that this %s is waiting for; return from the "
                    "callback first",
                    call, object);
}

satchel_status sat_check_model(const char *call, const satchel_model *model, satchel_error *error) {
    satchel_status status = sat_check_pointer(call, "the model", model, error);
    if (!status)
        status = sat_context_check(model->context, error);
    if (!status && sat_gate_is_mine((sat_gate *)&model->gate))
        status = called_back(call, "model", error);
    return status;
}

satchel_status sat_check_kind(const char *call, const satchel_model *model, int32_t kind,
                              satchel_error *error) {
    satchel_status status = sat_check_model(call, model, error);
    if (status || model->info.kind == kind)
        return status;
    return sat_fail(error, SATCHEL_WRONG_MODEL,
                    kind == SATCHEL_MODEL_EMBEDDER
                        ? "%s: %s (%s) generates text; open a model that embeds for this"
                        : "%s: %s (%s) embeds text; open a model that generates for this",
                    call, model->info.name[0] ? model->info.name : "the model",
                    model->info.architecture);
}

satchel_status sat_check_store(const char *call, const satchel_store *store, satchel_error *error) {
    satchel_status status = sat_check_pointer(call, "the store", store, error);
    if (!status)
        status = sat_context_check(store->context, error);
    if (!status && sat_gate_is_mine((sat_gate *)&store->gate))
        status = called_back(call, "store", error);
    /* The store would need the embedder that is waiting for this very thread. */
    if (!status && store->model && sat_gate_is_mine(&store->model->gate))
        status = called_back(call, "store's model", error);
    return status;
}

satchel_status sat_check_text(const char *call, const char *what, const char *text, size_t *length,
                              satchel_error *error) {
    if (!text) {
        if (*length == 0)
            return SATCHEL_OK;
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: %s is NULL but has a length", call,
                        what);
    }
    if (*length == SATCHEL_NUL_TERMINATED)
        *length = strlen(text);
    size_t valid = sat_utf8_valid(text, *length);
    if (valid < *length)
        return sat_fail(error, SATCHEL_INVALID_TEXT,
                        "%s: %s is not valid UTF-8 at byte %zu; convert it, or add it as bytes",
                        call, what, valid);
    return SATCHEL_OK;
}

satchel_status sat_check_string(const char *call, const char *what, const char *text, bool optional,
                                satchel_error *error) {
    if (!text)
        return optional ? SATCHEL_OK : sat_check_pointer(call, what, text, error);
    size_t length = strlen(text);
    size_t valid = sat_utf8_valid(text, length);
    if (valid < length)
        return sat_fail(error, SATCHEL_INVALID_TEXT, "%s: %s is not valid UTF-8 at byte %zu", call,
                        what, valid);
    return SATCHEL_OK;
}

satchel_status sat_check_range(const char *call, const char *what, int64_t value, int64_t low,
                               int64_t high, satchel_error *error) {
    if (value >= low && value <= high)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                    "%s: %s is %" PRId64 ", must be %" PRId64 " to %" PRId64, call, what, value,
                    low, high);
}
