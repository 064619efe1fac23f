/*
 * Keys and values saved in cache_dir: after a relaunch a sequence goes on from them with the same
 * bits, for every type of them, with windows and adapters, after cutting; what is damaged, foreign
 * or gone is computed; limit, floor and failing calls end the saving and not the run.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "generate/kv.h"
#include "generate/prefix.h"

#include "tests/support/fault_files.h"
#include "tests/support/folder.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/generate/decoder_unit.h"

enum { WHOLE = LENGTH / SAT_KV_PAGE * SAT_KV_PAGE, PAGES = WHOLE / SAT_KV_PAGE };

static const tiny_decoder shapes[] = {
    {.arch = "llama"},
    {.arch = "qwen3", .type = 8, .kv_heads = 4},
    {.arch = "gemma3", .layers = 7, .window = 70, .type = 1},
    {.arch = "phi3", .kv_heads = 1, .type = 8, .window = 50},
    {.arch = "smollm3", .layers = 5, .head = 64, .dimension = 96},
};
static const int32_t kv_types[] = {SAT_KV_F32, SAT_KV_F16, SAT_KV_Q8_0};

/* ------------------------------------------------------------------ a process, as far as needed */

static char base[TEST_FOLDER_SIZE], folder[80];
static fault_files files;
static int logged;
static sat_decoder *decoder;
static sat_prefix *prefix;
static sat_sequence *sequence;
static satchel_context_options launch_options;

static void note_log(void *user, int32_t level, const char *message) {
    logged++;
}

static int make_folder(void **state) {
    if (!test_folder_make(base))
        return -1;
    snprintf(folder, sizeof folder, "%s/kv", base);
    make_tokens();
    files = (fault_files){0};
    logged = 0;
    launch_options = (satchel_context_options){.struct_size = sizeof launch_options,
                                               .threads = 2,
                                               .log = note_log,
                                               .cache_dir = folder,
                                               .cache_free_floor = 1};
    return 0;
}

static void each_file(void (*call)(const char *path, size_t number)) {
    DIR *directory = opendir(folder);
    char path[300];
    size_t number = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%.200s", folder, entry->d_name);
        call(path, number++);
    }
    if (directory)
        closedir(directory);
}

static size_t file_count;
static void count_file(const char *path, size_t number) {
    file_count++;
}
static size_t count_files(void) {
    file_count = 0;
    each_file(count_file);
    return file_count;
}

static void delete_file(const char *path, size_t number) {
    unlink(path);
}

static int remove_folder(void **state) {
    each_file(delete_file);
    rmdir(folder);
    return rmdir(base);
}

static void launch(const tiny_decoder *shape) {
    satchel_error error = {0};
    if (sat_context_open(&context, &launch_options, &error))
        fail_msg("%s", error.message);
    context->files = &fault_files_table;
    context->files_user = &files;
    decoder = open_decoder(shape);
    if (sat_prefix_open(&prefix, decoder, &error))
        fail_msg("%s", error.message);
}

static void end(void) {
    if (sequence)
        sat_sequence_close(&sequence);
    sat_prefix_close(&prefix);
    sat_decoder_close(&decoder);
    assert_int_equal(files.mappings, 0);
    assert_int_equal(files.open_files, 0);
    sat_context_release(context);
}

/* Computes all tokens in one process and saves them; logits of all. */
static float *first_launch(const tiny_decoder *shape, int32_t type) {
    float *logits = logits_new();
    launch(shape);
    sequence = open_sequence(decoder, LENGTH, type);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), 0);
    feed(sequence, 0, LENGTH, LENGTH, logits);
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    end();
    return logits;
}

/* Feeds from `from` on and compares. */
static void same_from(size_t from, const float *expected) {
    float *logits = logits_new();
    memcpy(logits, expected, from * VOCABULARY * sizeof *logits);
    feed(sequence, from, LENGTH, 50, logits);
    assert_memory_equal(logits, expected, LOGITS_BYTES);
    free(logits);
}

static void fill(size_t seed) {
    uint64_t random = seed;
    for (int i = 0; i < LENGTH; i++)
        tokens[i] = (int32_t)(test_random(&random) % VOCABULARY);
}

/* ------------------------------------------------------------------ the same bits */

static void a_relaunch_goes_on_with_the_same_bits(void **state) {
    for (size_t s = 0; s < SAT_COUNT(shapes); s++) {
        for (size_t k = 0; k < SAT_COUNT(kv_types); k++) {
            float *logits = first_launch(&shapes[s], kv_types[k]);
            for (int no_map = 0; no_map < (s == 0 ? 2 : 1); no_map++) {
                files.no_map = no_map;
                launch_options.threads = 3;
                launch(&shapes[s]);
                sequence = open_sequence(decoder, LENGTH, kv_types[k]);
                assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
                assert_int_equal(sat_sequence_length(sequence), WHOLE);
                assert_int_equal(files.mappings, no_map ? 0 : PAGES);
                same_from(WHOLE, logits);
                assert_int_equal(files.mappings, no_map ? 0 : PAGES); /* they are read in place */
                end();
            }
            files.no_map = false;
            free(logits);
        }
    }
    assert_int_equal(logged, 0);
}

static void a_cut_page_is_copied_before_it_is_written(void **state) {
    static const size_t lengths[] = {255, 193, 192, 191, 128, 65, 1, 0};
    for (size_t k = 0; k < SAT_COUNT(kv_types); k++) {
        const tiny_decoder *shape = &shapes[2]; /* with windows */
        float *logits = first_launch(shape, kv_types[k]);
        launch(shape);
        for (size_t i = 0; i < SAT_COUNT(lengths); i++) {
            size_t length = lengths[i];
            sequence = open_sequence(decoder, LENGTH, kv_types[k]);
            assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
            assert_int_equal(sat_sequence_cut(sequence, length, NULL), SATCHEL_OK);
            assert_int_equal(files.mappings, (length + SAT_KV_PAGE - 1) / SAT_KV_PAGE);
            /* Others are written there, cut off, and the right ones come. */
            int32_t others[5] = {1, 2, 3, 4, 5};
            assert_int_equal(sat_sequence_feed(sequence, others, 5, 0, NULL, NULL, NULL),
                             SATCHEL_OK);
            assert_int_equal(files.mappings, length / SAT_KV_PAGE);
            assert_int_equal(sat_sequence_cut(sequence, length, NULL), SATCHEL_OK);
            same_from(length, logits);
            sat_sequence_close(&sequence);
        }
        end();
        free(logits);
    }
    assert_int_equal(logged, 0); /* no file was changed */
}

static void a_sequence_goes_on_in_the_middle_of_a_page(void **state) {
    float *logits = first_launch(&shapes[0], SAT_KV_F16);
    launch(&shapes[0]);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    float *part = logits_new();
    feed(sequence, 0, 100, 100, part);
    free(part);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    assert_int_equal(files.mappings, PAGES - 1); /* not the one that is whole */
    same_from(WHOLE, logits);
    /* What is not there takes nothing away. */
    each_file(delete_file);
    assert_int_equal(sat_sequence_cut(sequence, 100, NULL), SATCHEL_OK);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), 100);
    same_from(100, logits);
    /* Nothing to load: all asked for is in the sequence. */
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), LENGTH);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, 10, NULL), LENGTH);
    end();
    free(logits);
}

static void no_more_is_loaded_than_asked_for_or_fits(void **state) {
    float *logits = first_launch(&shapes[0], SAT_KV_F16);
    launch(&shapes[0]);
    static const size_t counts[][3] = {{LENGTH, 63, 0},    {LENGTH, 64, 64},  {LENGTH, 255, 192},
                                       {LENGTH, 256, 256}, {100, LENGTH, 64}, {256, LENGTH, 256}};
    for (size_t i = 0; i < SAT_COUNT(counts); i++) {
        sequence = open_sequence(decoder, counts[i][0], SAT_KV_F16);
        assert_int_equal(sat_prefix_load(prefix, sequence, tokens, counts[i][1], NULL),
                         counts[i][2]);
        sat_sequence_close(&sequence);
    }
    end();
    free(logits);
}

static void what_was_loaded_can_be_saved_again(void **state) {
    float *logits = first_launch(&shapes[0], SAT_KV_F16);
    launch(&shapes[0]);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    each_file(delete_file);
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    assert_int_equal(count_files(), PAGES);
    long calls = files.calls;
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    assert_int_equal(files.calls - calls, 2 * PAGES); /* a look and a note each: nothing written */
    sat_sequence_close(&sequence);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    same_from(WHOLE, logits);
    end();
    free(logits);
}

/* ------------------------------------------------------------------ whose pages they are */

static size_t loads(const tiny_decoder *shape, int32_t type) {
    launch(shape);
    sequence = open_sequence(decoder, LENGTH, type);
    size_t length = sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL);
    end();
    return length;
}

static void pages_are_of_the_tokens_before_them_too(void **state) {
    free(first_launch(&shapes[0], SAT_KV_F16));
    for (size_t i = 0; i < LENGTH; i += 33) {
        int32_t token = tokens[i];
        tokens[i] = (token + 1) % VOCABULARY;
        size_t whole = i / SAT_KV_PAGE * SAT_KV_PAGE;
        assert_int_equal(loads(&shapes[0], SAT_KV_F16), whole < WHOLE ? whole : WHOLE);
        tokens[i] = token;
    }
    assert_int_equal(loads(&shapes[0], SAT_KV_F16), WHOLE);
}

static void pages_are_of_one_model_type_and_level(void **state) {
    free(first_launch(&shapes[0], SAT_KV_F16));
    tiny_decoder other_type = {.arch = "llama", .type = 1},
                 other_key = {
                     .arch = "llama", .other_key = "rope.dimension_count", .other_value = 16};
    assert_int_equal(loads(&other_type, SAT_KV_F16), 0);
    assert_int_equal(loads(&other_key, SAT_KV_F16), 0);
    assert_int_equal(loads(&shapes[0], SAT_KV_F32), 0);
    assert_int_equal(loads(&shapes[0], SAT_KV_Q8_0), 0);
    launch_options.cpu_level = SATCHEL_CPU_C;
    assert_int_equal(loads(&shapes[0], SAT_KV_F16), sat_cpu_best() == SATCHEL_CPU_C ? WHOLE : 0);
    launch_options.cpu_level = SATCHEL_CPU_DEFAULT;
    assert_int_equal(loads(&shapes[0], SAT_KV_F16), WHOLE);
    assert_int_equal(logged, 0); /* they are looked for under other names */
}

/* change: of a bit in the middle of the last tensor, where no sample is taken */
static sat_adapter *open_adapter(uint8_t change) {
    sat_adapter *adapter;
    sat_mapping mapping;
    satchel_error error = {0};
    size_t size;
    uint8_t *bytes = tiny_adapter_bytes(&shapes[0], false, &size);
    bytes[size - 724] ^= change;
    assert_true(tiny_mapping(&mapping, context, bytes, size));
    free(bytes);
    if (sat_adapter_open(&adapter, decoder, &mapping, "adapter.gguf", &error))
        fail_msg("%s", error.message);
    sat_file_unmap(context, &mapping);
    return adapter;
}

/* Tokens loaded with `count` adapters of these scales; saves them too, if told to. */
static size_t adapted(size_t count, float scale, float second, uint8_t change, float *save) {
    launch(&shapes[0]);
    sat_adapter *adapters[2] = {open_adapter(change), open_adapter(0)};
    const float scales[2] = {scale, second};
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    assert_int_equal(
        sat_sequence_adapt(sequence, (const sat_adapter *const *)adapters, scales, count, NULL),
        SATCHEL_OK);
    size_t length = sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL);
    if (save) {
        feed(sequence, length, LENGTH, LENGTH, save);
        assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    }
    sat_sequence_close(&sequence);
    sat_adapter_close(&adapters[0]);
    sat_adapter_close(&adapters[1]);
    end();
    return length;
}

static void pages_are_of_their_adapters(void **state) {
    float *with = logits_new(), *again = logits_new();
    free(first_launch(&shapes[0], SAT_KV_F16));
    assert_int_equal(adapted(0, 0, 0, 0, NULL), WHOLE);
    assert_int_equal(adapted(1, 1, 0, 0, with), 0);
    assert_int_equal(adapted(1, 1, 0, 0, again), WHOLE);
    size_t tail = (LENGTH - WHOLE) * VOCABULARY;
    assert_memory_equal(with + WHOLE * VOCABULARY, again + WHOLE * VOCABULARY, tail * sizeof *with);
    assert_int_equal(adapted(1, 0.5f, 0, 0, NULL), 0);
    assert_int_equal(adapted(2, 1, 1, 0, NULL), 0);
    assert_int_equal(adapted(1, 1, 0, 1, NULL), 0); /* one bit of one weight */
    assert_int_equal(adapted(0, 0, 0, 0, NULL), WHOLE);
    free(with);
    free(again);
}

static void without_a_folder_nothing_is_done(void **state) {
    launch_options.cache_dir = NULL;
    launch(&shapes[0]);
    assert_null(prefix);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    float *logits = logits_new();
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), 0);
    feed(sequence, 0, LENGTH, LENGTH, logits);
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), 0);
    end();
    free(logits);
    assert_int_equal(access(folder, F_OK), -1);
}

/* ------------------------------------------------------------------ damage */

static size_t damage_at; /* a share of the file, in 1/16 */
static size_t damage_page;
static bool damage_cuts;

static void damage_file(const char *path, size_t number) {
    struct stat info;
    if (number != damage_page)
        return;
    assert_int_equal(stat(path, &info), 0);
    long at = (long)((size_t)info.st_size * damage_at / 16);
    if (damage_cuts) {
        assert_int_equal(truncate(path, at), 0);
        return;
    }
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 0x40, file), byte ^ 0x40);
    fclose(file);
}

static void a_damaged_page_is_computed_and_saved_anew(void **state) {
    float *logits = first_launch(&shapes[2], SAT_KV_Q8_0);
    int damaged = 0;
    for (int cuts = 0; cuts < 2; cuts++) {
        for (damage_page = 0; damage_page < PAGES; damage_page++) {
            damage_at = (damage_page * 5 + (size_t)cuts) % 16;
            damage_cuts = cuts;
            each_file(damage_file);
            launch(&shapes[2]);
            sequence = open_sequence(decoder, LENGTH, SAT_KV_Q8_0);
            size_t length = sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL);
            assert_true(length < WHOLE); /* the chain ends there, wherever that is */
            assert_int_equal(length % SAT_KV_PAGE, 0);
            assert_int_equal(logged, ++damaged);
            assert_int_equal(count_files(), PAGES - 1);
            same_from(length, logits);
            assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
            assert_int_equal(count_files(), PAGES);
            end();
        }
    }
    assert_int_equal(loads(&shapes[2], SAT_KV_Q8_0), WHOLE);
    free(logits);
}

/* ------------------------------------------------------------------ limit, floor, cancel */

/* Of a saved page of shapes[0] at F16 */
static uint64_t file_bytes(void) {
    sat_decoder_info info;
    launch(&shapes[0]);
    sat_decoder_get_info(decoder, &info);
    end();
    return info.kv_bytes_a_token * SAT_KV_PAGE + SAT_CACHE_HEADER;
}

static void a_limit_saves_the_beginning(void **state) {
    launch_options.cache_limit = 3 * file_bytes() + 10;
    launch(&shapes[0]);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    float *logits = logits_new();
    feed(sequence, 0, LENGTH, LENGTH, logits);
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), 3 * SAT_KV_PAGE);
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), 3 * SAT_KV_PAGE);
    end();
    assert_int_equal(loads(&shapes[0], SAT_KV_F16), 3 * SAT_KV_PAGE);
    /* A page of another conversation takes the place of the last of this one. */
    fill(99);
    launch(&shapes[0]);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    feed(sequence, 0, SAT_KV_PAGE, SAT_KV_PAGE, logits);
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, SAT_KV_PAGE, NULL), SAT_KV_PAGE);
    end();
    assert_int_equal(loads(&shapes[0], SAT_KV_F16), SAT_KV_PAGE);
    fill(7);
    assert_int_equal(loads(&shapes[0], SAT_KV_F16), 2 * SAT_KV_PAGE);
    free(logits);
    assert_int_equal(logged, 0);
}

static void a_full_volume_saves_nothing(void **state) {
    launch(&shapes[0]);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    float *logits = logits_new();
    feed(sequence, 0, LENGTH, LENGTH, logits);
    files.space = 100;
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), 0);
    assert_int_equal(count_files(), 0);
    files.space = 0;
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    end();
    free(logits);
}

static void a_cancel_ends_both(void **state) {
    free(first_launch(&shapes[0], SAT_KV_F16));
    launch(&shapes[0]);
    struct satchel_cancel cancel = {.context = context};
    cancel.fired = 1;
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, &cancel), 0);
    assert_int_equal(sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL), WHOLE);
    each_file(delete_file);
    assert_int_equal(sat_prefix_save(prefix, sequence, tokens, LENGTH, &cancel), 0);
    assert_int_equal(count_files(), 0);
    end();
}

/* ------------------------------------------------------------------ faults */

/* A run that finds two pages, with the k-th call failing. True once no call failed. */
static bool faulty_run(long at, bool memory, bool for_good, test_allocator *allocator,
                       const sat_sequence *full, const float *logits) {
    each_file(delete_file);
    assert_int_equal(sat_prefix_save(prefix, full, tokens, 140, NULL), 128);
    files.calls = 0;
    allocator->calls = 0;
    if (memory)
        allocator->fail_at = (size_t)at;
    else
        files.fail_at = at;
    files.for_good = for_good;
    allocator->fail_after = for_good;
    size_t length = sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL);
    assert_int_equal(length, sat_sequence_length(sequence));
    same_from(length, logits);
    size_t saved = sat_prefix_save(prefix, sequence, tokens, LENGTH, NULL);
    bool all = memory ? (long)allocator->calls < at : files.calls < at;
    files.fail_at = 0;
    allocator->fail_at = 0;
    assert_true(saved <= WHOLE && saved % SAT_KV_PAGE == 0);
    if (all)
        assert_true(length == 128 && saved == WHOLE);
    /* What it says is saved is. */
    assert_int_equal(sat_sequence_cut(sequence, 0, NULL), SATCHEL_OK);
    length = sat_prefix_load(prefix, sequence, tokens, LENGTH, NULL);
    assert_true(length >= saved);
    same_from(length, logits);
    assert_int_equal(sat_sequence_cut(sequence, 0, NULL), SATCHEL_OK);
    return all;
}

static void no_failing_call_fails_a_run(void **state) {
    static const struct {
        bool memory, for_good, torn;
    } how[] = {{false, false, false},
               {false, true, false},
               {false, false, true},
               {true, false, false},
               {true, true, false}};
    tiny_decoder small = {.layers = 1, .dimension = 32, .heads = 1, .kv_heads = 1, .ffn = 32};
    test_allocator allocator = {0};
    satchel_allocator table = test_allocator_table(&allocator);
    float *logits = logits_new();
    launch_options.allocator = &table;
    launch_options.threads = 1;
    launch(&small);
    sat_sequence *full = open_sequence(decoder, LENGTH, SAT_KV_F16);
    feed(full, 0, LENGTH, LENGTH, logits);
    sequence = open_sequence(decoder, LENGTH, SAT_KV_F16);
    for (size_t i = 0; i < SAT_COUNT(how); i++) {
        files.torn = how[i].torn;
        for (long at = 1;
             !faulty_run(at, how[i].memory, how[i].for_good, &allocator, full, logits);)
            at++;
    }
    sat_sequence_close(&full);
    end();
    assert_allocator_clean(&allocator);
    free(logits);
}

static void opening_may_run_out_of_memory(void **state) {
    test_allocator allocator = {0};
    satchel_allocator table = test_allocator_table(&allocator);
    launch_options.allocator = &table;
    launch(&shapes[0]);
    sat_prefix *other;
    allocator.fail_at = allocator.calls + 1;
    assert_int_equal(sat_prefix_open(&other, decoder, NULL), SATCHEL_OUT_OF_MEMORY);
    assert_null(other);
    end();
    assert_allocator_clean(&allocator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
        CASE(a_relaunch_goes_on_with_the_same_bits),
        CASE(a_cut_page_is_copied_before_it_is_written),
        CASE(a_sequence_goes_on_in_the_middle_of_a_page),
        CASE(no_more_is_loaded_than_asked_for_or_fits),
        CASE(what_was_loaded_can_be_saved_again),
        CASE(pages_are_of_the_tokens_before_them_too),
        CASE(pages_are_of_one_model_type_and_level),
        CASE(pages_are_of_their_adapters),
        CASE(without_a_folder_nothing_is_done),
        CASE(a_damaged_page_is_computed_and_saved_anew),
        CASE(a_limit_saves_the_beginning),
        CASE(a_full_volume_saves_nothing),
        CASE(a_cancel_ends_both),
        CASE(no_failing_call_fails_a_run),
        CASE(opening_may_run_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
