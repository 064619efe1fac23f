/* Verify: the vector index against the vectors it was made of. */
#include <inttypes.h>

#include "retrieval/index.h"
#include "retrieval/verify.h"

/* Keys and chunks both come by seq. A key whose chunk is gone is only old; a chunk below the
 * generation's last seq without a key would never be found. */
static satchel_status check_keys(sat_connection *reader, const sat_generation *g, int64_t model,
                                 sat_problems *problems, satchel_error *error) {
    size_t at = 0;
    sat_query query;
    sat_query_begin(
        &query, reader,
        "SELECT seq, id, vector FROM chunk WHERE model = ?1 AND seq <= ?2 ORDER BY seq");
    sat_bind_int(&query, 1, model);
    sat_bind_int(&query, 2, g->info.seq);
    while (sat_query_row(&query)) {
        int64_t seq = sat_column_int(&query, 0), chunk = sat_column_int(&query, 1);
        while (at < g->info.rows && g->keys[at].seq < seq)
            at++;
        if (at == g->info.rows || g->keys[at].seq != seq || g->keys[at].chunk != chunk ||
            g->keys[at].vector != sat_column_int(&query, 2))
            sat_problem(problems, "chunk %" PRId64 " is not in vector index %" PRId64 " as it was",
                        chunk, g->info.number);
    }
    return sat_query_end(&query, error);
}

satchel_status sat_verify_index(sat_connection *reader, sat_problems *problems,
                                satchel_error *error) {
    sat_store *store = reader->store;
    sat_index_row row = {0};
    sat_generation *generation = NULL;
    int64_t model = 0;
    satchel_error failure = {0};
    satchel_status status = SATCHEL_OK;
    if (!store->embedder || !sat_ivf_usable(store->context))
        return SATCHEL_OK;
    status = sat_index_read(reader, &row, error);
    if (!status)
        status = sat_model_id(reader, false, &model, error);
    if (status || !row.hash || !model)
        return status;
    status = sat_index_get(store->index, &row, &generation, &failure);
    if (status == SATCHEL_NOT_FOUND || status == SATCHEL_TOO_NEW)
        return SATCHEL_OK; /* a store may be moved without it */
    if (status == SATCHEL_DAMAGED) {
        sat_problem(problems, "%s", failure.message);
        return SATCHEL_OK;
    }
    if (status) {
        sat_error_copy(error, &failure);
        return status;
    }
    for (size_t i = 0; i < generation->info.lists; i++)
        if (!sat_generation_check(generation, i))
            sat_problem(problems, "list %zu of vector index %" PRId64 " is damaged", i, row.number);
    status = check_keys(reader, generation, model, problems, error);
    sat_generation_release(generation);
    return status;
}
