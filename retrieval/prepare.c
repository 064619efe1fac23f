/* Choosing what a prompt can hold: see prepare.h. */
#include "retrieval/prepare.h"

#include <string.h>

enum {
    DEFAULT_ANSWER = 512,  /* tokens, or a quarter of the context where that is less */
    AROUND_MESSAGE = 8,    /* tokens that a template may put around one, where nobody counts them */
    AROUND_PASSAGE = 2,    /* more than if it was tokenized with what is around it */
    LETTERS_PER_TOKEN = 4, /* for estimates: too many tokens do less harm than too few */
    TRIES = 8,
};

/* ------------------------------------------------------------------ counting */

static satchel_status count_text(sat_prepared *p, const char *text, size_t length, int64_t *tokens,
                                 satchel_error *error) {
    size_t count = 0;
    satchel_status status = sat_cancel_check(p->evidence.cancel, error);
    if (!status && !p->writer.count)
        count = sat_text_estimate_tokens(text, length, LETTERS_PER_TOKEN);
    else if (!status)
        status = p->writer.count(p->writer.user, text, length, &count, error);
    *tokens = count < INT32_MAX ? (int64_t)count : INT32_MAX; /* a sum of some stays in 64 bits */
    return status;
}

static sat_prompt_input input_of(const sat_prepared *p) {
    return (sat_prompt_input){.question = p->evidence.question,
                              .results = p->evidence.results,
                              .passages = p->shown,
                              .count = p->shown_count,
                              .history = &p->history,
                              .first = p->first};
}

static satchel_status write_messages(sat_prepared *p, satchel_error *error) {
    sat_prompt_input input = input_of(p);
    sat_buffer_clear(&p->messages);
    return sat_prompt_messages(p->prompt, &p->messages, &input, p->writer.parts, error);
}

/* Tokens of the messages as they are now, exactly where the writer can say. */
static satchel_status count_messages(sat_prepared *p, int64_t *tokens, satchel_error *error) {
    size_t count = 0;
    if (p->writer.count_messages) {
        satchel_status status = p->writer.count_messages(p->writer.user, p->messages.data,
                                                         p->messages.length, &count, error);
        *tokens = count < INT32_MAX ? (int64_t)count : INT32_MAX;
        return status;
    }
    satchel_status status = count_text(p, p->messages.data, p->messages.length, tokens, error);
    *tokens += (int64_t)(2 + p->history.count - p->first) * AROUND_MESSAGE;
    return status;
}

static satchel_status count_passage(sat_prepared *p, size_t index, int64_t *tokens,
                                    satchel_error *error) {
    sat_buffer text;
    sat_buffer_init(&text, p->memory);
    sat_prompt_input input = input_of(p);
    satchel_status status = sat_prompt_passage(p->prompt, &text, &input, index, error);
    if (!status)
        status = count_text(p, text.data, text.length, tokens, error);
    *tokens += AROUND_PASSAGE;
    sat_buffer_free(&text);
    return status;
}

/* ------------------------------------------------------------------ cutting */

typedef struct ends {
    sat_memory *memory;
    size_t *items, count, capacity;
} ends;

static int add_end(void *user, size_t start, size_t end) {
    ends *self = user;
    (void)start;
    if (!sat_grow(self->memory, (void **)&self->items, &self->capacity, self->count + 1,
                  sizeof *self->items))
        return SATCHEL_OUT_OF_MEMORY;
    self->items[self->count++] = end;
    return 0;
}

/* Cuts passage `index` behind the last sentence with which it fits into `room`; *cost 0: none
 * does. */
static satchel_status cut_passage(sat_prepared *p, size_t index, int64_t room, int64_t *cost,
                                  satchel_error *error) {
    const satchel_hit *hit = &p->evidence.results->hits[p->shown[index].hit].hit;
    ends sentences = {.memory = p->memory};
    satchel_status status = SATCHEL_OK;
    if (sat_text_sentences(hit->text, hit->text_length, add_end, &sentences))
        status = sat_memory_fail(p->memory, hit->text_length, error);
    *cost = 0;
    size_t fitting = 0, low = 0, high = sentences.count; /* high: the first known not to fit */
    while (low < high && !status) {
        size_t middle = low + (high - low) / 2;
        int64_t tokens = 0;
        p->shown[index].length = sentences.items[middle];
        status = count_passage(p, index, &tokens, error);
        if (tokens <= room) {
            fitting = sentences.items[middle];
            *cost = tokens;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    p->shown[index].length = fitting;
    sat_free(p->memory, sentences.items);
    return status;
}

/* ------------------------------------------------------------------ choosing */

/* What the pieces of a prompt cost. */
typedef struct prices {
    int64_t fixed;     /* all but history and passages */
    int64_t *messages; /* (history.count) */
    int64_t *passages; /* (hits) whole */
    int64_t all_passages;
} prices;

static satchel_status count_all(sat_prepared *p, prices *costs, satchel_error *error) {
    size_t hits = p->evidence.results->count;
    p->shown_count = 0;
    p->first = p->history.count;
    satchel_status status = write_messages(p, error);
    if (!status)
        status = count_messages(p, &costs->fixed, error);
    for (size_t i = 0; i < p->history.count && !status; i++) {
        size_t length;
        const char *text = sat_history_text(&p->history, i, &length);
        status = count_text(p, text, length, &costs->messages[i], error);
        costs->messages[i] += AROUND_MESSAGE;
    }
    for (size_t i = 0; i < hits; i++)
        p->shown[i] = (sat_shown){i, p->evidence.results->hits[i].hit.text_length};
    for (size_t i = 0; i < hits && !status; i++) {
        status = count_passage(p, i, &costs->passages[i], error);
        costs->all_passages += costs->passages[i];
    }
    return status;
}

/* The newest messages that fit into `room`, beginning with the user's. Returns what they cost. */
static int64_t choose_history(sat_prepared *p, const prices *costs, int64_t room) {
    int64_t used = 0;
    p->first = p->history.count;
    while (p->first > 0 && used + costs->messages[p->first - 1] <= room)
        used += costs->messages[--p->first];
    while (p->first < p->history.count && !sat_history_is_user(&p->history, p->first))
        used -= costs->messages[p->first++];
    return used;
}

/* Passages from the best on while they fit; the last may be cut. */
static satchel_status choose_passages(sat_prepared *p, const prices *costs, int64_t room,
                                      satchel_error *error) {
    p->shown_count = 0;
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < p->evidence.results->count; i++) {
        int64_t cost = costs->passages[i];
        p->shown[i].length = p->evidence.results->hits[i].hit.text_length;
        bool whole = cost <= room;
        if (!whole)
            status = cut_passage(p, i, room, &cost, error);
        if (status || cost == 0)
            break;
        p->shown_count++;
        room -= cost;
        if (!whole)
            break;
    }
    return status;
}

static satchel_status too_small(const sat_prepared *p, const prices *costs, satchel_error *error) {
    return sat_fail(
        error, SATCHEL_LIMIT,
        "the prompt may have %lld tokens, and without any passage it has %lld: there is "
        "no room for a sentence of a passage; give the model a larger context, or ask "
        "for a shorter answer with max_tokens",
        (long long)p->budget, (long long)costs->fixed);
}

/* Chooses within `budget` tokens and writes the messages. Passages come first: history gets what
 * they leave, but a third of the room if it needs that. */
static satchel_status choose(sat_prepared *p, const prices *costs, int64_t budget,
                             satchel_error *error) {
    int64_t left = budget - costs->fixed;
    if (left < 0)
        return too_small(p, costs, error);
    int64_t rest = left - costs->all_passages;
    int64_t used = choose_history(p, costs, rest > left / 3 ? rest : left / 3);
    satchel_status status = choose_passages(p, costs, left - used, error);
    if (!status && p->shown_count == 0 && used > 0) {
        p->first = p->history.count;
        status = choose_passages(p, costs, left, error);
    }
    if (!status && p->shown_count == 0 && p->evidence.results->count > 0)
        return too_small(p, costs, error);
    return status ? status : write_messages(p, error);
}

satchel_status sat_prepared_fill(sat_prepared *p, satchel_error *error) {
    size_t hits = p->evidence.results->count;
    prices costs = {0};
    p->shown = sat_calloc(p->memory, hits + 1, sizeof *p->shown);
    costs.messages = sat_calloc(p->memory, p->history.count + 1, sizeof *costs.messages);
    costs.passages = sat_calloc(p->memory, hits + 1, sizeof *costs.passages);
    satchel_status status = SATCHEL_OK;
    if (!p->shown || !costs.messages || !costs.passages)
        status = sat_memory_fail(p->memory, (hits + 1) * sizeof *p->shown, error);
    if (!status)
        status = count_all(p, &costs, error);
    /* Counted in pieces it may come to a little less than as a whole. */
    int64_t budget = p->budget;
    for (int tries = 0; !status; tries++) {
        status = choose(p, &costs, budget, error);
        if (!status)
            status = count_messages(p, &p->prompt_tokens, error);
        if (status || p->prompt_tokens <= p->budget)
            break;
        if (tries == TRIES)
            status = too_small(p, &costs, error);
        budget -= p->prompt_tokens - p->budget;
    }
    sat_free(p->memory, costs.messages);
    sat_free(p->memory, costs.passages);
    return status;
}

/* ------------------------------------------------------------------ life */

static satchel_status plan(sat_prepared *p, const sat_ask_setup *setup, satchel_error *error) {
    int64_t context = setup->writer.context_tokens;
    p->max_tokens = setup->max_tokens;
    p->budget = setup->context_tokens;
    if (context == 0)
        return SATCHEL_OK;
    int64_t answer = setup->max_tokens > 0 ? setup->max_tokens : context / 4;
    if (setup->max_tokens == 0) {
        answer = answer < DEFAULT_ANSWER ? answer : DEFAULT_ANSWER;
        p->max_tokens = (int32_t)(answer > 0 ? answer : 1);
    }
    if (answer >= context)
        return sat_fail(error, SATCHEL_LIMIT,
                        "an answer of %lld tokens leaves none of the context of %lld for a prompt; "
                        "lower max_tokens or open the model with more context_tokens",
                        (long long)answer, (long long)context);
    if (p->budget == 0 || p->budget > context - answer)
        p->budget = context - answer;
    return SATCHEL_OK;
}

satchel_status sat_prepared_begin(sat_prepared **out, sat_store *store, const char *question,
                                  const satchel_ask_options *options, const sat_ask_setup *setup,
                                  satchel_error *error) {
    *out = NULL;
    sat_prepared *p = sat_calloc(store->memory, 1, sizeof *p);
    if (!p) {
        if (setup->writer.release)
            setup->writer.release(setup->writer.user);
        return sat_memory_fail(store->memory, sizeof *p, error);
    }
    p->references = 1;
    p->memory = store->memory;
    p->writer = setup->writer;
    sat_buffer_init(&p->messages, p->memory);
    satchel_status status = sat_evidence_open(&p->evidence, store, question, options, error);
    if (!status)
        status = sat_prompt_open(&p->prompt, p->memory, setup->prompt, error);
    if (!status)
        status = sat_history_read(&p->history, p->memory, setup->history, error);
    if (!status)
        status = plan(p, setup, error);
    if (status)
        sat_prepared_close(&p);
    *out = p;
    return status;
}

void sat_prepared_close(sat_prepared **handle) {
    sat_prepared *p = *handle;
    *handle = NULL;
    if (!p || --p->references > 0)
        return;
    if (p->opened)
        sat_reply_close(&p->reply);
    sat_evidence_close(&p->evidence);
    sat_prompt_close(&p->prompt);
    sat_history_free(&p->history);
    sat_buffer_free(&p->messages);
    sat_free(p->memory, p->shown);
    if (p->writer.release)
        p->writer.release(p->writer.user);
    sat_free(p->memory, p);
}

satchel_status sat_prepared_reply(sat_prepared *p, satchel_error *error) {
    p->opened = true;
    return sat_reply_open(&p->reply, &p->evidence, p->shown, p->shown_count, p->prompt->refusal,
                          error);
}
