/* SHA-256 against the standard's vectors; the fast hash for spread, stability and hostile keys. */
#include "tests/unit/base/unit.h"

static void sha256(const void *data, size_t size, char hex[65]) {
    sat_sha256 hash;
    uint8_t digest[32];
    sat_sha256_init(&hash);
    sat_sha256_add(&hash, data, size);
    sat_sha256_end(&hash, digest);
    sat_hex(hex, digest, 32);
}

static void sha256_gives_the_standard_s_vectors(void **state) {
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
         "mnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char hex[65];
    for (size_t i = 0; i < SAT_COUNT(vectors); i++) {
        sha256(vectors[i].text, strlen(vectors[i].text), hex);
        assert_string_equal(hex, vectors[i].digest);
    }
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    sha256(million, 1000000, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void sha256_does_not_depend_on_the_pieces(void **state) {
    uint8_t data[300];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size <= sizeof data; size++) {
        char whole[65], pieces[65];
        uint8_t digest[32];
        sat_sha256 hash;
        sha256(data, size, whole);
        sat_sha256_init(&hash);
        for (size_t at = 0, part = size % 5; at < size; at += part, part = (part * 3 + 1) % 80) {
            if (part > size - at)
                part = size - at;
            sat_sha256_add(&hash, data + at, part);
        }
        sat_sha256_add(&hash, NULL, 0);
        sat_sha256_end(&hash, digest);
        sat_hex(pieces, digest, 32);
        assert_string_equal(pieces, whole);
        sat_digest name = sat_digest_of(data, size);
        assert_memory_equal(name.bytes, digest, 16);
    }
}

static void hex_is_lower_case(void **state) {
    char hex[7] = "??????";
    sat_hex(hex, (const uint8_t *)"\x00\xAF\x5C", 3);
    assert_string_equal(hex, "00af5c");
    sat_hex(hex, NULL, 0);
    assert_string_equal(hex, "");
}

/* Values computed apart from this code: the hash may be stored, so it may not change. */
static void hash64_is_the_same_everywhere(void **state) {
    static const char text[] = "The quick brown fox jumps over the lazy dog, twice a day at least.";
    static const struct {
        size_t size;
        uint64_t seed, hash;
    } cases[] = {
        {0, UINT64_C(0x0), UINT64_C(0x141860d7349e178f)},
        {0, UINT64_C(0x1), UINT64_C(0xb3db1e639d5b9f6b)},
        {1, UINT64_C(0x0), UINT64_C(0x90d4e4fd007ff02a)},
        {8, UINT64_C(0x0), UINT64_C(0x2cc9a0512aaf7d04)},
        {9, UINT64_C(0x0), UINT64_C(0x2e2fe542a9dcfd35)},
        {16, UINT64_C(0x0), UINT64_C(0xac59f48d700cede0)},
        {17, UINT64_C(0x5), UINT64_C(0x21074a838ba326ef)},
        {43, UINT64_C(0xffffffffffffffff), UINT64_C(0x8cb13e477800f30d)},
        {66, UINT64_C(0x0), UINT64_C(0x826dc45c928861da)},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++)
        assert_true(sat_hash64(text, cases[i].size, cases[i].seed) == cases[i].hash);
}

static void hash64_spreads_every_bit(void **state) {
    enum { ROUNDS = 400 };
    static const size_t sizes[] = {1, 3, 8, 9, 16, 17, 31, 48, 100};
    uint64_t seed = 1;
    for (size_t s = 0; s < SAT_COUNT(sizes); s++) {
        size_t size = sizes[s];
        for (size_t bit = 0; bit < 8 * size; bit++) {
            int flips[64] = {0};
            for (int round = 0; round < ROUNDS; round++) {
                uint8_t key[100];
                for (size_t i = 0; i < size; i++)
                    key[i] = (uint8_t)test_random(&seed);
                uint64_t before = sat_hash64(key, size, 0);
                key[bit / 8] ^= (uint8_t)(1 << bit % 8);
                uint64_t change = before ^ sat_hash64(key, size, 0);
                for (int i = 0; i < 64; i++)
                    flips[i] += change >> i & 1;
            }
            for (int i = 0; i < 64; i++) /* 6 standard deviations of 10 around the half */
                assert_in_range(flips[i], ROUNDS / 2 - 60, ROUNDS / 2 + 60);
        }
    }
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void assert_all_differ(uint64_t *hashes, size_t count) {
    qsort(hashes, count, sizeof *hashes, compare_hashes);
    for (size_t i = 1; i < count; i++)
        assert_true(hashes[i - 1] != hashes[i]);
}

static void hash64_tells_alike_keys_apart(void **state) {
    enum { COUNT = 100000 };
    uint64_t *hashes = malloc(COUNT * sizeof *hashes);
    for (uint32_t i = 0; i < COUNT; i++)
        hashes[i] = sat_hash64(&i, sizeof i, 0);
    assert_all_differ(hashes, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        hashes[i] = sat_hash64("key", 3, i);
    assert_all_differ(hashes, COUNT);
    uint8_t zeros[1000] = {0};
    for (size_t i = 0; i <= sizeof zeros; i++)
        hashes[i] = sat_hash64(zeros, i, 0);
    assert_all_differ(hashes, sizeof zeros + 1);
    free(hashes);
}

/* Blocks that make a factor of the multiplication zero must not swallow what stands before them.
 * The factor is state ^ block ^ constant: any fixed block does it for one state in 2^64 only, so
 * the test takes the state from the hash's own start: seed 0, second lane. */
static void hash64_survives_chosen_zeros(void **state) {
    enum { COUNT = 4096, SIZE = 48 };
    const uint64_t k0 = UINT64_C(0x9E3779B97F4A7C15), k2 = UINT64_C(0xBB67AE8584CAA73B);
    uint64_t second = (uint64_t)SIZE * k0 ^ k2; /* makes the first block's second factor 0 */
    static uint64_t hashes[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        uint8_t key[SIZE] = {0};
        memcpy(key, &i, sizeof i); /* the other factor carries the key */
        for (int b = 0; b < 8; b++)
            key[8 + b] = (uint8_t)(second >> 8 * b);
        hashes[i] = sat_hash64(key, SIZE, 0);
    }
    assert_all_differ(hashes, COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_standard_s_vectors),
        cmocka_unit_test(sha256_does_not_depend_on_the_pieces),
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(hash64_is_the_same_everywhere),
        cmocka_unit_test(hash64_spreads_every_bit),
        cmocka_unit_test(hash64_tells_alike_keys_apart),
        cmocka_unit_test(hash64_survives_chosen_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
