/*
 * Damaged stores. The input is a list of patches to a sound store made at start: 3 bytes of offset, 1 of
 * length (0: cut the file there), then the bytes. Opening, searching, asking, verifying and writing
 * may fail, with a message; they may not crash or loop.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sdk/include/satchel.h"
#include "tests/fuzz/fuzz.h"

static uint8_t *sound;
static size_t sound_size;
static char path[64], wal[80], shm[80];

static void drop(void) {
    unlink(path);
    unlink(wal);
    unlink(shm);
}

static void make_sound(void) {
    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_error error;
    snprintf(path, sizeof path, "/tmp/satchel-fuzz-store-%d", (int)getpid());
    snprintf(wal, sizeof wal, "%s-wal", path);
    snprintf(shm, sizeof shm, "%s-shm", path);
    drop();
    FUZZ_CHECK(satchel_context_open(&context, NULL, &error) == SATCHEL_OK);
    FUZZ_CHECK(satchel_store_open(&store, context, path, NULL, &error) == SATCHEL_OK);
    for (int i = 0; i < 4; i++) {
        char id[16], text[256];
        snprintf(id, sizeof id, "note/%d", i);
        snprintf(text, sizeof text, "Lamp %d burns %d pints of oil. The wick is trimmed at dusk.",
                 i, i * 3);
        FUZZ_CHECK(satchel_store_add_text(store, id, text, strlen(text), NULL, &error) ==
                   SATCHEL_OK);
    }
    satchel_store_close(&store); /* the last connection checkpoints: all is in the one file */
    satchel_context_close(&context);
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file && fseek(file, 0, SEEK_END) == 0);
    sound_size = (size_t)ftell(file);
    rewind(file);
    sound = malloc(sound_size);
    FUZZ_CHECK(sound && fread(sound, 1, sound_size, file) == sound_size);
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!sound)
        make_sound();
    uint8_t *bytes = malloc(sound_size);
    FUZZ_CHECK(bytes);
    memcpy(bytes, sound, sound_size);
    size_t total = sound_size;
    while (size >= 4) {
        size_t at = ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % sound_size;
        size_t length = data[3];
        data += 4, size -= 4;
        if (length == 0) {
            total = at;
            continue;
        }
        if (length > size)
            length = size;
        if (length > sound_size - at)
            length = sound_size - at;
        memcpy(bytes + at, data, length);
        data += length, size -= length;
    }
    drop();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, total) == (ssize_t)total);
    close(fd);
    free(bytes);

    satchel_context *context = NULL;
    satchel_store *store = NULL;
    satchel_error error = {0};
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.threads = 1;
    options.memory_limit = 256 << 20;
    FUZZ_CHECK(satchel_context_open(&context, &options, &error) == SATCHEL_OK);
    if (satchel_store_open(&store, context, path, NULL, &error) == SATCHEL_OK) {
        satchel_results *results = NULL;
        if (satchel_search(&results, store, "wick oil", NULL, &error) == SATCHEL_OK) {
            for (size_t i = 0; i < satchel_results_count(results); i++) {
                satchel_hit hit;
                FUZZ_CHECK(satchel_results_get(results, i, &hit, sizeof hit, &error) == SATCHEL_OK);
                FUZZ_CHECK(hit.range.start <= hit.range.end);
            }
        }
        satchel_results_close(&results);
        satchel_stream *stream = NULL;
        if (satchel_ask(&stream, store, "How much oil?", NULL, &error) == SATCHEL_OK) {
            satchel_event event;
            while (satchel_stream_next(stream, &event, sizeof event, &error) == SATCHEL_OK &&
                   event.kind != SATCHEL_EVENT_DONE)
                ;
        }
        satchel_stream_close(&stream);
        int64_t problems = 0;
        (void)satchel_store_verify(store, NULL, NULL, &problems, &error);
        (void)satchel_store_add_text(store, "note/new", "A new wick.", 11, NULL, &error);
        (void)satchel_store_remove(store, "note/1", &error);
    } else {
        FUZZ_CHECK(error.message[0]);
    }
    satchel_store_close(&store);
    satchel_context_close(&context);
    drop();
    return 0;
}
