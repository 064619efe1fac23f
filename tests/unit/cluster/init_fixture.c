/* Opening and closing a seeding over points in memory, a file, or a function. */
#include "tests/unit/cluster/init_fixture.h"

#include <math.h>
#include <unistd.h>

#include "base/random.h"

points make_points(size_t count, size_t dimension) {
    points made = {count, dimension, calloc(count * dimension, sizeof(float))};
    assert_non_null(made.rows);
    return made;
}

points make_clusters(size_t count, size_t dimension, size_t clusters, float spread) {
    points made = make_points(count, dimension);
    uint64_t state = 1;
    for (size_t i = 0; i < count * dimension; i++) {
        size_t cluster = i / dimension % clusters;
        uint64_t bits = sat_random_mix(1 + cluster * dimension + i % dimension);
        float centre = 2 * (float)sat_random_fraction(bits) - 1;
        made.rows[i] = spread * centre + (float)(test_random(&state) % 2001) / 1000 - 1;
    }
    return made;
}

const setting plain = {1, SATCHEL_CPU_DEFAULT, 1000, 'm', true, true};

static satchel_status give(void *user, uint64_t first, size_t count, float *out) {
    const run *r = user;
    if (r->fail_from && first + count > r->fail_from)
        return SATCHEL_IO;
    memcpy(out, r->points->rows + first * r->points->dimension,
           count * r->points->dimension * sizeof(float));
    return SATCHEL_OK;
}

void open_run(run *r, const points *from, setting s, bool inner) {
    memset(r, 0, sizeof *r);
    r->points = from;
    r->table = test_allocator_table(&r->allocator);
    satchel_context_options options = {.struct_size = sizeof options,
                                       .allocator = &r->table,
                                       .threads = s.threads,
                                       .cpu_level = s.level};
    assert_int_equal(sat_context_open(&r->context, &options, NULL), SATCHEL_OK);
    r->workers = (sat_workers){.context = r->context,
                               .kernels = sat_cluster_kernels_for(r->context->cpu_level),
                               .priority = SAT_PRIORITY_INDEX};
    satchel_points given = {
        .struct_size = sizeof given, .count = from->count, .dimension = (int32_t)from->dimension};
    if (s.origin == 'm') {
        given.rows = from->rows;
    } else if (s.origin == 'r') {
        given.read = give;
        given.user = r;
    } else {
        const char *base = getenv("TMPDIR");
        snprintf(r->path, sizeof r->path, "%.60s/satchel-XXXXXX", base ? base : "/tmp");
        int fd = mkstemp(r->path);
        assert_true(fd >= 0);
        size_t bytes = from->count * from->dimension * sizeof(float);
        assert_int_equal(write(fd, from->rows, bytes), bytes);
        close(fd);
        given.path = r->path;
    }
    if (sat_source_open(&r->source, r->context, &given, s.block, &r->error) != SATCHEL_OK)
        fail_msg("%s", r->error.message);
    size_t n = from->dimension;
    r->centre = calloc(n, sizeof *r->centre);
    assert_non_null(r->centre);
    double largest = 0, longest = 0;
    for (size_t i = 0; i < from->count; i++) {
        double square = 0;
        for (size_t d = 0; d < n; d++) {
            double x = from->rows[i * n + d];
            square += x * x;
            largest = fmax(largest, fabs(x));
            if (s.centred)
                r->centre[d] += (float)(x / (double)from->count);
        }
        longest = fmax(longest, sqrt(square));
    }
    int exponent = 0;
    (void)frexp(largest, &exponent);
    exponent = exponent < -100 ? -100 : exponent;
    r->space = (sat_space){.kernels = r->workers.kernels,
                           .dimension = n,
                           .stride = (n + SAT_ROW_ALIGN - 1) / SAT_ROW_ALIGN * SAT_ROW_ALIGN,
                           .inner = inner,
                           .factor = ldexpf(1, -exponent - (s.centred ? 1 : 3)),
                           .centre = r->centre,
                           .point_length = longest * (1 + 1e-9)};
    r->init = (sat_init){.workers = &r->workers,
                         .source = r->source,
                         .space = &r->space,
                         .k = 1,
                         .method = SATCHEL_INIT_PLUS_PLUS,
                         .seed = 1};
    if (s.keep) {
        /* All rows from memory; of others a part, which ends within a block. */
        size_t rows = s.origin == 'm' ? from->count : from->count / 2;
        r->init.kept.rows = rows;
        r->init.kept.values = aligned_alloc(64, (rows + 1) * r->space.stride);
        r->init.kept.points = aligned_alloc(64, (rows + 2) / 2 * 2 * sizeof(sat_point));
        r->init.kept.filled = &r->filled;
        assert_non_null(r->init.kept.values);
        assert_non_null(r->init.kept.points);
    }
}

void close_run(run *r) {
    sat_source_close(&r->source);
    sat_context_release(r->context);
    free(r->centre);
    free(r->init.kept.values);
    free(r->init.kept.points);
    if (r->path[0])
        unlink(r->path);
    assert_allocator_clean(&r->allocator);
}
