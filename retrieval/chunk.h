/*
 * The parts a document is cut from: sections under their headings, and units, which are sentences
 * or pieces of sentences too long for a chunk. Private to chunk.c and chunk_units.c.
 */
#ifndef SATCHEL_RETRIEVAL_CHUNK_H
#define SATCHEL_RETRIEVAL_CHUNK_H

#include "retrieval/document.h"

#define SAT_NO_SECTION UINT32_MAX

/* What a unit begins, from the worst place for a cut to the best. */
typedef enum sat_unit_begin {
    SAT_BEGIN_PIECE,
    SAT_BEGIN_SENTENCE,
    SAT_BEGIN_PARAGRAPH,
    SAT_BEGIN_SECTION
} sat_unit_begin;

typedef struct sat_unit {
    size_t start, end; /* bytes of the text, trimmed, never empty */
    uint32_t tokens;
    uint32_t section; /* SAT_NO_SECTION: before the first heading */
    sat_unit_begin begin;
} sat_unit;

typedef struct sat_section {
    int level;         /* 1 to 6 */
    uint32_t parent;   /* SAT_NO_SECTION: none */
    bool empty;        /* nothing in it but its heading */
    const char *label; /* as the locator has it, never NULL */
    const char *path;  /* "A > B"; bounded */
    uint32_t path_tokens;
    size_t start; /* byte of the text */
} sat_section;

typedef struct sat_units {
    sat_memory *memory;
    const char *text;
    size_t length;
    const satchel_embedder *embedder; /* NULL: estimate */
    uint32_t overhead;                /* tokens of an empty text: special tokens */
    uint32_t room;                    /* tokens a chunk can have beside overhead and path */
    uint32_t path_room;               /* tokens a path can have */
    sat_section *sections;
    size_t section_count, section_capacity;
    sat_unit *units;
    size_t count, capacity;
    satchel_status status; /* the first failure, with *error */
    satchel_error *error;
} sat_units;

/* Takes a document apart. `paths` gets the strings of the sections' paths. */
satchel_status sat_units_make(sat_units *out, sat_memory *memory, const sat_document *document,
                              const satchel_embedder *embedder, int32_t budget, sat_arena *paths,
                              satchel_error *error);
void sat_units_free(sat_units *units);

#endif
