/* Stores: opening, documents in and out, sync, upkeep, topics. */
#include "bridge.h"

#include <string.h>

/* ------------------------------------------------------------------ opening */

static void unmake_store(void *made) {
    satchel_store *store = made;
    satchel_store_close(&store);
}

satchel_status op_store_open(call *c) {
    satchel_context *context = read_handle(&c->in);
    const char *path = read_text(&c->in);
    satchel_store_options options;
    satchel_store_options_init(&options, sizeof options);
    options.model = read_handle(&c->in);
    options.read_only = read_i32(&c->in);
    options.must_exist = read_i32(&c->in);
    options.chunk_tokens = read_i32(&c->in);
    satchel_store *store;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_store_open(&store, context, path, &options, &c->error);
    if (!status)
        write_handle(c, store, unmake_store);
    return status;
}

satchel_status op_store_close(call *c) {
    unmake_store(read_handle(&c->in));
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ adding */

/* What the three ways to add have in common, as Kotlin's Store writes it. */
typedef struct addition {
    satchel_store *store;
    const char *id, *media_type;
    satchel_add_options options;
} addition;

static satchel_status read_addition(call *c, addition *it) {
    it->store = read_handle(&c->in);
    it->id = read_text(&c->in);
    satchel_add_options_init(&it->options, sizeof it->options);
    it->options.title = read_text(&c->in);
    it->options.metadata = read_text(&c->in);
    it->media_type = read_text(&c->in);
    it->options.modified_ms = read_i64(&c->in);
    it->options.defer_embedding = read_i32(&c->in);
    it->options.must_be_new = read_i32(&c->in);
    it->options.cancel = read_handle(&c->in);
    return understood(c);
}

satchel_status op_store_add_text(call *c) {
    addition it;
    satchel_status status = read_addition(c, &it);
    if (status)
        return status;
    it.options.media_type = it.media_type;
    size_t length;
    const char *text = take_data(c, &length);
    if (!text)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a text");
    status = satchel_store_add_text(it.store, it.id, text, length, &it.options, &c->error);
    give_data(c, text);
    return status;
}

satchel_status op_store_add_bytes(call *c) {
    addition it;
    satchel_status status = read_addition(c, &it);
    if (status)
        return status;
    size_t length;
    const void *data = take_data(c, &length);
    if (!data)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a file's bytes");
    status = satchel_store_add_bytes(it.store, it.id, it.media_type, data, length, &it.options,
                                     &c->error);
    give_data(c, data);
    return status;
}

satchel_status op_store_add_fd(call *c) {
    int32_t fd = read_i32(&c->in);
    uint64_t offset = (uint64_t)read_i64(&c->in), length = (uint64_t)read_i64(&c->in);
    addition it;
    satchel_status status = read_addition(c, &it);
    if (status)
        return status;
    return satchel_store_add_fd(it.store, it.id, it.media_type, fd, offset, length, &it.options,
                                &c->error);
}

satchel_status op_store_remove(call *c) {
    satchel_store *store = read_handle(&c->in);
    const char *id = read_text(&c->in);
    satchel_status status = understood(c);
    return status ? status : satchel_store_remove(store, id, &c->error);
}

satchel_status op_store_sync(call *c) {
    satchel_store *store = read_handle(&c->in);
    const char *path = read_text(&c->in);
    satchel_sync_options options;
    satchel_sync_options_init(&options, sizeof options);
    options.root = read_text(&c->in);
    options.keep_missing = read_i32(&c->in);
    options.allow_removals = read_i32(&c->in);
    options.defer_embedding = read_i32(&c->in);
    options.include_hidden = read_i32(&c->in);
    options.max_file_bytes = read_i64(&c->in);
    options.cancel = read_handle(&c->in);
    satchel_stream *stream;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_store_sync(&stream, store, path, &options, &c->error);
    if (!status)
        write_handle(c, stream, unmake_stream);
    return status;
}

/* ------------------------------------------------------------------ upkeep */

satchel_status op_store_roots(call *c) {
    satchel_store *store = read_handle(&c->in);
    for (size_t i = 0;; i++) {
        char name[1024 + 1], path[4096 + 1];
        int64_t documents;
        satchel_status status = satchel_store_get_root(store, i, name, sizeof name, path,
                                                       sizeof path, &documents, &c->error);
        write_i32(&c->out, status == SATCHEL_OK); // 0 ends the list
        if (status)
            return status == SATCHEL_NOT_FOUND ? SATCHEL_OK : status;
        write_text(&c->out, name);
        write_text(&c->out, path);
        write_i64(&c->out, documents);
    }
}

satchel_status op_store_maintain(call *c) {
    satchel_store *store = read_handle(&c->in);
    int64_t budget = read_i64(&c->in), pending = 0;
    const satchel_cancel *cancel = read_handle(&c->in);
    satchel_status status = understood(c);
    if (!status)
        status = satchel_store_maintain(store, budget, cancel, &pending, &c->error);
    write_i64(&c->out, pending);
    return status;
}

satchel_status op_store_stats(call *c) {
    satchel_store_stats stats;
    satchel_status status =
        satchel_store_get_stats(read_handle(&c->in), &stats, sizeof stats, &c->error);
    if (status)
        return status;
    writer *out = &c->out;
    write_i64(out, stats.documents);
    write_i64(out, stats.chunks);
    write_i64(out, stats.chunks_embedded);
    write_i64(out, stats.chunks_pending);
    write_i64(out, stats.text_bytes);
    write_i64(out, stats.file_bytes);
    write_i64(out, stats.failures);
    write_i32(out, stats.format_version);
    write_i32(out, stats.has_model);
    write_i32(out, stats.dimension);
    return SATCHEL_OK;
}

satchel_status op_store_verify(call *c) {
    int64_t problems = 0;
    satchel_status status = satchel_store_verify(
        read_handle(&c->in), c->callback ? on_problem : NULL, c, &problems, &c->error);
    write_i64(&c->out, problems);
    return status;
}

satchel_status op_store_backup(call *c) {
    satchel_store *store = read_handle(&c->in);
    const char *path = read_text(&c->in);
    const satchel_cancel *cancel = read_handle(&c->in);
    satchel_status status = understood(c);
    return status ? status : satchel_store_backup(store, path, cancel, &c->error);
}

/* ------------------------------------------------------------------ documents */

static satchel_status write_documents(call *c, const satchel_documents *list) {
    size_t count = satchel_documents_count(list);
    write_i32(&c->out, (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        satchel_document document;
        satchel_status status =
            satchel_documents_get(list, i, &document, sizeof document, &c->error);
        if (status)
            return status;
        write_text(&c->out, document.id);
        write_text(&c->out, document.title);
        write_text(&c->out, document.metadata);
        write_text(&c->out, document.media_type);
        write_i64(&c->out, document.text_bytes);
        write_i64(&c->out, document.chunks);
        write_i64(&c->out, document.chunks_embedded);
        write_i64(&c->out, document.modified_ms);
        write_text(&c->out, document.failure);
    }
    return SATCHEL_OK;
}

satchel_status op_store_list(call *c) {
    satchel_store *store = read_handle(&c->in);
    satchel_list_options options;
    satchel_list_options_init(&options, sizeof options);
    options.filter = read_text(&c->in);
    options.limit = read_i64(&c->in);
    options.offset = read_i64(&c->in);
    satchel_documents *list = NULL;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_store_list(&list, store, &options, &c->error);
    if (!status)
        status = write_documents(c, list);
    satchel_documents_close(&list);
    return status;
}

satchel_status op_store_text(call *c) {
    satchel_store *store = read_handle(&c->in);
    const char *id = read_text(&c->in);
    int64_t start = read_i64(&c->in), most = read_i64(&c->in), length = 0, written;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_document_text(store, id, start, NULL, 0, &length, &c->error);
    if (status)
        return status;
    int64_t size = start < length ? length - start : 0;
    if (most >= 0 && size > most)
        size = most;
    if (size > INT32_MAX - 64)
        return fail(c, SATCHEL_LIMIT,
                    "a text larger than a Java array; read it in parts, by start and length");
    write_i64(&c->out, length);
    write_i32(&c->out, (int32_t)size);
    // Straight into the reply: texts are the largest things in it.
    char *room = write_room(&c->out, (size_t)size + 1);
    if (!room)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a document's text");
    memset(room, 0, (size_t)size + 1);
    return satchel_document_text(store, id, start, room, (size_t)size, &written, &c->error);
}

/* ------------------------------------------------------------------ topics */

static satchel_status write_topic(call *c, const satchel_topics *topics, size_t index,
                                  int32_t dimension) {
    satchel_topic topic;
    satchel_status status = satchel_topics_get(topics, index, &topic, sizeof topic, &c->error);
    if (status)
        return status;
    writer *out = &c->out;
    write_text(out, topic.label);
    write_i32(out, (int32_t)topic.word_count);
    for (size_t i = 0; i < topic.word_count; i++)
        write_text(out, topic.words[i]);
    write_i64(out, topic.chunks);
    write_f64(out, topic.share);
    write_f64(out, topic.cohesion);
    write_bytes(out, (const char *)topic.centroid, (size_t)dimension * sizeof *topic.centroid);
    write_i32(out, (int32_t)topic.document_count);
    for (size_t i = 0; i < topic.document_count; i++) {
        satchel_topic_document document;
        status =
            satchel_topics_get_document(topics, index, i, &document, sizeof document, &c->error);
        if (status)
            return status;
        write_text(out, document.id);
        write_text(out, document.title);
        write_i64(out, document.chunks);
        write_i64(out, document.chunks_all);
    }
    write_i32(out, (int32_t)topic.sentence_count);
    for (size_t i = 0; i < topic.sentence_count; i++) {
        satchel_topic_sentence sentence;
        status =
            satchel_topics_get_sentence(topics, index, i, &sentence, sizeof sentence, &c->error);
        if (status)
            return status;
        write_bytes(out, sentence.text, sentence.length);
        write_text(out, sentence.document_id);
        write_text(out, sentence.title);
        write_text(out, sentence.heading);
        write_i64(out, sentence.chunk);
        write_range(out, &sentence.range);
        write_f32(out, sentence.score);
        write_i32(out, sentence.page);
        write_i64(out, sentence.time_ms);
    }
    return SATCHEL_OK;
}

satchel_status op_store_topics(call *c) {
    satchel_store *store = read_handle(&c->in);
    satchel_topics_options options;
    satchel_topics_options_init(&options, sizeof options);
    options.k = read_i32(&c->in);
    options.words = read_i32(&c->in);
    options.sentences = read_i32(&c->in);
    options.iterations = read_i32(&c->in);
    options.mode = read_i32(&c->in);
    options.seed = (uint64_t)read_i64(&c->in);
    options.filter = read_text(&c->in);
    options.cancel = read_handle(&c->in);
    if (c->callback) {
        options.progress = on_progress;
        options.progress_user = c;
    }
    satchel_topics *topics = NULL;
    satchel_topics_info info;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_store_topics(&topics, store, &options, &c->error);
    if (!status)
        status = satchel_topics_get_info(topics, &info, sizeof info, &c->error);
    if (!status) {
        size_t count = satchel_topics_count(topics);
        write_i64(&c->out, info.chunks);
        write_i64(&c->out, info.pending);
        write_i64(&c->out, info.documents);
        write_i32(&c->out, info.iterations);
        write_i64(&c->out, info.read_ms);
        write_i64(&c->out, info.cluster_ms);
        write_i64(&c->out, info.describe_ms);
        write_i32(&c->out, (int32_t)count);
        for (size_t i = 0; i < count && !status; i++)
            status = write_topic(c, topics, i, info.dimension);
    }
    satchel_topics_close(&topics);
    return status;
}
