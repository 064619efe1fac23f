/*
 * Runs the scenarios of scenarios.json through the C interface.
 *
 *   conformance SCENARIOS [--record OUT]
 *
 * Prints TAP: one test a scenario. --record writes the file again with what the steps gave as what they must
 * give: for writing scenarios, to be read through by eye.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/folder.h"
#include "tests/conformance/conformance.h"

/* Whether `got` has all that `expected` names. */
static bool matches(const json_t *expected, const json_t *got) {
    if (json_is_object(expected)) {
        const char *key;
        json_t *value;
        if (!json_is_object(got))
            return false;
        json_object_foreach((json_t *)expected, key, value) {
            if (!matches(value, json_object_get(got, key)))
                return false;
        }
        return true;
    }
    if (json_is_array(expected)) {
        if (!json_is_array(got) || json_array_size(got) != json_array_size(expected))
            return false;
        for (size_t i = 0; i < json_array_size(expected); i++)
            if (!matches(json_array_get(expected, i), json_array_get(got, i)))
                return false;
        return true;
    }
    return json_equal(expected, got);
}

static void say(const char *what, const json_t *value) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    printf("#   %s: %s\n", what, text ? text : "nothing");
    free(text);
}

static bool steps(run *r, const json_t *scenario, bool record) {
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(scenario, "steps"), i, step) {
        json_t *got = do_step(r, step), *expected = json_object_get(step, "expect");
        bool right = got && (expected ? matches(expected, got) : !json_object_get(got, "error"));
        if (record && got && (expected || json_object_size(got) > 0))
            json_object_set(step, "expect", got);
        if (!right && !record) {
            printf("# step %zu, %s\n", i + 1, json_string_value(json_object_get(step, "do")));
            say("expected", expected);
            say("got", got);
            json_decref(got);
            return false;
        }
        json_decref(got);
    }
    return true;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static bool scenario(const json_t *scenario, bool record) {
    char folder[TEST_FOLDER_SIZE];
    if (!test_folder_make(folder))
        return false;
    run r = {.folder = folder};
    const satchel_context_options options = {.struct_size = sizeof options, .threads = 1};
    satchel_error error = {0};
    bool right = satchel_context_open(&r.context, &options, &error) == SATCHEL_OK &&
                 open_embedder(&r, &error) == SATCHEL_OK;
    if (!right)
        printf("# %s\n", error.message);
    right = right && steps(&r, scenario, record);
    satchel_prepared_close(&r.prepared);
    satchel_store_close(&r.store);
    satchel_model_close(&r.embedder);
    satchel_context_close(&r.context);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return right;
}

int main(int argc, char **argv) {
    json_error_t error = {0};
    bool record = argc == 4 && strcmp(argv[2], "--record") == 0;
    json_t *file = argc == 2 || record ? json_load_file(argv[1], JSON_ALLOW_NUL, &error) : NULL;
    if (!file) {
        fprintf(stderr, "%s\nusage: conformance SCENARIOS [--record OUT]\n", error.text);
        return 2;
    }
    const json_t *all = json_object_get(file, "scenarios");
    size_t count = json_array_size(all), failed = 0;
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        const json_t *it = json_array_get(all, i);
        bool right = scenario(it, record);
        failed += !right;
        printf("%sok %zu - %s\n", right ? "" : "not ", i + 1,
               json_string_value(json_object_get(it, "name")));
    }
    if (record && json_dump_file(file, argv[3], JSON_INDENT(1)) != 0)
        failed++;
    json_decref(file);
    return failed != 0;
}
