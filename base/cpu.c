/* Instruction-set levels and cores: asked of the CPU and of the operating system, which must save
 * the wide registers across a switch for them to be usable. */
#include "base/cpu.h"

#include <stddef.h>
#include <string.h>

#include "base/status.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#else
#include <unistd.h>
#endif

static const struct {
    int32_t level;
    const char *name;
} levels[] = {
    {SATCHEL_CPU_C, "c"},           {SATCHEL_CPU_AVX2, "avx2"}, {SATCHEL_CPU_AVXVNNI, "avxvnni"},
    {SATCHEL_CPU_AVX512, "avx512"}, {SATCHEL_CPU_NEON, "neon"}, {SATCHEL_CPU_DOTPROD, "dotprod"},
    {SATCHEL_CPU_I8MM, "i8mm"},
};

/* ------------------------------------------------------------------ levels */

#if defined(__x86_64__) || defined(__i386__)

/* Which register states the operating system saves (XCR0). Only called when OSXSAVE is set. */
static uint64_t saved_states(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

#define HAS(word, bit) ((word) >> (bit)&1)

static bool has_level(int32_t level) {
    unsigned a, b, c, d;
    if (level == SATCHEL_CPU_C)
        return true;
    if (level != SATCHEL_CPU_AVX2 && level != SATCHEL_CPU_AVXVNNI && level != SATCHEL_CPU_AVX512)
        return false;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return false;
    /* FMA, OSXSAVE, AVX, F16C; then XMM and YMM state. */
    if (!(HAS(c, 12) && HAS(c, 27) && HAS(c, 28) && HAS(c, 29)) || (saved_states() & 0x06) != 0x06)
        return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !HAS(b, 5)) /* AVX2 */
        return false;
    if (level == SATCHEL_CPU_AVX2)
        return true;
    if (level == SATCHEL_CPU_AVXVNNI) /* not in every CPU that has AVX-512 */
        return a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && HAS(a, 4);
    /* F, DQ, BW, VL, VNNI; then mask, upper ZMM and high ZMM state. */
    return HAS(b, 16) && HAS(b, 17) && HAS(b, 30) && HAS(b, 31) && HAS(c, 11) &&
           (saved_states() & 0xE6) == 0xE6;
}

#elif defined(__aarch64__)

#if defined(__APPLE__)
static bool has_feature(const char *name) {
    int present = 0;
    size_t size = sizeof present;
    return sysctlbyname(name, &present, &size, NULL, 0) == 0 && present;
}
#endif

static bool has_level(int32_t level) {
    if (level == SATCHEL_CPU_C || level == SATCHEL_CPU_NEON)
        return true;
    if (level != SATCHEL_CPU_DOTPROD && level != SATCHEL_CPU_I8MM)
        return false;
#if defined(__linux__)
    return getauxval(AT_HWCAP) >> 20 & 1 /* HWCAP_ASIMDDP */ &&
           (level == SATCHEL_CPU_DOTPROD || getauxval(AT_HWCAP2) >> 13 & 1 /* HWCAP2_I8MM */);
#elif defined(__APPLE__)
    return has_feature("hw.optional.arm.FEAT_DotProd") &&
           (level == SATCHEL_CPU_DOTPROD || has_feature("hw.optional.arm.FEAT_I8MM"));
#else
    return false;
#endif
}

#else

static bool has_level(int32_t level) {
    return level == SATCHEL_CPU_C;
}

#endif

int32_t sat_cpu_best(void) {
    for (size_t i = SAT_COUNT(levels); i-- > 0;)
        if (has_level(levels[i].level))
            return levels[i].level;
    return SATCHEL_CPU_C;
}

int32_t sat_cpu_choose(int32_t ceiling) {
    if (ceiling == SATCHEL_CPU_DEFAULT)
        return sat_cpu_best();
    return has_level(ceiling) ? ceiling : SATCHEL_CPU_DEFAULT;
}

const char *sat_cpu_name(int32_t level) {
    for (size_t i = 0; i < SAT_COUNT(levels); i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "unknown";
}

int32_t sat_cpu_from_name(const char *name) {
    for (size_t i = 0; i < SAT_COUNT(levels); i++)
        if (strcmp(levels[i].name, name) == 0)
            return levels[i].level;
    return SATCHEL_CPU_DEFAULT;
}

/* ------------------------------------------------------------------ cores */

#if defined(__linux__)

enum { MAX_CPUS = 1024 };

/* The first line of a small system file, without the file table: these are the kernel's figures,
 * not the user's data, and are read before a context exists. */
static bool read_line(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, out, size - 1);
    close(fd);
    if (length <= 0)
        return false;
    out[length] = '\0';
    return true;
}

static bool read_cpu_number(int cpu, const char *name, long *value) {
    char path[96], text[64];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", cpu, name);
    if (!read_line(path, text, sizeof text))
        return false;
    *value = strtol(text, NULL, 10); /* of a list ("0,4", "0-1") the first */
    return *value >= 0;
}

/* Keeps in `allowed` what a list such as "0-7,16" names. */
static void keep_listed(cpu_set_t *allowed, const char *list) {
    cpu_set_t listed;
    CPU_ZERO(&listed);
    while (*list >= '0' && *list <= '9') {
        char *end;
        long first = strtol(list, &end, 10), last = first;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        for (long cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++)
            CPU_SET((size_t)cpu, &listed);
        list = *end == ',' ? end + 1 : end;
    }
    cpu_set_t both;
    CPU_AND(&both, allowed, &listed);
    if (CPU_COUNT(&both) > 0)
        *allowed = both;
}

int32_t sat_cpu_cores(void) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than CPU_SETSIZE processors */
        return online < 1 ? 1 : online > MAX_CPUS ? MAX_CPUS : (int32_t)online;
    }
    char list[512];
    if (read_line("/sys/devices/cpu_core/cpus", list, sizeof list)) /* Intel's hybrid parts */
        keep_listed(&allowed, list);
    /* The small cores of a phone have a third of the capacity of its largest, the middle ones three
     * quarters; by clock, where capacity is not given, it is six tenths and nine. */
    long speed, speeds[MAX_CPUS], fastest = 0;
    bool capacity = read_cpu_number(0, "cpu_capacity", &speed);
    const char *file = capacity ? "cpu_capacity" : "cpufreq/cpuinfo_max_freq";
    long percent = capacity ? 50 : 75;
    int32_t cores = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && cores < MAX_CPUS; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &allowed))
            continue;
        /* Of threads that share a core one counts: the others gain these kernels next to
         * nothing. */
        long sibling;
        if (read_cpu_number(cpu, "topology/thread_siblings_list", &sibling) && sibling < cpu &&
            CPU_ISSET((size_t)sibling, &allowed))
            continue;
        if (!read_cpu_number(cpu, file, &speed))
            speed = 0;
        if (speed > fastest)
            fastest = speed;
        speeds[cores++] = speed;
    }
    int32_t fast = 0;
    for (int32_t i = 0; i < cores; i++)
        fast += speeds[i] >= fastest * percent / 100;
    return fast > 0 ? fast : 1;
}

#elif defined(__APPLE__)

int32_t sat_cpu_cores(void) {
    static const char *const names[] = {"hw.perflevel0.physicalcpu", "hw.physicalcpu"};
    for (size_t i = 0; i < SAT_COUNT(names); i++) {
        int cores = 0;
        size_t size = sizeof cores;
        if (sysctlbyname(names[i], &cores, &size, NULL, 0) == 0 && cores > 0)
            return cores;
    }
    return 1;
}

#else

int32_t sat_cpu_cores(void) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > 1024 ? 1024 : (int32_t)online;
}

#endif
