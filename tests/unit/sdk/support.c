/* What the tests of the public interface share. */
#include "tests/unit/sdk/support.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <unistd.h>

static void embed_words(const satchel_text *text, float *row) {
    memset(row, 0, TEST_DIMENSION * sizeof *row);
    row[0] = 0.01f;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i <= text->length; i++) {
        int letter = i < text->length ? tolower((unsigned char)text->data[i]) : ' ';
        if (isalnum(letter)) {
            hash = (hash ^ (uint32_t)letter) * 16777619u;
        } else {
            if (hash != 2166136261u)
                row[1 + hash % (TEST_DIMENSION - 1)] += 1;
            hash = 2166136261u;
        }
    }
    double sum = 0;
    for (int i = 0; i < TEST_DIMENSION; i++)
        sum += (double)row[i] * row[i];
    for (int i = 0; i < TEST_DIMENSION; i++)
        row[i] = (float)(row[i] / sqrt(sum));
}

static satchel_status embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                            float *out, const satchel_cancel *cancel) {
    test_embedder *state = user;
    (void)role;
    if (state->inside)
        state->inside(state->inside_user);
    if (satchel_cancel_fired(cancel))
        return SATCHEL_CANCELLED;
    if (state->result)
        return state->result;
    for (size_t i = 0; i < n; i++) {
        float *row = out + i * TEST_DIMENSION;
        embed_words(&texts[i], row);
        for (int k = 0; k < TEST_DIMENSION && state->spoil == 1; k++)
            row[k] = 0;
        for (int k = 0; k < TEST_DIMENSION && state->spoil == 3; k++)
            row[k] *= 3;
        if (state->spoil == 2)
            row[5] = NAN;
    }
    state->embedded += (int)n;
    return SATCHEL_OK;
}

static void destroy(void *user) {
    test_embedder *state = user;
    state->destroyed++;
}

void test_embedder_table(satchel_embedder *table, test_embedder *state) {
    *table = (satchel_embedder){.struct_size = sizeof *table,
                                .user = state,
                                .id = "test: hashed words",
                                .dimension = TEST_DIMENSION,
                                .max_tokens = 64,
                                .embed = embed,
                                .destroy = destroy};
}

void test_fine(satchel_status status, const satchel_error *error) {
    if (status)
        fail_msg("%s: %s", satchel_status_name(status), error->message);
}

void test_bed_open(test_bed *bed, bool with_model) {
    memset(bed, 0, sizeof *bed);
    satchel_error error;
    assert_true(test_folder_make(bed->folder));
    snprintf(bed->store_path, sizeof bed->store_path, "%s/test.satchel", bed->folder);
    test_fine(satchel_context_open(&bed->context, NULL, &error), &error);
    satchel_store_options options;
    satchel_store_options_init(&options, sizeof options);
    if (with_model) {
        satchel_embedder table;
        test_embedder_table(&table, &bed->embedder);
        test_fine(satchel_model_from_embedder(&bed->model, bed->context, &table, &error), &error);
        options.model = bed->model;
    }
    test_fine(satchel_store_open(&bed->store, bed->context, bed->store_path, &options, &error),
              &error);
}

static void remove_folder(const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return;
    char inner[512];
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (unlink(inner))
            remove_folder(inner); /* tests nest two deep at most */
    }
    closedir(folder);
    rmdir(path);
}

void test_bed_close(test_bed *bed) {
    satchel_store_close(&bed->store);
    satchel_model_close(&bed->model);
    satchel_context_close(&bed->context);
    remove_folder(bed->folder);
}

static int open_in_state(void **state, bool with_model) {
    static test_bed bed;
    test_bed_open(&bed, with_model);
    *state = &bed;
    return 0;
}

int test_with_model(void **state) {
    return open_in_state(state, true);
}

int test_without_model(void **state) {
    return open_in_state(state, false);
}

int test_done(void **state) {
    test_bed_close(*state);
    return 0;
}

void test_path(const test_bed *bed, const char *name, char out[128]) {
    snprintf(out, 128, "%s/%s", bed->folder, name);
}

void test_write(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

void test_add(test_bed *bed, const char *id, const char *text) {
    satchel_error error;
    test_fine(satchel_store_add_text(bed->store, id, text, SATCHEL_NUL_TERMINATED, NULL, &error),
              &error);
}

satchel_status test_drain(satchel_stream *stream, int counts[16], satchel_error *error) {
    memset(counts, 0, 16 * sizeof *counts);
    satchel_event event;
    do {
        satchel_status status = satchel_stream_next(stream, &event, sizeof event, error);
        if (status)
            return status;
        assert_in_range(event.kind, SATCHEL_EVENT_MODE, SATCHEL_EVENT_DONE);
        counts[event.kind]++;
    } while (event.kind != SATCHEL_EVENT_DONE);
    return SATCHEL_OK;
}
