/* A damaged vector index never gives a wrong answer: it is refused, search goes on from the store,
 * and upkeep makes a new one. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/retrieval/index_fixture.h"

/* Flips a bit of byte `at`, from the end if negative. */
static void flip(const char *path, int64_t at) {
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (at < 0)
        at += lseek(fd, 0, SEEK_END);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* What test_index looks at with all its queries is looked at with three: there are dozens of damages. */
static void expect_exact(fixture *f) {
    index_expect_exact_for(f, 3);
}

static void expect_served(fixture *f) {
    expect_exact(f);
    assert_true(index_serves(f));
}

static sat_generation_info info_of(fixture *f) {
    sat_index_row row;
    sat_connection *reader;
    sat_generation *generation;
    fixture_fine(f, sat_reader_begin(f->store, NULL, &reader, &f->error));
    fixture_fine(f, sat_index_read(reader, &row, &f->error));
    sat_reader_end(reader);
    fixture_fine(f, sat_index_get(f->store->index, &row, &generation, &f->error));
    sat_generation_info info = generation->info;
    sat_generation_release(generation);
    return info;
}

/* The damage is found, by a search or by upkeep; answers are right before and after. */
static void expect_recovery(fixture *f, int64_t number) {
    fixture_fine(f, fixture_open(f));
    expect_exact(f);
    assert_false(index_serves(f));
    int64_t problems = 0;
    fixture_fine(f, sat_store_verify(f->store, NULL, NULL, &problems, &f->error));
    assert_true(problems > 0);
    index_maintain(f);
    assert_int_equal(index_number(f), number + 1);
    assert_int_equal(index_files(f), 1);
    expect_served(f);
    fixture_verify(f);
}

static void every_section_is_checked(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    sat_generation_info info = info_of(f);
    int64_t number = 1;
    for (int kind = 0; kind < SAT_SECTION_END; kind++) {
        /* The header is section 0 here. */
        uint64_t offset = kind ? info.sections[kind].offset : 0;
        uint64_t size = kind ? info.sections[kind].size : SAT_GENERATION_HEADER;
        const uint64_t places[] = {0, size / 2, size - 1};
        for (size_t i = 0; i < SAT_COUNT(places); i++) {
            char path[256];
            index_path(f, path);
            fixture_close(f);
            flip(path, (int64_t)(offset + places[i]));
            expect_recovery(f, number++);
        }
    }
}

static void cut_files_are_refused(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    sat_generation_info info = info_of(f);
    const uint64_t sizes[] = {0,
                              1,
                              SAT_GENERATION_HEADER - 1,
                              SAT_GENERATION_HEADER,
                              info.sections[SAT_SECTION_CENTROIDS].offset,
                              info.sections[SAT_SECTION_LISTS].offset,
                              info.file_size - 1,
                              info.file_size + 1};
    for (size_t i = 0; i < SAT_COUNT(sizes); i++) {
        char path[256];
        index_path(f, path);
        fixture_close(f);
        assert_int_equal(truncate(path, (off_t)sizes[i]), 0);
        expect_recovery(f, (int64_t)i + 1);
    }
}

/* A list that no search has touched: upkeep looks through it. */
static void upkeep_finds_what_no_search_has(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    char path[256];
    index_path(f, path);
    fixture_close(f);
    flip(path, -1);
    fixture_fine(f, fixture_open(f));
    index_maintain(f);
    assert_int_equal(index_number(f), 2);
    expect_served(f);
}

/* Damage under the eyes of an open handle: a list is looked at when it is first needed. */
static void damage_while_open_is_found(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    sat_generation_info info = info_of(f);
    char path[256];
    index_path(f, path);
    fixture_fine(f, fixture_open(f));
    index_hits hits;
    char query[128];
    index_search(f, false, index_query(1, query), SATCHEL_SEARCH_VECTOR, "{\"path\":\"nowhere\"}",
                 10, &hits);
    assert_true(index_serves(f)); /* open, but no list was needed */
    flip(path, (int64_t)info.sections[SAT_SECTION_LISTS].offset);
    expect_exact(f);
    assert_false(index_serves(f));
    index_maintain(f);
    assert_int_equal(index_number(f), 2);
    expect_served(f);
}

/* The header's fields, each changed with the hashes put right again: what hashes do not tell is
 * checked by itself. */
static void seal(fixture *f, const char *path, int64_t number) {
    uint8_t header[SAT_GENERATION_HEADER];
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
    uint64_t hash = sat_hash64(header, sizeof header - 8, 0);
    assert_int_equal(pwrite(fd, &hash, 8, sizeof header - 8), 8);
    close(fd);
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE format SET value = '%lld %016llx' WHERE key = 'index'",
             (long long)number, (unsigned long long)hash);
    fixture_sql(f, sql);
}

/* What stands in the file is not used; upkeep makes one of this number. */
static void expect_made_anew(fixture *f, int64_t number) {
    fixture_fine(f, fixture_open(f));
    expect_exact(f);
    assert_false(index_serves(f));
    index_maintain(f);
    assert_int_equal(index_number(f), number);
}

static void header_fields_are_checked(void **state) {
    fixture *f = index_ready(state);
    /* version, kind, size, number, fingerprint, dimension, lists, rows, sections, a kind, an
     * offset, a size */
    const int64_t fields[] = {8, 12, 16, 24, 32, 48, 52, 56, 88, 256, 256 + 8, 256 + 16, 256 + 49};
    int64_t number = 1;
    index_maintain(f);
    for (size_t i = 0; i < SAT_COUNT(fields); i++) {
        char path[256];
        index_path(f, path);
        fixture_close(f);
        flip(path, fields[i]);
        seal(f, path, number++);
        expect_made_anew(f, number);
        expect_exact(f);
        assert_true(index_serves(f));
    }
}

/* Sections whose contents do not fit each other, with all hashes right. */
static void contents_are_checked(void **state) {
    fixture *f = index_ready(state);
    index_maintain(f);
    int64_t number = 1;
    static const struct {
        int kind;
        int64_t at;
    } places[] = {
        {SAT_SECTION_KEYS, 8 + 7},   /* seq beyond the last */
        {SAT_SECTION_KEYS, 24 + 8},  /* not ascending */
        {SAT_SECTION_LABELS, 3},     /* no such list */
        {SAT_SECTION_SAMPLE, 0},     /* more rows than there are */
        {SAT_SECTION_SAMPLE, 8 + 7}, /* no such row */
        {SAT_SECTION_TABLE, 0},      /* offset */
        {SAT_SECTION_TABLE, 8 + 1},  /* rows */
    };
    for (size_t i = 0; i < SAT_COUNT(places); i++) {
        sat_generation_info info = info_of(f);
        int kind = places[i].kind;
        char path[256];
        index_path(f, path);
        fixture_close(f);
        flip(path, (int64_t)info.sections[kind].offset + places[i].at);
        uint8_t *data = malloc(info.sections[kind].size);
        int fd = open(path, O_RDWR);
        assert_int_equal(
            pread(fd, data, info.sections[kind].size, (off_t)info.sections[kind].offset),
            (ssize_t)info.sections[kind].size);
        uint64_t hash = sat_hash64(data, info.sections[kind].size, (uint64_t)kind);
        assert_int_equal(pwrite(fd, &hash, 8, 256 + (kind - 1) * 40 + 24), 8);
        close(fd);
        free(data);
        seal(f, path, number++);
        expect_made_anew(f, number);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, index_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_section_is_checked),        TEST(cut_files_are_refused),
        TEST(upkeep_finds_what_no_search_has), TEST(damage_while_open_is_found),
        TEST(header_fields_are_checked),       TEST(contents_are_checked),
    };
    return cmocka_run_group_tests_name("index_damage", tests, NULL, index_group_teardown);
}
