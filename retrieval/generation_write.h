/*
 * Writes a generation file (retrieval/generation.h) under a temporary name: first the sections, then
 * the rows of its lists in any order, then the hashes of what the file holds. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_GENERATION_WRITE_H
#define SATCHEL_RETRIEVAL_GENERATION_WRITE_H

#include "retrieval/generation.h"

typedef struct sat_generation_writer {
    satchel_context *context;  /* NULL: was never opened */
    sat_memory *memory;        /* the context's */
    sat_generation_info *info; /* the caller's */
    sat_ivf_list *table;       /* (lists) */
    uint64_t *filled;          /* (lists) rows written */
    size_t sealed;             /* lists whose hash is known */
    sat_buffer path;           /* the file's temporary name */
    int fd;                    /* -1: not open */
    bool created;
} sat_generation_writer;

/* Makes room for as many lists as `info` says; there may be fewer of them at last. To be closed also
 * after a failure. */
satchel_status sat_generation_writer_open(sat_generation_writer *writer, satchel_context *context,
                                          sat_generation_info *info, satchel_error *error);
/* Removes the file, if it still has its temporary name. */
void sat_generation_writer_close(sat_generation_writer *writer);

/* Makes the file "<path>.<random>.tmp" and lays out its sections, which needs dimension, lists, rows
 * and sample_count of the information. labels (rows): each row's list. */
satchel_status sat_generation_create(sat_generation_writer *writer, const char *path,
                                     const int32_t *labels, satchel_error *error);
/* A whole section, of the size that was laid out. LISTS and TABLE are written by those below. */
satchel_status sat_generation_write(sat_generation_writer *writer, int kind, const void *data,
                                    satchel_error *error);
/* The next rows of a list; a sat_ivf_place_function whose `user` is the writer. */
satchel_status sat_generation_write_rows(void *writer, size_t list, const uint8_t *codes,
                                         const int32_t *numbers, size_t count,
                                         satchel_error *error);
/* Reads some lists back for their hashes. *finished: all, and table and header are written, the file
 * is on the disk and closed; *hash is its header's. */
satchel_status sat_generation_seal(sat_generation_writer *writer, bool *finished, uint64_t *hash,
                                   satchel_error *error);

#endif
