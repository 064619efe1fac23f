/* What the full-text index and BM25 agree on: columns, their weights, the counts blob. Private
 * to fts.c and bm25.c. */
#ifndef SATCHEL_RETRIEVAL_COUNTS_H
#define SATCHEL_RETRIEVAL_COUNTS_H

/* title, heading, body. A title stands in every row of its document and a heading in every row
 * of its section, so a term there says less about the row than one in its body. */
#define SAT_FTS_COLUMNS 3
#define SAT_FTS_WEIGHTS                                                                            \
    { 0.4f, 0.6f, 1.0f }

/* Phrases of a query: terms and prefix classes, each at most QUERY_TERMS_MAX. */
#define SAT_COUNTS_MAX 512

#endif
