/* The harness of the kernel checks: arguments, levels, buffers, random data, TAP. */
#include "tests/kernels/check.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"

int32_t check_levels[8];
size_t check_level_count;

static uint64_t seed;
static uint64_t state;
static const char *only;
static int32_t only_level;
static unsigned tests, failed_tests, failures;
static const char *current;
static sigjmp_buf crash;

/* ------------------------------------------------------------------ random */

uint32_t check_random(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545f4914f6cdd1dull >> 32);
}

double check_uniform(double low, double high) {
    return low + (high - low) * (check_random() * 0x1p-32);
}

void check_bytes(void *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)check_random();
}

static float draw(check_style style) {
    double sign = check_random() & 1 ? -1 : 1;
    switch (style) {
    case STYLE_SMALL_INT:
        return (float)((int)check_below(17) - 8);
    case STYLE_WIDE:
        return (float)(sign * ldexp(check_uniform(1, 2), (int)check_below(121) - 60));
    case STYLE_SUBNORMAL:
        return (float)(sign * ldexp(check_uniform(0, 1), -126 - (int)check_below(20)));
    case STYLE_ZERO:
        return check_below(8) ? (float)(sign * 0.0) : (float)check_uniform(-1, 1);
    case STYLE_HUGE:
        return (float)(sign * check_uniform(0.5, 1) * 3.4028234e38);
    default: { /* about normal: the sum of four uniforms */
        double x = 0;
        for (int i = 0; i < 4; i++)
            x += check_uniform(-1, 1);
        return (float)x;
    }
    }
}

void check_fill(float *x, size_t n, check_style style) {
    for (size_t i = 0; i < n; i++)
        x[i] = draw(style);
}

/* ------------------------------------------------------------------ buffers */

enum { CANARY = 0xa5, FRONT = 256, BUFFERS = 4096 };

static struct {
    uint8_t *map, *data, *end; /* end: where unmapped memory begins */
    size_t bytes;
} buffers[BUFFERS];
static size_t buffer_count;

void *check_buffer(size_t bytes, size_t tail) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t used = (FRONT + bytes + tail + page - 1) / page * page;
    if (buffer_count == BUFFERS) {
        printf("Bail out! a case uses too many buffers\n");
        exit(1);
    }
    uint8_t *map =
        mmap(NULL, used + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + used, page, PROT_NONE) != 0) {
        printf("Bail out! no memory\n");
        exit(1);
    }
    memset(map, CANARY, used);
    uint8_t *data = map + used - tail - bytes;
    buffers[buffer_count].map = map;
    buffers[buffer_count].data = data;
    buffers[buffer_count].end = map + used;
    buffers[buffer_count++].bytes = bytes;
    return data;
}

void check_canaries(void) {
    for (size_t i = 0; i < buffer_count; i++) {
        for (const uint8_t *p = buffers[i].map; p < buffers[i].data; p++)
            if (*p != CANARY) {
                FAIL("written %td bytes before a buffer of %zu", buffers[i].data - p,
                     buffers[i].bytes);
                return;
            }
        for (const uint8_t *p = buffers[i].data + buffers[i].bytes; p < buffers[i].end; p++)
            if (*p != CANARY) {
                FAIL("written at %td of a buffer of %zu bytes", p - buffers[i].data,
                     buffers[i].bytes);
                return;
            }
    }
}

void check_release(void) {
    check_canaries();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    while (buffer_count > 0) {
        buffer_count--;
        munmap(buffers[buffer_count].map,
               (size_t)(buffers[buffer_count].end - buffers[buffer_count].map) + page);
    }
}

bool check_same_floats(const float *a, const float *b, size_t n, size_t *where) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            *where = i;
            return false;
        }
    return true;
}

/* ------------------------------------------------------------------ running */

void check_fail(const char *file, int line, const char *format, ...) {
    if (failures++ >= 5)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("# %s: %s:%d: ", current, file, line);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static void on_signal(int number) {
    siglongjmp(crash, number);
}

static void run_level(const char *name, check_case *run, int32_t level) {
    static char title[128];
    snprintf(title, sizeof title, "%s %s", name, sat_cpu_name(level));
    current = title;
    failures = 0;
    state = seed * 0x9e3779b97f4a7c15ull + 0x1234567; /* each case alone is repeatable */
    int number = sigsetjmp(crash, 1);
    if (number == 0)
        run(level);
    else
        FAIL("signal %d: an access outside of a buffer, or an instruction this CPU lacks", number);
    check_release();
    tests++;
    failed_tests += failures != 0;
    printf("%sok %u - %s\n", failures ? "not " : "", tests, title);
    fflush(stdout);
}

void check_run(const char *name, check_case *run) {
    if (only && !strstr(name, only))
        return;
    for (size_t i = 0; i < check_level_count; i++)
        if (!only_level || check_levels[i] == only_level)
            run_level(name, run, check_levels[i]);
}

static int usage(const char *program) {
    fprintf(stderr, "usage: %s [--seed N] [--level NAME] [--only PART-OF-NAME] [--bench]\n",
            program);
    return 2;
}

int main(int argc, char **argv) {
    bool bench = false;
    seed = (uint64_t)time(NULL) * 1000003u ^ (uint64_t)getpid();
    seed %= 1000000000u;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            bench = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--level") == 0 && i + 1 < argc &&
                 (only_level = sat_cpu_from_name(argv[++i])) != 0)
            ;
        else
            return usage(argv[0]);
    }
    static const int32_t known[] = {SATCHEL_CPU_C,      SATCHEL_CPU_AVX2, SATCHEL_CPU_AVXVNNI,
                                    SATCHEL_CPU_AVX512, SATCHEL_CPU_NEON, SATCHEL_CPU_DOTPROD,
                                    SATCHEL_CPU_I8MM};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (sat_cpu_choose(known[i]) == known[i] &&
            (!bench || !only_level || known[i] == only_level))
            check_levels[check_level_count++] = known[i];
    if (bench) {
        bench_all();
        return 0;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    printf("TAP version 13\n# seed %llu\n", (unsigned long long)seed);
    check_vector();
    check_products();
    check_rows();
    check_gemm();
    check_attention();
    check_matmul();
    check_steps();
    check_cluster();
    check_cluster_tile();
    printf("1..%u\n", tests);
    return failed_tests != 0;
}
