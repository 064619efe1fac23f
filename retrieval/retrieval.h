/*
 * retrieval: documents to chunks to index, and questions to hits and quotes. This is the folder's one
 * interface header. The public types (hits, events, options) are those of satchel.h; what is here is
 * what sdk needs to serve them.
 */
#ifndef SATCHEL_RETRIEVAL_RETRIEVAL_H
#define SATCHEL_RETRIEVAL_RETRIEVAL_H

#include "base/base.h"

typedef struct sat_store sat_store;

/* The vector index; all 0: the defaults. Tests and benchmarks set it. */
typedef struct sat_index_setup {
    int64_t minimum;       /* vectors from which on there is one: 100,000 */
    int32_t lists, probes; /* as many as suit; probes: of lists, in a search without a filter */
    int32_t block_rows;    /* encoded at once: 32,768 */
} sat_index_setup;

typedef struct sat_store_setup {
    const satchel_embedder *embedder; /* outlives the store; NULL: keywords only */
    const char *fingerprint;          /* names the embedder's vectors; NULL without one */
    const char *model_name;
    bool read_only, must_exist;
    int32_t chunk_tokens; /* 0: default */
    sat_index_setup index;
} sat_store_setup;

/* sat_store_* mirror satchel_store_*; options are read and checked structs of the known size. They are
 * safe to call from many threads. */
satchel_status sat_store_open(sat_store **out, satchel_context *context, const char *path,
                              const sat_store_setup *setup, satchel_error *error);
void sat_store_close(sat_store **store);
satchel_status sat_store_add_reader(sat_store *store, const satchel_reader *reader,
                                    satchel_error *error);
/* media_type NULL: by the id's extension, else by content. `data` is the source's bytes. */
satchel_status sat_store_add(sat_store *store, const char *id, const char *media_type,
                             const void *data, size_t length, const satchel_add_options *options,
                             satchel_error *error);
/* Plain text in valid UTF-8, kept byte for byte: offsets count in the very string that was given. */
satchel_status sat_store_add_text(sat_store *store, const char *id, const char *text, size_t length,
                                  const satchel_add_options *options, satchel_error *error);
satchel_status sat_store_remove(sat_store *store, const char *id, satchel_error *error);
satchel_status sat_store_maintain(sat_store *store, int64_t budget_ms, const satchel_cancel *cancel,
                                  int64_t *pending, satchel_error *error);
satchel_status sat_store_root(sat_store *store, size_t index, char *name, size_t name_size,
                              char *path, size_t path_size, int64_t *documents,
                              satchel_error *error);
satchel_status sat_store_stats(sat_store *store, satchel_store_stats *stats, satchel_error *error);
satchel_status sat_store_verify(sat_store *store, satchel_problem_function report, void *user,
                                int64_t *problems, satchel_error *error);
satchel_status sat_store_backup(sat_store *store, const char *path, const satchel_cancel *cancel,
                                satchel_error *error);
satchel_status sat_store_document_text(sat_store *store, const char *id, int64_t start, char *text,
                                       size_t capacity, int64_t *length, satchel_error *error);

/* satchel_documents and satchel_results are defined inside retrieval. */
satchel_status sat_store_list(satchel_documents **out, sat_store *store,
                              const satchel_list_options *options, satchel_error *error);
size_t sat_documents_count(const satchel_documents *documents);
satchel_status sat_documents_get(const satchel_documents *documents, size_t index,
                                 satchel_document *out, satchel_error *error);
void sat_documents_close(satchel_documents **documents);

enum { SAT_MAX_HITS = 10000 }; /* of one search */
satchel_status sat_store_search(satchel_results **out, sat_store *store, const char *query,
                                size_t length, const satchel_search_options *options,
                                satchel_error *error);
size_t sat_results_count(const satchel_results *results);
int32_t sat_results_mode(const satchel_results *results);
satchel_status sat_results_get(const satchel_results *results, size_t index, satchel_hit *hit,
                               satchel_error *error);
satchel_status sat_results_match(const satchel_results *results, size_t index, size_t match,
                                 satchel_range *range, satchel_error *error);
void sat_results_close(satchel_results **results);

/* satchel_topics too. */
satchel_status sat_store_topics(satchel_topics **out, sat_store *store,
                                const satchel_topics_options *options, satchel_error *error);
size_t sat_topics_count(const satchel_topics *topics);
void sat_topics_get_info(const satchel_topics *topics, satchel_topics_info *info);
satchel_status sat_topics_get(const satchel_topics *topics, size_t index, satchel_topic *topic,
                              satchel_error *error);
satchel_status sat_topics_get_document(const satchel_topics *topics, size_t index, size_t document,
                                       satchel_topic_document *out, satchel_error *error);
satchel_status sat_topics_get_sentence(const satchel_topics *topics, size_t index, size_t sentence,
                                       satchel_topic_sentence *out, satchel_error *error);
void sat_topics_close(satchel_topics **topics);

/* Streams; `options` is copied, strings in it too. The cancel handle is retained. */
satchel_status sat_store_sync(sat_stream **out, sat_store *store, const char *path,
                              const satchel_sync_options *options, satchel_error *error);
satchel_status sat_extract_answer(sat_stream **out, sat_store *store, const char *question,
                                  const satchel_ask_options *options, satchel_error *error);

/* ------------------------------------------------------------------ answers in a model's words */

/* A language model, as far as an answer needs one; sdk makes it of a satchel_model. Functions fill the
 * error when they fail. */
typedef struct sat_writer {
    void *user;
    int32_t
        context_tokens; /* of prompt and answer; 0: there is no model, only a prompt to be made */
    bool parts; /* a content may be a list of text parts, those of documents with "apart": true */
    /* Tokens of a text; NULL: estimated. */
    satchel_status (*count)(void *user, const char *text, size_t length, size_t *count,
                            satchel_error *error);
    /* Tokens of messages, exactly; NULL: by the texts, with something for what is around them. */
    satchel_status (*count_messages)(void *user, const char *messages, size_t length, size_t *count,
                                     satchel_error *error);
    /* An answer: PROGRESS, TOKEN (whole characters), DONE. NULL where context_tokens is 0. */
    satchel_status (*write)(void *user, sat_stream **out, const char *messages, size_t length,
                            int32_t max_tokens, satchel_error *error);
    void (*release)(void *user); /* once, at the end; NULL: nothing to do */
} sat_writer;

typedef struct sat_ask_setup {
    sat_writer writer;
    const char *history, *prompt; /* as in satchel_ask_options */
    int32_t context_tokens;       /* of the prompt at most; 0: as the writer's context allows */
    int32_t max_tokens;           /* of the answer; 0: default, -1: as many as fit */
} sat_ask_setup;

const char *sat_prompt_default(void);
/* Events as satchel_ask's with a generator. The writer is taken over, also on failure. */
satchel_status sat_generated_answer(sat_stream **out, sat_store *store, const char *question,
                                    const satchel_ask_options *options, const sat_ask_setup *setup,
                                    satchel_error *error);

/* Split ask: as satchel_ask_prepare and what follows it. One thread at a time. */
typedef struct sat_prepared sat_prepared;
satchel_status sat_prepared_open(sat_prepared **out, sat_store *store, const char *question,
                                 const satchel_ask_options *options, const sat_ask_setup *setup,
                                 satchel_error *error);
void sat_prepared_close(sat_prepared **prepared);
void sat_prepared_info(const sat_prepared *prepared, satchel_prepared_info *info);
const satchel_results *sat_prepared_results(const sat_prepared *prepared);
satchel_status sat_prepared_passage(const sat_prepared *prepared, size_t number,
                                    satchel_passage *out, satchel_error *error);
/* The stream holds the prepared. */
satchel_status sat_prepared_resolve(sat_stream **out, sat_prepared *prepared, const char *text,
                                    size_t length, bool final, satchel_error *error);

#endif
