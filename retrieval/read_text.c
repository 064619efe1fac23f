/*
 * Plain text: UTF-8 as it stands, other encodings decoded. And the look at bytes that says whether
 * they are text at all.
 */
#include <string.h>

#include "retrieval/document.h"

enum { SAMPLE = 65536 }; /* bytes looked at for what no text holds */

/* Formats by the bytes they begin with, at an offset. */
static const struct magic {
    uint8_t at, length;
    const char *bytes, *media_type;
} magics[] = {
    {0, 5, "%PDF-", "application/pdf"},
    {0, 4, "PK\3\4", "application/zip"},
    {0, 4, "PK\5\6", "application/zip"},
    {0, 8, "\x89PNG\r\n\x1A\n", "image/png"},
    {0, 3, "\xFF\xD8\xFF", "image/jpeg"},
    {0, 6, "GIF87a", "image/gif"},
    {0, 6, "GIF89a", "image/gif"},
    {8, 4, "WEBP", "image/webp"},
    {0, 4, "II*\0", "image/tiff"},
    {0, 4, "MM\0*", "image/tiff"},
    {0, 4, "\0\0\1\0", "image/x-icon"},
    {4, 4, "ftyp", "video/mp4"},
    {0, 4, "\x1A\x45\xDF\xA3", "video/x-matroska"},
    {0, 4, "RIFF", "application/x-riff"},
    {0, 4, "OggS", "application/ogg"},
    {0, 4, "fLaC", "audio/flac"},
    {0, 3, "ID3", "audio/mpeg"},
    {0, 4,
     "\x7F"
     "ELF",
     "application/x-elf"},
    {0, 4, "\xCF\xFA\xED\xFE", "application/x-mach-binary"},
    {0, 4, "\xCA\xFE\xBA\xBE", "application/java-vm"},
    {0, 4, "\0asm", "application/wasm"},
    {0, 2, "MZ", "application/x-msdownload"},
    {0, 2, "\x1F\x8B", "application/gzip"},
    {0, 3, "BZh", "application/x-bzip2"},
    {0, 6,
     "\xFD"
     "7zXZ\0",
     "application/x-xz"},
    {0, 4, "\x28\xB5\x2F\xFD", "application/zstd"},
    {0, 6, "7z\xBC\xAF\x27\x1C", "application/x-7z-compressed"},
    {0, 6, "Rar!\x1A\7", "application/vnd.rar"},
    {0, 8, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "application/x-ole-storage"},
    {0, 16, "SQLite format 3\0", "application/vnd.sqlite3"},
    {0, 4, "GGUF", "application/x-gguf"},
    {0, 4, "wOFF", "font/woff"},
    {0, 4, "wOF2", "font/woff2"},
    {0, 5, "\0\1\0\0\0", "font/ttf"},
    {0, 8, "!<arch>\n", "application/x-archive"},
    {0, 8, "bplist00", "application/x-plist"},
};

static const char *known_format(const char *data, size_t length) {
    for (size_t i = 0; i < SAT_COUNT(magics); i++)
        if (length >= (size_t)magics[i].at + magics[i].length &&
            memcmp(data + magics[i].at, magics[i].bytes, magics[i].length) == 0)
            return magics[i].media_type;
    return NULL;
}

/* Control characters that text files do not have: all but white space, backspace and escape. */
static bool is_odd(uint8_t byte) {
    return byte < 0x20 && !(byte >= '\b' && byte <= '\r') && byte != 0x1B;
}

/* The zero bytes of UTF-16 text stand on one side of its units. */
static bool looks_like_utf16(const char *bytes, size_t sample) {
    size_t zeros[2] = {0, 0};
    for (size_t i = 0; i < sample; i++)
        zeros[i % 2] += bytes[i] == '\0';
    return (zeros[0] * 5 > sample && zeros[1] * 100 < sample) ||
           (zeros[1] * 5 > sample && zeros[0] * 100 < sample);
}

const char *sat_binary_type(const void *data, size_t length) {
    const char *bytes = data, *format = known_format(bytes, length);
    if (format && strcmp(format, "application/pdf") == 0)
        return format; /* all of it may be ASCII */
    size_t sample = length < SAMPLE ? length : SAMPLE, odd = 0;
    bool has_nul = memchr(bytes, '\0', sample) != NULL;
    bool utf8 = sat_utf8_valid(bytes, length) == length;
    if (utf8 && !has_nul)
        return NULL;
    bool marked =
        length >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0);
    if (marked || (!format && looks_like_utf16(bytes, sample)))
        return NULL;
    if (format)
        return format;
    for (size_t i = 0; i < sample; i++)
        odd += is_odd((uint8_t)bytes[i]);
    /* A log may hold some NULs, a text in an old encoding hardly any. */
    return odd * 100 > (utf8 ? 10 : 1) * sample ? "application/octet-stream" : NULL;
}

satchel_status sat_read_text(sat_document *document, satchel_context *context, const void *data,
                             size_t length, satchel_error *error) {
    document->media_type = "text/plain";
    document->source_start = -1;
    satchel_status status = sat_text_decode(&document->text, data, length, NULL, error);
    if (status)
        return status;
    size_t mark = length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    if (document->text.length == length - mark &&
        (length == mark ||
         memcmp(document->text.data, (const char *)data + mark, length - mark) == 0))
        document->source_start = (int64_t)mark;
    return SATCHEL_OK;
}
