/*
 * SentencePiece's precompiled normalisation ("precompiled_charsmap"): 4 bytes of size, a double array of
 * that many bytes, then NUL-terminated replacements. The array is Darts-clone's (Yata 2007): unit = child
 * offset in bits 10 to 30 (shifted by 8 if bit 9), label in bits 0 to 7, bit 8 "a key ends here", whose
 * value is the unit at the offset.
 */
#include <string.h>

#include "generate/gguf.h"
#include "generate/tokenizer_parts.h"

satchel_status sat_charsmap_open(sat_charsmap *map, const sat_gguf *gguf, satchel_error *error) {
    const char *key = "tokenizer.ggml.precompiled_charsmap";
    const uint8_t *data;
    size_t size, count;
    memset(map, 0, sizeof *map);
    if (!sat_gguf_array(gguf, key, &count) || count == 0)
        return SATCHEL_OK;
    if (!sat_gguf_array_bytes(gguf, key, &data, &size))
        return sat_fail(error, SATCHEL_DAMAGED, "%s is not an array of bytes", key);
    if (size < 4 || sat_read_u32(data) > size - 4 || sat_read_u32(data) < 4) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%s: its table of %u bytes does not fit in its %zu bytes", key,
                        size < 4 ? 0 : sat_read_u32(data), size);
    }
    size_t table = sat_read_u32(data);
    map->units = data + 4;
    map->unit_count = table / 4;
    map->strings = (const char *)data + 4 + table;
    map->strings_size = size - 4 - table;
    return SATCHEL_OK;
}

static uint32_t offset_of(uint32_t unit) {
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

const char *sat_charsmap_find(const sat_charsmap *map, const char *text, size_t length,
                              size_t *consumed, size_t *replaced) {
    if (map->unit_count == 0)
        return NULL;
    size_t found = 0, at = offset_of(sat_read_u32(map->units));
    uint32_t value = 0;
    for (size_t i = 0; i < length && i < SAT_PIECE_BYTES; i++) {
        uint8_t byte = (uint8_t)text[i];
        at ^= byte;
        if (byte == 0 || at >= map->unit_count)
            break;
        uint32_t unit = sat_read_u32(map->units + at * 4);
        if ((unit & (1u << 31 | 0xFF)) != byte)
            break;
        at ^= offset_of(unit);
        if (at >= map->unit_count)
            break;
        if (unit >> 8 & 1) {
            value = sat_read_u32(map->units + at * 4) & 0x7FFFFFFF;
            found = i + 1;
        }
    }
    if (found == 0 || value >= map->strings_size)
        return NULL;
    const char *string = map->strings + value;
    const char *nul = memchr(string, 0, map->strings_size - value);
    size_t size = nul ? (size_t)(nul - string) : 0;
    if (!nul || size > SAT_PIECE_BYTES || sat_utf8_valid(string, size) != size)
        return NULL;
    *consumed = found;
    *replaced = size;
    return string;
}
