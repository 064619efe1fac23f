/* Jinja's tests ("is defined", "is string", …) and global functions (range, namespace,
 * raise_exception, …). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "generate/chat_parts.h"

#define NATIVE(name)                                                                               \
    static bool name(chat_run *run, const chat_value *self, const chat_call *call, chat_value *out)
#define TEST(name, condition)                                                                      \
    NATIVE(name) {                                                                                 \
        *out = chat_bool(condition);                                                               \
        return true;                                                                               \
    }

/* ------------------------------------------------------------------ tests */

TEST(is_defined, self->kind != CHAT_UNDEFINED)
TEST(is_undefined, self->kind == CHAT_UNDEFINED)
TEST(is_none, self->kind == CHAT_NONE)
TEST(is_boolean, self->kind == CHAT_BOOL)
TEST(is_true, self->kind == CHAT_BOOL && self->as.boolean)
TEST(is_false, self->kind == CHAT_BOOL && !self->as.boolean)
TEST(is_integer, self->kind == CHAT_INT)
TEST(is_float, self->kind == CHAT_FLOAT)
TEST(is_number, chat_is_number(self))
TEST(is_string, self->kind == CHAT_TEXT)
TEST(is_mapping, self->kind == CHAT_DICT)
TEST(is_iterable, self->kind == CHAT_UNDEFINED ||
                      (self->kind >= CHAT_TEXT && self->kind <= CHAT_ITERATOR) ||
                      self->kind == CHAT_LOOP)
TEST(is_sequence,
     self->kind == CHAT_UNDEFINED || (self->kind >= CHAT_TEXT && self->kind <= CHAT_RANGE_OF))
TEST(is_callable, self->kind == CHAT_UNDEFINED || self->kind >= CHAT_MACRO)

static bool compared(chat_run *run, chat_binary op, const chat_value *self, const chat_call *call,
                     chat_value *out) {
    return sat_chat_binary(run, op, self, &call->argument[0], out);
}
NATIVE(is_equal) {
    return compared(run, CHAT_EQ, self, call, out);
}
NATIVE(is_unequal) {
    return compared(run, CHAT_NE, self, call, out);
}
NATIVE(is_less) {
    return compared(run, CHAT_LT, self, call, out);
}
NATIVE(is_less_or_equal) {
    return compared(run, CHAT_LE, self, call, out);
}
NATIVE(is_greater) {
    return compared(run, CHAT_GT, self, call, out);
}
NATIVE(is_greater_or_equal) {
    return compared(run, CHAT_GE, self, call, out);
}
NATIVE(is_in) {
    return compared(run, CHAT_IN, self, call, out);
}

static bool divisible(chat_run *run, const chat_value *self, const chat_value *by, int64_t rest,
                      chat_value *out) {
    chat_value left, wanted = chat_int(rest, true);
    bool equal;
    if (!sat_chat_binary(run, CHAT_MOD, self, by, &left) ||
        !sat_chat_equal(run, &left, &wanted, &equal))
        return false;
    *out = chat_bool(equal);
    return true;
}
NATIVE(is_divisible) {
    return divisible(run, self, &call->argument[0], 0, out);
}
NATIVE(is_odd) {
    chat_value two = chat_int(2, true);
    return divisible(run, self, &two, 1, out);
}
NATIVE(is_even) {
    chat_value two = chat_int(2, true);
    return divisible(run, self, &two, 0, out);
}

/* Identity, where Python promises it: of none, true, false, and of what is made once. */
NATIVE(is_same) {
    const chat_value *other = &call->argument[0];
    bool equal = false;
    if (self->kind != other->kind) {
        *out = chat_bool(false);
        return true;
    }
    if (self->kind == CHAT_NONE || self->kind == CHAT_BOOL) {
        if (!sat_chat_equal(run, self, other, &equal))
            return false;
        *out = chat_bool(equal);
        return true;
    }
    return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "sameas of a %s", sat_chat_kind(self));
}

/* str.isupper and islower: there are letters with case, and none is of the other. */
static bool all_case(chat_run *run, const chat_value *self, chat_case to, chat_case other,
                     chat_value *out) {
    const chat_text *text = sat_chat_string(run, self);
    const chat_text *same = text ? sat_chat_recase(run, text, to) : NULL;
    const chat_text *changed = same ? sat_chat_recase(run, text, other) : NULL;
    if (!changed)
        return false;
    *out = chat_bool(sat_chat_same(text, same) && !sat_chat_same(text, changed));
    return true;
}
NATIVE(is_upper) {
    return all_case(run, self, CHAT_UPPER, CHAT_LOWER, out);
}
NATIVE(is_lower) {
    return all_case(run, self, CHAT_LOWER, CHAT_UPPER, out);
}

static const chat_native tests[] = {
    {"!=", "other", 1, is_unequal},
    {"<", "other", 1, is_less},
    {"<=", "other", 1, is_less_or_equal},
    {"==", "other", 1, is_equal},
    {">", "other", 1, is_greater},
    {">=", "other", 1, is_greater_or_equal},
    {"boolean", "", 0, is_boolean},
    {"callable", "", 0, is_callable},
    {"defined", "", 0, is_defined},
    {"divisibleby", "num", 1, is_divisible},
    {"eq", "other", 1, is_equal},
    {"equalto", "other", 1, is_equal},
    {"even", "", 0, is_even},
    {"false", "", 0, is_false},
    {"float", "", 0, is_float},
    {"ge", "other", 1, is_greater_or_equal},
    {"greaterthan", "other", 1, is_greater},
    {"gt", "other", 1, is_greater},
    {"in", "seq", 1, is_in},
    {"integer", "", 0, is_integer},
    {"iterable", "", 0, is_iterable},
    {"le", "other", 1, is_less_or_equal},
    {"lessthan", "other", 1, is_less},
    {"lower", "", 0, is_lower},
    {"lt", "other", 1, is_less},
    {"mapping", "", 0, is_mapping},
    {"ne", "other", 1, is_unequal},
    {"none", "", 0, is_none},
    {"number", "", 0, is_number},
    {"odd", "", 0, is_odd},
    {"sameas", "other", 1, is_same},
    {"sequence", "", 0, is_sequence},
    {"string", "", 0, is_string},
    {"true", "", 0, is_true},
    {"undefined", "", 0, is_undefined},
    {"upper", "", 0, is_upper},
};

const chat_native *sat_chat_test(const char *name, size_t length) {
    return sat_chat_find_native(tests, SAT_COUNT(tests), name, length);
}

/* ------------------------------------------------------------------ functions */

NATIVE(raise_exception) {
    const chat_text *text = sat_chat_string(run, &call->argument[0]);
    return text && sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "the template says: %.*s",
                                 (int)(text->length < 400 ? text->length : 400), text->data);
}

NATIVE(range) {
    int64_t bounds[3] = {0, 0, 1};
    bool trusted = true;
    chat_range *made = sat_chat_alloc(run, 1, sizeof *made);
    if (!made)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (!sat_chat_want_int(run, call, i, bounds[i], &bounds[i]))
            return false;
        else if (call->argument[i].kind != CHAT_ABSENT)
            trusted = trusted && call->argument[i].trusted;
    if (call->argument[1].kind == CHAT_ABSENT) {
        bounds[1] = bounds[0];
        bounds[0] = 0;
    }
    int64_t start = bounds[0], stop = bounds[1], step = bounds[2];
    if (step == 0)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "range() with step 0");
    uint64_t span = 0, stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    if (step > 0 ? start < stop : start > stop)
        span = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    uint64_t count = span ? (span - 1) / stride + 1 : 0;
    if (count > CHAT_RANGE)
        return sat_chat_fail(run, SATCHEL_LIMIT, "range() of over %d items", CHAT_RANGE);
    *made = (chat_range){start, stop, step, (size_t)count};
    *out = (chat_value){.kind = CHAT_RANGE_OF, .trusted = trusted, .as.range = made};
    return true;
}

/* What dict(…) and namespace(…) are given: a dict or pairs, then keywords. */
static bool fill(chat_run *run, const chat_call *call, chat_dict *dict) {
    dict->depth = 1;
    if (call->count > 1)
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "%s() takes at most 1 argument",
                             call->name);
    if (call->count) {
        chat_value pairs = call->position[0];
        chat_view view = {pairs.as.dict, 'i', pairs.trusted};
        if (pairs.kind == CHAT_DICT)
            pairs = (chat_value){.kind = CHAT_VIEW, .trusted = pairs.trusted, .as.view = &view};
        const chat_list *items;
        if (!sat_chat_items(run, &pairs, &items))
            return false;
        for (size_t i = 0; i < items->count; i++) {
            const chat_list *pair = chat_is_list(&items->items[i]) ? items->items[i].as.list : NULL;
            if (!pair || pair->count != 2)
                return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                                     "%s() wants a dict or a list of pairs", call->name);
            if (!sat_chat_dict_set(run, dict, &pair->items[0], &pair->items[1]))
                return false;
        }
    }
    for (size_t i = 0; i < call->keyword_count; i++)
        if (!sat_chat_dict_set(run, dict, &call->keywords[2 * i], &call->keywords[2 * i + 1]))
            return false;
    return true;
}

NATIVE(make_dict) {
    chat_dict *dict = sat_chat_alloc(run, 1, sizeof *dict);
    if (!dict || !fill(run, call, dict))
        return false;
    *out = (chat_value){.kind = CHAT_DICT,
                        .trusted = call->count ? call->position[0].trusted : true,
                        .as.dict = dict};
    return true;
}

NATIVE(make_namespace) {
    chat_namespace *space = sat_chat_alloc(run, 1, sizeof *space);
    if (!space || !fill(run, call, &space->dict))
        return false;
    for (size_t i = 0; i < space->dict.count; i++) {
        const chat_value *key = &space->dict.pairs[i].key;
        if (key->kind == CHAT_TEXT && key->as.text->length && key->as.text->data[0] == '_')
            return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT,
                                 "a namespace takes no names with \"_\" in front");
    }
    *out = (chat_value){.kind = CHAT_NAMESPACE, .trusted = true, .as.space = space};
    return true;
}

/* ---- strftime */

typedef struct date {
    int64_t year;
    int month, day, hour, minute, second, weekday, yearday; /* month and days from 0, Sunday 0 */
} date;

/* The proleptic Gregorian calendar by eras of 400 years that begin in March. */
static date date_of(int64_t seconds) {
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    date d = {
        .hour = (int)(rest / 3600), .minute = (int)(rest / 60 % 60), .second = (int)(rest % 60)};
    d.weekday = (int)(((days + 4) % 7 + 7) % 7);
    int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    d.day = (int)(of_year - (153 * month + 2) / 5);
    d.month = (int)(month < 10 ? month + 2 : month - 10);
    d.year = year + era * 400 + (d.month < 2);
    bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    d.yearday = before[d.month] + (leap && d.month > 1) + d.day;
    return d;
}

static bool spell_date(const date *d, char what, char out[40]) {
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    int hour = d->hour % 12 ? d->hour % 12 : 12;
    switch (what) {
    case 'a':
        snprintf(out, 40, "%.3s", days[d->weekday]);
        return true;
    case 'A':
        snprintf(out, 40, "%s", days[d->weekday]);
        return true;
    case 'b':
        snprintf(out, 40, "%.3s", months[d->month]);
        return true;
    case 'B':
        snprintf(out, 40, "%s", months[d->month]);
        return true;
    case 'd':
        snprintf(out, 40, "%02d", d->day + 1);
        return true;
    case 'e':
        snprintf(out, 40, "%2d", d->day + 1);
        return true;
    case 'F':
        snprintf(out, 40, "%04" PRId64 "-%02d-%02d", d->year, d->month + 1, d->day + 1);
        return true;
    case 'H':
        snprintf(out, 40, "%02d", d->hour);
        return true;
    case 'I':
        snprintf(out, 40, "%02d", hour);
        return true;
    case 'j':
        snprintf(out, 40, "%03d", d->yearday + 1);
        return true;
    case 'm':
        snprintf(out, 40, "%02d", d->month + 1);
        return true;
    case 'M':
        snprintf(out, 40, "%02d", d->minute);
        return true;
    case 'p':
        snprintf(out, 40, "%s", d->hour < 12 ? "AM" : "PM");
        return true;
    case 'S':
        snprintf(out, 40, "%02d", d->second);
        return true;
    case 'T':
        snprintf(out, 40, "%02d:%02d:%02d", d->hour, d->minute, d->second);
        return true;
    case 'w':
        snprintf(out, 40, "%d", d->weekday);
        return true;
    case 'y':
        snprintf(out, 40, "%02d", (int)(d->year % 100));
        return true;
    case 'Y':
        snprintf(out, 40, "%" PRId64, d->year);
        return true;
    case '%':
        snprintf(out, 40, "%%");
        return true;
    default:
        return false;
    }
}

NATIVE(strftime_now) {
    const chat_text *text;
    chat_builder builder = {0};
    if (!sat_chat_want_text(run, call, 0, &text))
        return false;
    if (run->now < INT64_C(-62135596800) || run->now > INT64_C(253402300799))
        return sat_chat_fail(run, SATCHEL_INVALID_ARGUMENT, "the time is not in years 1 to 9999");
    date d = date_of(run->now);
    for (size_t at = 0; at < text->length; at++) {
        size_t start = at;
        if (text->data[at] != '%') {
            if (!sat_chat_build_part(run, &builder, text, at, at + 1))
                return false;
            continue;
        }
        bool bare = at + 2 < text->length && text->data[at + 1] == '-'; /* glibc: without zeros */
        at += bare ? 2 : 1;
        char spelled[40];
        if (at >= text->length || !spell_date(&d, text->data[at], spelled))
            return sat_chat_fail(run, SATCHEL_UNSUPPORTED, "strftime_now() with \"%%%.*s\"",
                                 (int)(at - start),
                                 at < text->length ? text->data + start + 1 : "");
        const char *from = spelled;
        while (bare && (*from == '0' || *from == ' ') && from[1])
            from++;
        if (!sat_chat_build(run, &builder, from, strlen(from), NULL,
                            sat_chat_mark_of(text, start, at + 1)))
            return false;
    }
    const chat_text *built = sat_chat_built(run, &builder);
    *out = chat_of(built);
    return built != NULL;
}

static const chat_native globals[] = {
    {"dict", NULL, 0, make_dict},
    {"namespace", NULL, 0, make_namespace},
    {"raise_exception", "message", 1, raise_exception},
    {"range", "start,stop,step", 1, range},
    {"strftime_now", "format", 1, strftime_now},
};

const chat_native *sat_chat_global(const char *name, size_t length) {
    return sat_chat_find_native(globals, SAT_COUNT(globals), name, length);
}
