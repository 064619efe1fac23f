/*
 * Bring your own reader: teaches a store a format it does not know, here subtitles (SubRip, .srt).
 * The reader hands over the spoken text and marks when each line is heard, so that a hit says where
 * in the film it is.
 *
 *     reader STORE FILE.srt QUERY
 */
#include <inttypes.h>
#include <satchel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static satchel_error error;

static void check(int fine) {
    if (fine)
        return;
    fprintf(stderr, "reader: %s\n", error.code ? error.message : "STORE FILE.srt QUERY");
    exit(1);
}

/* ------------------------------------------------------------------ the reader */

/* "00:01:02,345 --> ..." in milliseconds; -1 if the line is no time line. */
static int64_t parse_time(const char *line, size_t length) {
    char text[64] = {0};
    int hours, minutes, seconds, millis;
    memcpy(text, line, length < sizeof text ? length : sizeof text - 1);
    if (!strstr(text, "-->") ||
        sscanf(text, "%d:%d:%d,%d", &hours, &minutes, &seconds, &millis) != 4)
        return -1;
    return ((hours * INT64_C(60) + minutes) * 60 + seconds) * 1000 + millis;
}

/* A block is a number, a time line, and lines of speech until an empty line. */
static satchel_status read_subtitles(void *user, const char *media_type, const void *data,
                                     size_t length, const satchel_reader_sink *sink, char *message,
                                     size_t message_size) {
    (void)user, (void)media_type;
    const char *text = data, *end = text + length;
    int in_speech = 0, blocks = 0;
    satchel_status status = SATCHEL_OK;
    while (!status && text < end) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((feed ? feed : end) - text);
        const char *next = feed ? feed + 1 : end;
        while (line > 0 && (text[line - 1] == '\r' || text[line - 1] == ' '))
            line--;
        const int64_t time = parse_time(text, line);
        if (time >= 0) {
            const satchel_locator locator = {.kind = SATCHEL_LOCATOR_TIME, .number = time};
            status = sink->locate(sink->sink, &locator);
            in_speech = 1;
            blocks++;
        } else if (line == 0) {
            if (in_speech)
                status = sink->text(sink->sink, "\n", 1);
            in_speech = 0;
        } else if (in_speech) {
            status = sink->text(sink->sink, text, line);
            if (!status)
                status = sink->text(sink->sink, "\n", 1);
        }
        text = next;
    }
    if (!status && blocks == 0) {
        snprintf(message, message_size, "no line with times such as 00:00:01,000 --> 00:00:02,000");
        status = SATCHEL_DAMAGED;
    }
    return status;
}

/* ------------------------------------------------------------------ in use */

int main(int argc, char **argv) {
    const satchel_reader reader = {.struct_size = sizeof reader,
                                   .id = "subrip",
                                   .media_types = "application/x-subrip",
                                   .extensions = "srt",
                                   .read = read_subtitles};
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_stream *stream = NULL;
    check(argc == 4 && !satchel_context_open(&context, NULL, &error));
    check(!satchel_store_open(&store, context, argv[1], NULL, &error));
    check(!satchel_store_add_reader(store, &reader, &error));
    check(!satchel_store_sync(&stream, store, argv[2], NULL, &error));
    satchel_event event = {0};
    while (event.kind != SATCHEL_EVENT_DONE) {
        check(!satchel_stream_next(stream, &event, sizeof event, &error));
        if (event.file && event.file->change == SATCHEL_FILE_FAILED)
            printf("%s: %s\n", event.file->path, event.file->message);
    }
    satchel_stream_close(&stream);

    satchel_results *results = NULL;
    satchel_hit hit;
    check(!satchel_search(&results, store, argv[3], NULL, &error));
    for (size_t i = 0; i < satchel_results_count(results); i++) {
        check(!satchel_results_get(results, i, &hit, sizeof hit, &error));
        printf("%s at %" PRId64 " s: %.*s\n", hit.document_id, hit.time_ms / 1000,
               (int)hit.text_length, hit.text);
    }
    satchel_results_close(&results);
    satchel_store_close(&store);
    satchel_context_close(&context);
    return 0;
}
