/*
 * A page's bytes to UTF-8: what a byte order mark, the bytes themselves or, where they leave it
 * open, the page says. Encodings other than UTF-8, UTF-16 and Windows-1252 go through iconv where
 * the C library has it.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "retrieval/html.h"

#ifdef SATCHEL_HAVE_ICONV
#include <iconv.h>

/* Labels of the WHATWG Encoding Standard that pages use, and the names that iconv knows. Labels of
 * Windows-1252, Latin-1 and ASCII are left to sat_text_decode(). */
static const struct {
    const char *label, *name;
} encodings[] = {
    {"big5", "BIG5-HKSCS"},
    {"big5-hkscs", "BIG5-HKSCS"},
    {"cp1250", "CP1250"},
    {"cp1251", "CP1251"},
    {"euc-jp", "EUC-JP"},
    {"euc-kr", "CP949"},
    {"gb18030", "GB18030"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"ibm866", "IBM866"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-11", "CP874"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"iso-8859-16", "ISO-8859-16"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-8-i", "ISO-8859-8"},
    {"iso-8859-9", "CP1254"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"ks_c_5601-1987", "CP949"},
    {"macintosh", "MACINTOSH"},
    {"shift-jis", "CP932"},
    {"shift_jis", "CP932"},
    {"sjis", "CP932"},
    {"tis-620", "CP874"},
    {"windows-1250", "CP1250"},
    {"windows-1251", "CP1251"},
    {"windows-1253", "CP1253"},
    {"windows-1254", "CP1254"},
    {"windows-1255", "CP1255"},
    {"windows-1256", "CP1256"},
    {"windows-1257", "CP1257"},
    {"windows-1258", "CP1258"},
    {"windows-31j", "CP932"},
    {"windows-874", "CP874"},
    {"windows-949", "CP949"},
    {"x-sjis", "CP932"},
};

enum { LOOKED_AT = 4096, LABEL = 24 }; /* bytes from the beginning; of a label */

static bool equal_folded(const char *text, size_t length, const char *name) {
    return strlen(name) == length && strncasecmp(text, name, length) == 0;
}

/* Copies the label that begins at text, without quotes and spaces. */
static bool copy_label(char out[LABEL], const char *text, size_t length) {
    size_t at = 0, count = 0;
    while (at < length && strchr(" \t\r\n\"'", text[at]) && text[at])
        at++;
    for (; at < length && count + 1 < LABEL; at++) {
        char byte = text[at];
        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
              (byte >= '0' && byte <= '9') || byte == '-' || byte == '_'))
            break;
        out[count++] = byte;
    }
    out[count] = '\0';
    return count > 0;
}

/* The label behind `key` and "=" in text: charset=…, encoding=… */
static bool label_after(char out[LABEL], const char *text, size_t length, const char *key) {
    size_t size = strlen(key);
    for (size_t at = 0; at + size < length; at++) {
        if (strncasecmp(text + at, key, size) != 0)
            continue;
        size_t next = at + size;
        while (next < length && (text[next] == ' ' || text[next] == '\t'))
            next++;
        if (next < length && text[next] == '=' &&
            copy_label(out, text + next + 1, length - next - 1))
            return true;
    }
    return false;
}

/* The encoding that the page says it is in. */
static bool declared(char out[LABEL], const char *data, size_t length) {
    if (length > LOOKED_AT)
        length = LOOKED_AT;
    if (length > 5 && memcmp(data, "<?xml", 5) == 0) {
        const char *end = memchr(data, '>', length);
        if (end && label_after(out, data, (size_t)(end - data), "encoding"))
            return true;
    }
    sat_html html;
    sat_html_token token;
    sat_html_init(&html, data, length);
    while (sat_html_next(&html, &token)) {
        if (token.kind != SAT_HTML_START || strcmp(token.name, "meta") != 0)
            continue;
        size_t start, end;
        if (sat_html_attribute(&html, &token, "charset", &start, &end) &&
            copy_label(out, data + start, end - start))
            return true;
        if (sat_html_attribute(&html, &token, "http-equiv", &start, &end) &&
            equal_folded(data + start, end - start, "content-type") &&
            sat_html_attribute(&html, &token, "content", &start, &end) &&
            label_after(out, data + start, end - start, "charset"))
            return true;
    }
    return false;
}

/* Converts all of it; a byte that is invalid in the encoding becomes U+FFFD. */
static bool convert(iconv_t converter, sat_buffer *out, const char *data, size_t length) {
    char *from = (char *)data; /* iconv does not write to it */
    while (length > 0) {
        if (!sat_buffer_reserve(out, length + length / 2 + 16))
            return false;
        char *to = out->data + out->length;
        size_t left = out->capacity - out->length - 1; /* the buffer keeps a NUL at its end */
        size_t result = iconv(converter, &from, &length, &to, &left);
        out->length = (size_t)(to - out->data);
        if (result != (size_t)-1 || errno == E2BIG)
            continue;
        if (!sat_buffer_append(out, "\xEF\xBF\xBD", 3))
            return false;
        from++;
        length--;
        iconv(converter, NULL, NULL, NULL, NULL);
    }
    return !out->failed;
}

/* False: not converted, nothing written. */
static bool decode_declared(sat_buffer *out, const char *data, size_t length) {
    char label[LABEL];
    if (!declared(label, data, length))
        return false;
    for (size_t i = 0; i < SAT_COUNT(encodings); i++) {
        if (!equal_folded(label, strlen(label), encodings[i].label))
            continue;
        iconv_t converter = iconv_open("UTF-8", encodings[i].name);
        if (converter == (iconv_t)-1) {
            out->failed = errno == ENOMEM;
            return out->failed;
        }
        bool ok = convert(converter, out, data, length);
        iconv_close(converter);
        return ok || out->failed;
    }
    return false;
}
#endif

satchel_status sat_html_to_utf8(sat_buffer *out, const char *data, size_t length,
                                satchel_error *error) {
#ifdef SATCHEL_HAVE_ICONV
    bool marked =
        length >= 2 && (memcmp(data, "\xFF\xFE", 2) == 0 || memcmp(data, "\xFE\xFF", 2) == 0);
    /* Bytes that are UTF-8 beyond ASCII are nothing else. ISO-2022-JP is ASCII with escapes. */
    bool utf8 = sat_utf8_valid(data, length) == length && !memchr(data, 0x1B, length);
    if (!marked && !utf8 && decode_declared(out, data, length))
        return out->failed ? sat_memory_fail(out->memory, length, error) : SATCHEL_OK;
#endif
    return sat_text_decode(out, data, length, NULL, error);
}
