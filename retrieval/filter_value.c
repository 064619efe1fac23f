/* Values in filters: their kinds, and times. */
#include "retrieval/filter_value.h"

#include <math.h>

char sat_filter_kind(const json_t *value) {
    return json_is_string(value)    ? 's'
           : json_is_number(value)  ? 'n'
           : json_is_boolean(value) ? 'b'
                                    : 0;
}

bool sat_filter_has_kind(const json_t *array, char kind) {
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item) {
        if (sat_filter_kind(item) == kind)
            return true;
    }
    return false;
}

bool sat_filter_is_strings(const json_t *value) {
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(value);
}

bool sat_filter_is_scalars(const json_t *value) {
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item) {
        if (!sat_filter_kind(item))
            return false;
    }
    return json_is_array(value);
}

/* ------------------------------------------------------------------ times */

/* Exactly `digits` decimal digits. */
static bool number(const char **at, int digits, int low, int high, int *out) {
    int value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *out = value;
    return value >= low && value <= high;
}

static bool character(const char **at, char wanted) {
    if (**at != wanted)
        return false;
    (*at)++;
    return true;
}

static int days_of_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 1970-01-01 in the Gregorian calendar, years counted from March so that the leap day
 * comes last. */
static int64_t days_from_epoch(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* "T12:30", "T12:30:00" or "T12:30:00.250", into milliseconds of the day. */
static bool time_of_day(const char **at, int64_t *ms) {
    int hour, minute, second = 0;
    *ms = 0;
    if (!character(at, 'T') || !number(at, 2, 0, 23, &hour) || !character(at, ':') ||
        !number(at, 2, 0, 59, &minute))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!number(at, 2, 0, 59, &second))
            return false;
        if (**at == '.') {
            (*at)++;
            int64_t unit = 100;
            if (**at < '0' || **at > '9')
                return false;
            for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
                *ms += (**at - '0') * unit;
        }
    }
    *ms += ((hour * 60 + minute) * 60 + second) * INT64_C(1000);
    return true;
}

/* "Z", "+01:00", "-0530"; nothing is UTC. */
static bool zone(const char **at, int64_t *ms) {
    int hours, minutes;
    *ms = 0;
    if (**at == '\0' || character(at, 'Z'))
        return true;
    bool east = **at == '+';
    if (!east && **at != '-')
        return false;
    (*at)++;
    if (!number(at, 2, 0, 14, &hours))
        return false;
    character(at, ':');
    if (!number(at, 2, 0, 59, &minutes))
        return false;
    *ms = (hours * 60 + minutes) * INT64_C(60000) * (east ? 1 : -1);
    return true;
}

static bool parse_time(const char *at, int64_t *ms) {
    int year, month, day;
    int64_t of_day = 0, offset = 0;
    if (!number(&at, 4, 1, 9999, &year) || !character(&at, '-') || !number(&at, 2, 1, 12, &month) ||
        !character(&at, '-') || !number(&at, 2, 1, days_of_month(year, month), &day))
        return false;
    if (*at && (!time_of_day(&at, &of_day) || !zone(&at, &offset)))
        return false;
    *ms = days_from_epoch(year, month, day) * INT64_C(86400000) + of_day - offset;
    return *at == '\0';
}

bool sat_filter_time(const json_t *value, int64_t *ms) {
    if (json_is_integer(value)) {
        *ms = json_integer_value(value);
        return true;
    }
    if (json_is_real(value)) {
        double real = json_real_value(value);
        if (!(fabs(real) < 9e15))
            return false;
        *ms = (int64_t)real;
        return true;
    }
    return json_is_string(value) && parse_time(json_string_value(value), ms);
}
