/* Calling what is written in C from a template: finding it by name, binding arguments to
 * parameters. */
#include <string.h>

#include "generate/chat_parts.h"

const chat_native *sat_chat_find_native(const chat_native *table, size_t count, const char *name,
                                        size_t length) {
    for (size_t i = 0; i < count; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
            return &table[i];
    return NULL;
}

bool sat_chat_among(const char *names, const char *name, size_t length) {
    for (const char *at = names; *at;) {
        size_t size = strcspn(at, " ");
        if (size == length && memcmp(at, name, length) == 0)
            return true;
        at += size + strspn(at + size, " ");
    }
    return false;
}

/* The index of a parameter, or -1. */
static int parameter(const char *parameters, const char *name, size_t length) {
    int index = 0;
    for (const char *at = parameters; *at; index++) {
        size_t size = strcspn(at, ",");
        if (size == length && memcmp(at, name, length) == 0)
            return index;
        at += size + (at[size] == ',');
    }
    return -1;
}

static int count_parameters(const char *parameters) {
    int count = *parameters != '\0';
    for (; *parameters; parameters++)
        count += *parameters == ',';
    return count;
}

bool sat_chat_native(chat_run *run, const chat_native *native, const chat_value *self,
                     chat_call *call, chat_value *out) {
    call->name = native->name;
    for (size_t i = 0; i < CHAT_ARGUMENTS; i++)
        call->argument[i] = (chat_value){.kind = CHAT_ABSENT};
    if (!native->parameters)
        return native->function(run, self, call, out);
    int most = count_parameters(native->parameters);
    if (call->count > (size_t)most)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                             "%s() takes at most %d arguments, %zu are given", native->name, most,
                             call->count);
    for (size_t i = 0; i < call->count; i++)
        call->argument[i] = call->position[i];
    for (size_t i = 0; i < call->keyword_count; i++) {
        const chat_text *name = call->keywords[2 * i].as.text;
        int index = parameter(native->parameters, name->data, name->length);
        if (index < 0 || call->argument[index].kind != CHAT_ABSENT)
            return sat_chat_fail(
                run, SATCHEL_INVALID_ARGUMENT,
                index < 0 ? "%s() has no parameter \"%.*s\"" : "%s() is given \"%.*s\" twice",
                native->name, (int)(name->length < 64 ? name->length : 64), name->data);
        call->argument[index] = call->keywords[2 * i + 1];
    }
    for (int i = 0; i < native->required; i++)
        if (call->argument[i].kind == CHAT_ABSENT)
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() lacks an argument: (%s)",
                                 native->name, native->parameters);
    return native->function(run, self, call, out);
}

bool sat_chat_want_text(chat_run *run, const chat_call *call, size_t index,
                        const chat_text **text) {
    const chat_value *value = &call->argument[index];
    if (value->kind == CHAT_TEXT) {
        *text = value->as.text;
        return true;
    }
    return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() wants a str, not a %s", call->name,
                         sat_chat_kind(value));
}

bool sat_chat_want_int(chat_run *run, const chat_call *call, size_t index, int64_t otherwise,
                       int64_t *integer) {
    const chat_value *value = &call->argument[index];
    *integer = otherwise;
    if (value->kind == CHAT_INT || value->kind == CHAT_BOOL)
        *integer = chat_integer(value);
    else if (value->kind != CHAT_ABSENT)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() wants an int, not a %s",
                             call->name, sat_chat_kind(value));
    return true;
}
