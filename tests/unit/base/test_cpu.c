/* CPU levels against what the kernel says of the machine, and the count of cores. */
#include <sched.h>
#include <unistd.h>

#include "tests/unit/base/unit.h"

static const int32_t all_levels[] = {SATCHEL_CPU_C,      SATCHEL_CPU_AVX2, SATCHEL_CPU_AVXVNNI,
                                     SATCHEL_CPU_AVX512, SATCHEL_CPU_NEON, SATCHEL_CPU_DOTPROD,
                                     SATCHEL_CPU_I8MM};

static void names_go_both_ways(void **state) {
    for (size_t i = 0; i < SAT_COUNT(all_levels); i++)
        assert_int_equal(sat_cpu_from_name(sat_cpu_name(all_levels[i])), all_levels[i]);
    assert_string_equal(sat_cpu_name(SATCHEL_CPU_AVX512), "avx512");
    assert_string_equal(sat_cpu_name(SATCHEL_CPU_AVXVNNI), "avxvnni");
    assert_string_equal(sat_cpu_name(SATCHEL_CPU_I8MM), "i8mm");
    assert_string_equal(sat_cpu_name(SATCHEL_CPU_DEFAULT), "unknown");
    assert_string_equal(sat_cpu_name(-5), "unknown");
    assert_int_equal(sat_cpu_from_name("sse9"), SATCHEL_CPU_DEFAULT);
    assert_int_equal(sat_cpu_from_name(""), SATCHEL_CPU_DEFAULT);
}

static void a_ceiling_is_kept(void **state) {
    int32_t best = sat_cpu_best();
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_DEFAULT), best);
    assert_int_equal(sat_cpu_choose(best), best);
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_C), SATCHEL_CPU_C);
    for (int32_t unknown = -3; unknown < 40; unknown++) {
        bool known = strcmp(sat_cpu_name(unknown), "unknown") != 0;
        int32_t chosen = sat_cpu_choose(unknown);
        if (unknown != SATCHEL_CPU_DEFAULT)
            assert_true(chosen == SATCHEL_CPU_DEFAULT || (known && chosen == unknown));
    }
#if defined(__x86_64__)
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_NEON), SATCHEL_CPU_DEFAULT);
#elif defined(__aarch64__)
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_AVX2), SATCHEL_CPU_DEFAULT);
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_NEON), SATCHEL_CPU_NEON);
#endif
}

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
static bool cpuinfo_has(const char *flag) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    static char line[16384];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0)
            continue;
        for (char *word = strtok(line, " \t\n"); word && !found; word = strtok(NULL, " \t\n"))
            found = strcmp(word, flag) == 0;
    }
    if (file)
        fclose(file);
    return found;
}

static void levels_agree_with_the_kernel(void **state) {
#if defined(__x86_64__)
    bool avx2 = cpuinfo_has("avx2") && cpuinfo_has("fma") && cpuinfo_has("f16c");
    bool avx512 = avx2 && cpuinfo_has("avx512f") && cpuinfo_has("avx512bw") &&
                  cpuinfo_has("avx512dq") && cpuinfo_has("avx512vl") && cpuinfo_has("avx512_vnni");
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_AVX2), avx2 ? SATCHEL_CPU_AVX2 : 0);
    bool avxvnni = avx2 && cpuinfo_has("avx_vnni");
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_AVXVNNI), avxvnni ? SATCHEL_CPU_AVXVNNI : 0);
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_AVX512), avx512 ? SATCHEL_CPU_AVX512 : 0);
#else
    if (!cpuinfo_has("asimd"))
        skip(); /* an emulator may show the host's */
    bool dotprod = cpuinfo_has("asimddp");
    bool i8mm = dotprod && cpuinfo_has("i8mm");
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_DOTPROD), dotprod ? SATCHEL_CPU_DOTPROD : 0);
    assert_int_equal(sat_cpu_choose(SATCHEL_CPU_I8MM), i8mm ? SATCHEL_CPU_I8MM : 0);
#endif
}
#endif

static void cores_follow_affinity(void **state) {
    int32_t cores = sat_cpu_cores();
    assert_in_range(cores, 1, sysconf(_SC_NPROCESSORS_CONF));
#if defined(__linux__)
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0)
        skip();
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &before))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0)
            continue;
        assert_int_equal(sat_cpu_cores(), 1);
    }
    sched_setaffinity(0, sizeof before, &before);
    assert_int_equal(sat_cpu_cores(), cores);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(a_ceiling_is_kept),
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
        cmocka_unit_test(levels_agree_with_the_kernel),
#endif
        cmocka_unit_test(cores_follow_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
