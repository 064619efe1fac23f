/*
 * The matcher inside: sets of places in a grammar, made one by one as texts reach them, and the
 * table of what byte leads from which to which. Only matcher*.c include this.
 */
#ifndef SATCHEL_GENERATE_MATCHER_PARTS_H
#define SATCHEL_GENERATE_MATCHER_PARTS_H

#include "generate/grammar_parts.h"
#include "generate/lexicon.h"

enum {
    SAT_PLACE_UNKNOWN = 0, /* in the table: not yet looked up */
    SAT_PLACE_DEAD = 1,
    SAT_PLACES_KEPT = 1 << 15, /* before all but the current one are forgotten */
    SAT_PLACES_MOST = 1 << 20, /* while one mask is made */
    SAT_FRAMES_KEPT = 1 << 18,
    SAT_FRAMES_MOST = 1 << 23,
    SAT_THREADS_MOST = 1 << 23,  /* of all places */
    SAT_PLACE_THREADS = 1 << 12, /* of one place: ways to read the text so far */
    SAT_MASKS_KEPT = 256,
    SAT_WALKS_KEPT = 64,
    SAT_WALK_LEAST = 100,     /* tokens that make a walk worth keeping */
    SAT_WALK_ROOM = 1 << 16,  /* tokens of one walk that is kept */
    SAT_WALK_TOKENS = 1 << 18 /* of all of them */
};

/* Where a rule goes on when the one that it called ends. Frame 0 is the bottom. */
typedef struct sat_frame {
    uint32_t state, below;
    uint32_t close; /* fewest bytes to the end of everything */
    uint32_t depth;
} sat_frame;

typedef struct sat_thread {
    uint32_t state, frame;
} sat_thread;

/* All ways in which the text so far can be read. */
typedef struct sat_place {
    uint32_t first, count; /* threads, sorted */
    uint32_t close;        /* fewest bytes to an end */
    uint32_t depth;        /* of its deepest thread */
    uint32_t tokens;       /* sat_matcher_tokens() + 1; 0: not counted */
    uint32_t mask;         /* its slot + 1; 0: none */
    bool may_end;
} sat_place;

typedef struct sat_mask {
    uint64_t *bits;
    uint64_t used; /* the clock when it was last asked for */
    uint32_t place;
    uint32_t furthest; /* no token that it allows leads further from an end, in bytes */
    bool empty;
} sat_mask;

/* The tokens found below a node that leads to a place: places that follow each other often share
 * one that they lead to. */
typedef struct sat_walk {
    const sat_lexicon_trie *trie;
    uint32_t node, place;
    uint32_t first, count; /* in walk_tokens */
    uint32_t furthest;
} sat_walk;

/* A walk at some depth: siblings still to be looked at, from a place. */
typedef struct sat_step {
    uint32_t at, end, place;
} sat_step;

struct sat_matcher {
    satchel_context *context;
    const sat_grammar *grammar;
    const sat_lexicon *lexicon;
    sat_memory *memory;
    satchel_error *error; /* of the call that runs */
    satchel_status status;

    sat_frame *frames;
    uint32_t *frame_slots; /* hash → frame */
    size_t frame_count, frame_capacity, frame_mask;
    sat_thread *threads;
    size_t thread_count, thread_capacity;
    sat_place *places;
    uint32_t *table; /* (place, class) */
    uint32_t *place_slots;
    size_t place_count, place_capacity, table_capacity, place_mask;

    sat_thread *work; /* threads still to be followed */
    size_t work_count, work_capacity;
    sat_thread *found;
    size_t found_count, found_capacity;
    uint64_t *seen; /* hash set of threads + 1, of one closure */
    uint32_t *seen_stamp;
    size_t seen_mask, seen_count;
    uint32_t stamp;

    /* The classes that an alphabet's ASCII falls into. */
    uint8_t alphabet_classes[SAT_LEXICON_ALPHABETS][128];
    size_t alphabet_class_counts[SAT_LEXICON_ALPHABETS];

    sat_mask masks[SAT_MASKS_KEPT];
    size_t mask_count;
    uint64_t clock;
    sat_walk walks[SAT_WALKS_KEPT];
    size_t walk_count;
    uint32_t *walk_tokens;
    size_t walk_token_count, walk_token_capacity;
    uint64_t *scratch; /* (words) */
    sat_step *path;    /* (longest + 2) */

    uint32_t first; /* the place where texts begin, unless it was forgotten */
    bool forgotten;
    uint32_t place; /* now */
    bool single;    /* a text of n bytes that closes a place can be spelt with n tokens */
    bool limited;   /* there is a budget */
    size_t left;    /* of it */
    bool ended;
};

/* The place behind a byte; SAT_PLACE_DEAD if there is none, or on failure (then `status` is
 * set). */
uint32_t sat_matcher_follow(sat_matcher *matcher, uint32_t place, uint8_t class);
static inline uint32_t sat_matcher_step(sat_matcher *matcher, uint32_t place, uint8_t byte) {
    uint8_t class = matcher->grammar->classes[byte];
    uint32_t next = matcher->table[(size_t)place * matcher->grammar->class_count + class];
    return next ? next : sat_matcher_follow(matcher, place, class);
}
/* The place of some threads of another. */
uint32_t sat_matcher_select(sat_matcher *matcher, uint32_t place, bool (*keep)(const sat_state *));
bool sat_matcher_begin(sat_matcher *matcher);
/* Forgets all places but the current one when there are many. */
bool sat_matcher_tidy(sat_matcher *matcher);
void sat_places_free(sat_matcher *matcher);

/* What a token must meet besides that the grammar takes it. */
typedef struct sat_condition {
    bool timed, closer;
    size_t left;    /* tokens behind this one */
    uint32_t close; /* closer: it must lead nearer to the end than this */
} sat_condition;

/* matcher_masks.c: the tokens that may come at the current place into bits (words). wanted may be
 * NULL. *furthest: no token of them leads further from an end, in bytes. */
bool sat_matcher_fill(sat_matcher *matcher, const sat_condition *wanted, uint64_t *bits,
                      uint32_t *furthest);
bool sat_matcher_meets(sat_matcher *matcher, const sat_condition *wanted, uint32_t place);
/* Once, at the beginning: how the grammar's classes meet the alphabets. */
void sat_matcher_alphabets(sat_matcher *matcher);

/* Tokens that spell the place's closing text: of its shortest texts to an end, the first in the
 * order of bytes. SAT_GRAMMAR_FAR: the vocabulary cannot spell it. */
uint32_t sat_matcher_tokens(sat_matcher *matcher, uint32_t place);
/* May a token that leads to `place` come, with `left` tokens behind it? */
bool sat_matcher_in_time(sat_matcher *matcher, uint32_t place, size_t left);

#endif
