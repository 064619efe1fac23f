/* Hyperparameters from keys: look-ups with their checks. */
#include "generate/keys.h"

#include <stdio.h>

sat_key_name sat_key(const sat_keys *keys, const char *part) {
    sat_key_name name;
    snprintf(name.text, sizeof name.text, "%.31s.%.60s", keys->arch, part);
    return name;
}

satchel_status sat_key_wrong(const sat_keys *keys, const char *part, const char *problem) {
    sat_key_name name = sat_key(keys, part);
    return sat_fail(keys->error, SATCHEL_UNSUPPORTED, "%s: key %s %s", keys->file, name.text,
                    problem);
}

static satchel_status missing(const sat_keys *keys, const sat_key_name *name) {
    return sat_fail(keys->error, SATCHEL_DAMAGED, "%s: key %s is missing; convert the model again",
                    keys->file, name->text);
}

satchel_status sat_key_size(const sat_keys *keys, const char *part, int64_t most, size_t otherwise,
                            size_t *out) {
    sat_key_name name = sat_key(keys, part);
    int64_t value = (int64_t)otherwise;
    size_t count;
    if (sat_gguf_array(keys->gguf, name.text, &count))
        return sat_key_wrong(keys, part, "is a list: layers of different sizes are not supported");
    if (!sat_gguf_integer(keys->gguf, name.text, &value) && otherwise == 0)
        return missing(keys, &name);
    if (value < 1 || value > most) {
        return sat_fail(keys->error, SATCHEL_UNSUPPORTED, "%s: %s is %lld, outside 1 to %lld",
                        keys->file, name.text, (long long)value, (long long)most);
    }
    *out = (size_t)value;
    return SATCHEL_OK;
}

satchel_status sat_key_number(const sat_keys *keys, const char *part, double *value) {
    sat_key_name name = sat_key(keys, part);
    sat_gguf_float(keys->gguf, name.text, value);
    if (!(*value > 0 && *value < 1e12))
        return sat_key_wrong(keys, part, "is not a number above 0");
    return SATCHEL_OK;
}

satchel_status sat_key_epsilon(const sat_keys *keys, const char *part, double otherwise,
                               float *out) {
    sat_key_name name = sat_key(keys, part);
    double epsilon = otherwise;
    if (!sat_gguf_float(keys->gguf, name.text, &epsilon) && otherwise < 0)
        return missing(keys, &name);
    if (!(epsilon >= 0 && epsilon < 1))
        return sat_key_wrong(keys, part, "is outside 0 to 1");
    *out = (float)epsilon;
    return SATCHEL_OK;
}

satchel_status sat_key_windows(const sat_keys *keys, int64_t most, size_t every, bool full_first,
                               size_t layers, uint8_t *windowed, size_t *window) {
    static const char *const size = "attention.sliding_window",
                             *const pattern = "attention.sliding_window_pattern";
    sat_key_name size_name = sat_key(keys, size), pattern_name = sat_key(keys, pattern);
    int64_t width = 0;
    size_t listed = 0;
    satchel_status status = SATCHEL_OK;
    *window = 0;
    sat_gguf_integer(keys->gguf, size_name.text, &width);
    if (width < 0 || width > most)
        return sat_key_wrong(keys, size, "is out of range");
    if (width == 0)
        return SATCHEL_OK;
    bool list = sat_gguf_array(keys->gguf, pattern_name.text, &listed);
    if (list && listed < layers)
        return sat_key_wrong(keys, pattern, "is shorter than the layers are many");
    if (!list)
        status = sat_key_size(keys, pattern, INT32_MAX, every, &every);
    for (size_t i = 0; !status && i < layers; i++) {
        int64_t flag = full_first ? i % every != 0 : i % every < every - 1;
        if (list && !sat_gguf_array_integer(keys->gguf, pattern_name.text, i, &flag))
            return sat_key_wrong(keys, pattern, "is not a list of flags");
        windowed[i] = flag != 0;
    }
    *window = (size_t)width;
    return status;
}
