/*
 * Citations in a text that grows: finds markers such as [1], [1, 3], [2–4], ［１］ or 【1】, and says
 * which range of the text each stands for and which bytes of the passage bear it out. What it finds
 * does not depend on how the text is cut into pieces. Knows nothing of the store. Private to
 * retrieval.
 *
 * A marker stands for the sentence that carries it, up to the marker; with several in one sentence,
 * each for the clause since the one before. Behind the end of a sentence it stands for that
 * sentence. Where only a few letters stand before it and the sentence goes on ("According to [1],
 * …", "[1] says …") it stands for what follows, up to the next marker or the sentence's end.
 *
 * A citation is verified if the range, with or without its closing stop, stands byte for byte in
 * the passage, or else if everything quoted in it does (quotation marks around at least eight
 * bytes). Nothing is normalised for that. The source is then where it stands, else the sentence of
 * the passage that shares the most terms with the range, else the whole passage.
 */
#ifndef SATCHEL_RETRIEVAL_CITE_H
#define SATCHEL_RETRIEVAL_CITE_H

#include "retrieval/terms.h"

typedef struct sat_citation {
    satchel_range answer;            /* of the text */
    size_t passage;                  /* index */
    size_t source_start, source_end; /* bytes of the passage */
    bool verified;
    float score; /* 0 to 1: terms shared with the source; 1 if verified */
} sat_citation;

typedef struct sat_cite sat_cite;

/* The passages, numbered from 1, must outlive it. */
satchel_status sat_cite_open(sat_cite **out, sat_memory *memory, const satchel_text *passages,
                             size_t count, satchel_error *error);
void sat_cite_close(sat_cite **cite);
/* More of the text: whole characters of valid UTF-8. */
satchel_status sat_cite_add(sat_cite *cite, const char *text, size_t length, satchel_error *error);
/* The text is complete. */
satchel_status sat_cite_end(sat_cite *cite, satchel_error *error);
/* Takes the next citation out, in the order of their markers; false: none is there yet. */
bool sat_cite_next(sat_cite *cite, sat_citation *out);
/* Appends a text without its markers and the spaces before them: those of an earlier answer, whose
 * passages are gone. Numbers from 1,000 on, such as years, are none. */
void sat_cite_strip(sat_buffer *out, const char *text, size_t length);
/* All of the text so far. */
const char *sat_cite_text(const sat_cite *cite, size_t *length);

#endif
