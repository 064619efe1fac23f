/*
 * Messages on their way into a chat template: what transformers does to them first, known roles,
 * and content in parts, which is joined to one text or handed on, with the borders of parts that
 * stand apart.
 */
#include <string.h>

#include "generate/chat_parts.h"

typedef struct message_work {
    chat_run *run;
    const sat_chat_input *input;
    size_t index;   /* of the message at hand */
    size_t apart;   /* parts so far that stand apart */
    chat_mark more; /* bits that every text of the message gets */
} message_work;

static bool wrong(const message_work *w, const char *what) {
    w->run->status =
        sat_fail(w->run->error, SATCHEL_INVALID_ARGUMENT, "messages[%zu]: %s", w->index, what);
    return false;
}

static bool name_value(chat_run *run, chat_dict *dict, const char *name, const chat_value *value) {
    const chat_text *text = sat_chat_text(run, name, strlen(name), CHAT_UNTRUSTED);
    chat_value key = chat_of(text);
    return text && sat_chat_dict_set(run, dict, &key, value);
}

static chat_dict *new_dict(chat_run *run) {
    chat_dict *dict = sat_chat_alloc(run, 1, sizeof *dict);
    if (dict)
        dict->depth = 1;
    return dict;
}

/* ------------------------------------------------------------------ content */

/* The text of a part, or NULL: it is of another kind. *mark: as it is to be marked. */
static bool read_part(message_work *w, const chat_value *part, const chat_text **text,
                      chat_mark *mark) {
    *text = NULL;
    *mark = w->more;
    if (part->kind != CHAT_DICT)
        return true;
    const chat_value *type = sat_chat_dict_named(part->as.dict, "type");
    const chat_value *value = sat_chat_dict_named(part->as.dict, "text");
    const chat_value *apart = sat_chat_dict_named(part->as.dict, "apart");
    bool is_text = !type || (type->kind == CHAT_TEXT && sat_chat_is(type->as.text, "text"));
    if (apart && apart->kind != CHAT_BOOL)
        return wrong(w, "\"apart\" of a part is neither true nor false");
    if (!is_text || !value || value->kind != CHAT_TEXT)
        return true;
    *text = value->as.text;
    if (apart && apart->as.boolean)
        *mark |= (chat_mark)(CHAT_APART * (1 + w->apart++ % CHAT_APARTS));
    return true;
}

static bool join_parts(message_work *w, const chat_list *parts, chat_value *content) {
    chat_builder builder = {0};
    for (size_t i = 0; i < parts->count; i++) {
        const chat_text *text;
        chat_mark mark;
        if (!read_part(w, &parts->items[i], &text, &mark))
            return false;
        if (!text)
            return wrong(w, "a part of its content is no text; this model reads text alone");
        if (!sat_chat_build(w->run, &builder, text->data, text->length, NULL, mark))
            return false;
    }
    const chat_text *joined = sat_chat_built(w->run, &builder);
    *content = chat_of(joined);
    return joined != NULL;
}

/* The same parts, with their texts marked. */
static bool mark_parts(message_work *w, const chat_list *parts, chat_value *content) {
    chat_run *run = w->run;
    chat_list *list = sat_chat_list(run, parts->count);
    if (!list)
        return false;
    for (size_t i = 0; i < parts->count; i++) {
        const chat_text *text;
        chat_mark mark;
        list->items[i] = parts->items[i];
        if (!read_part(w, &parts->items[i], &text, &mark))
            return false;
        if (!text || mark == CHAT_UNTRUSTED)
            continue;
        const chat_dict *given = parts->items[i].as.dict;
        chat_dict *dict = new_dict(run);
        text = sat_chat_text(run, text->data, text->length, mark);
        if (!dict || !text)
            return false;
        for (size_t k = 0; k < given->count; k++)
            if (!sat_chat_dict_set(run, dict, &given->pairs[k].key, &given->pairs[k].value))
                return false;
        chat_value value = chat_of(text);
        if (!name_value(run, dict, "text", &value))
            return false;
        list->items[i] = (chat_value){.kind = CHAT_DICT, .as.dict = dict};
    }
    *content = sat_chat_list_value(list, CHAT_LIST, false);
    return sat_chat_list_done(run, list);
}

static bool prepare_content(message_work *w, chat_value *content) {
    if (content->kind == CHAT_TEXT && w->more) {
        const chat_text *text = content->as.text;
        text = sat_chat_text(w->run, text->data, text->length, w->more);
        *content = chat_of(text);
        return text != NULL;
    }
    if (content->kind != CHAT_LIST)
        return true;
    return w->input->join_parts ? join_parts(w, content->as.list, content)
                                : mark_parts(w, content->as.list, content);
}

/* ------------------------------------------------------------------ messages */

/*
 * What transformers does to a message before the template sees it: reasoning, under whatever name,
 * is there as "thinking" (in front, unless given) and as "reasoning_content". And a known role is
 * trusted: it is one of these words whoever wrote it, and some templates spell a turn's token with
 * it ("<|" + role + "|>").
 */
static bool prepare_message(message_work *w, chat_value *message) {
    static const char roles[] = "system user assistant tool developer function ipython model "
                                "observation environment";
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    chat_run *run = w->run;
    const chat_dict *given = message->as.dict;
    const chat_value *reasoning = NULL;
    for (size_t i = 0; i < SAT_COUNT(names) && !reasoning; i++) {
        reasoning = sat_chat_dict_named(given, names[i]);
        if (reasoning && reasoning->kind == CHAT_NONE)
            reasoning = NULL;
    }
    chat_dict *dict = new_dict(run);
    if (!dict)
        return false;
    if (reasoning && !name_value(run, dict, "thinking", reasoning))
        return false;
    for (size_t i = 0; i < given->count; i++) {
        const chat_text *key = given->pairs[i].key.as.text;
        chat_value value = given->pairs[i].value;
        if (sat_chat_is(key, "role") && value.kind == CHAT_TEXT &&
            sat_chat_among(roles, value.as.text->data, value.as.text->length)) {
            const chat_text *text =
                sat_chat_text(run, value.as.text->data, value.as.text->length, CHAT_TRUSTED);
            value = chat_of(text);
            if (!text)
                return false;
        }
        if (sat_chat_is(key, "content") && !prepare_content(w, &value))
            return false;
        if (!sat_chat_dict_set(run, dict, &given->pairs[i].key, &value))
            return false;
    }
    if (reasoning && !name_value(run, dict, "reasoning_content", reasoning))
        return false;
    message->as.dict = dict;
    return true;
}

/* Whether the content says nothing: then there is nothing to find again in the output. */
static bool is_blank(message_work *w, const chat_value *content, bool *blank) {
    *blank = true;
    if (content->kind == CHAT_TEXT) {
        const chat_text *bare = sat_chat_strip(w->run, content->as.text, NULL, 3);
        *blank = bare && bare->length == 0;
        return bare != NULL;
    }
    for (size_t i = 0; content->kind == CHAT_LIST && i < content->as.list->count && *blank; i++) {
        const chat_value *part = &content->as.list->items[i];
        const chat_value *text =
            part->kind == CHAT_DICT ? sat_chat_dict_named(part->as.dict, "text") : NULL;
        if (text && text->kind == CHAT_TEXT && !is_blank(w, text, blank))
            return false;
    }
    return true;
}

/* The last message is to be gone on with. *left: messages that the template gets. */
static bool prepare_last(message_work *w, const chat_list *given, size_t *left, bool *generate) {
    const chat_dict *last = given->count ? given->items[given->count - 1].as.dict : NULL;
    const chat_value *role = last ? sat_chat_dict_named(last, "role") : NULL;
    const chat_value *content = last ? sat_chat_dict_named(last, "content") : NULL;
    bool blank;
    w->index = given->count ? given->count - 1 : 0;
    if (!role || role->kind != CHAT_TEXT ||
        !sat_chat_among("assistant model", role->as.text->data, role->as.text->length))
        return wrong(w, "the answer is to go on with the last message, whose role has to be "
                        "\"assistant\"");
    if (!content || (content->kind != CHAT_TEXT && content->kind != CHAT_LIST))
        blank = true;
    else if (!is_blank(w, content, &blank))
        return false;
    w->run->continues = !blank;
    *generate = blank;
    *left = given->count - blank;
    return true;
}

bool sat_chat_messages(chat_run *run, const sat_chat_input *input, const chat_list *given,
                       chat_value *out, bool *generate) {
    message_work w = {.run = run, .input = input};
    size_t left = given->count;
    if (input->continue_last && !prepare_last(&w, given, &left, generate))
        return false;
    chat_list *list = sat_chat_list(run, left);
    if (!list)
        return false;
    for (size_t i = 0; i < left; i++) {
        w.index = i;
        w.more = run->continues && i + 1 == left ? CHAT_CONTINUED : 0;
        list->items[i] = given->items[i];
        if (!prepare_message(&w, &list->items[i]))
            return false;
    }
    *out = sat_chat_list_value(list, CHAT_LIST, false);
    return sat_chat_list_done(run, list);
}
