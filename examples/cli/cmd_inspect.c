/* inspect: what is in a GGUF file, and what it would need as a model. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MOST_TYPES = 64 };

struct type_sum {
    char name[24];
    int64_t tensors, bytes;
};

struct types {
    struct type_sum sums[MOST_TYPES];
    size_t count;
};

/* ------------------------------------------------------------------ the parts */

static void add_type(struct types *types, const satchel_gguf_tensor *tensor) {
    char name[24];
    if (strcmp(tensor->type, "?") == 0)
        snprintf(name, sizeof name, "type %" PRId32, tensor->type_id);
    else
        snprintf(name, sizeof name, "%s", tensor->type);
    size_t i = 0;
    while (i < types->count && strcmp(types->sums[i].name, name) != 0)
        i++;
    if (i == MOST_TYPES)
        return;
    if (i == types->count) {
        memcpy(types->sums[i].name, name, sizeof name);
        types->count++;
    }
    types->sums[i].tensors++;
    types->sums[i].bytes += tensor->bytes;
}

static const char *shape_text(char out[96], const satchel_gguf_tensor *tensor) {
    int used = 0;
    for (int32_t d = 0; d < tensor->rank; d++)
        used +=
            snprintf(out + used, 96 - (size_t)used, "%s%" PRId64, d ? " x " : "", tensor->shape[d]);
    return out;
}

static void show_file(const char *path, const satchel_gguf_info *info) {
    char bytes[16], weights[16];
    print_string(stdout, path);
    printf(": GGUF %" PRId32 ", %s in %" PRId32 " %s, %" PRId64 " parameters in %s\n",
           info->version, human_bytes(bytes, (double)info->file_bytes), info->parts,
           info->parts == 1 ? "file" : "files", info->parameter_count,
           human_bytes(weights, (double)info->tensor_bytes));
}

static void out_file(const char *path, const satchel_gguf_info *info) {
    struct json json;
    out_begin(&json, stdout, "file");
    out_string(&json, "path", path);
    out_integer(&json, "version", info->version);
    out_integer(&json, "parts", info->parts);
    out_integer(&json, "keys", info->key_count);
    out_integer(&json, "tensors", info->tensor_count);
    out_integer(&json, "file_bytes", info->file_bytes);
    out_integer(&json, "tensor_bytes", info->tensor_bytes);
    out_integer(&json, "parameters", info->parameter_count);
    out_end(&json);
}

static void show_key(const struct cli *cli, const satchel_gguf_key *key) {
    fputs("  ", stdout);
    print_string(stdout, key->name);
    const int gap = 44 - (int)strlen(key->name);
    printf("%*s %s%-16s%s ", gap > 0 ? gap : 0, "", style(cli->color_out, STYLE_DIM), key->type,
           style(cli->color_out, STYLE_PLAIN));
    size_t shown = key->value_length;
    const size_t room = cli->width > 80 ? (size_t)cli->width - 66 : 60;
    const bool shorten = !cli->options.full && shown > room;
    if (shorten) {
        shown = room;
        while (shown > 0 && ((unsigned char)key->value[shown] & 0xC0) == 0x80)
            shown--;
    }
    print_safe(stdout, key->value, shown, false);
    if (shorten || key->cut)
        printf(" … (%" PRId64 ")", key->count);
    fputc('\n', stdout);
}

static void out_gguf_key(const satchel_gguf_key *key) {
    struct json json;
    out_begin(&json, stdout, "key");
    out_string(&json, "name", key->name);
    out_string(&json, "value_type", key->type);
    out_object(&json, "value", key->value);
    out_integer(&json, "count", key->count);
    out_boolean(&json, "cut", key->cut);
    out_integer(&json, "part", key->part);
    out_end(&json);
}

static void show_tensor(const satchel_gguf_tensor *tensor) {
    char shape[96], bytes[16];
    fputs("  ", stdout);
    print_string(stdout, tensor->name);
    const int gap = 36 - (int)strlen(tensor->name);
    printf("%*s %-8s %-24s %s\n", gap > 0 ? gap : 0, "", tensor->type, shape_text(shape, tensor),
           human_bytes(bytes, (double)tensor->bytes));
}

static void out_tensor(const satchel_gguf_tensor *tensor) {
    struct json json;
    out_begin(&json, stdout, "tensor");
    out_string(&json, "name", tensor->name);
    out_string(&json, "weight_type", tensor->type);
    out_integer(&json, "type_id", tensor->type_id);
    out_key(&json, "shape");
    out_open(&json, '[');
    for (int32_t d = 0; d < tensor->rank; d++)
        out_integer(&json, NULL, tensor->shape[d]);
    out_close(&json, ']');
    out_integer(&json, "bytes", tensor->bytes);
    out_integer(&json, "offset", tensor->offset);
    out_integer(&json, "part", tensor->part);
    out_end(&json);
}

/* ------------------------------------------------------------------ all of one sort */

static satchel_status each_key(const struct cli *cli, satchel_gguf *gguf, int64_t count,
                               satchel_error *error) {
    const size_t limit = cli->options.full ? SIZE_MAX : 0;
    if (!cli->options.json)
        printf("\nKeys\n");
    for (int64_t i = 0; i < count; i++) {
        satchel_gguf_key key;
        satchel_status status =
            satchel_gguf_get_key(gguf, (size_t)i, limit, &key, sizeof key, error);
        if (status)
            return status;
        if (cli->options.json)
            out_gguf_key(&key);
        else
            show_key(cli, &key);
    }
    return SATCHEL_OK;
}

static satchel_status each_tensor(const struct cli *cli, const satchel_gguf *gguf, int64_t count,
                                  satchel_error *error) {
    struct types types = {.count = 0};
    if (!cli->options.json)
        printf("\nTensors\n");
    for (int64_t i = 0; i < count; i++) {
        satchel_gguf_tensor tensor;
        satchel_status status =
            satchel_gguf_get_tensor(gguf, (size_t)i, &tensor, sizeof tensor, error);
        if (status)
            return status;
        add_type(&types, &tensor);
        if (cli->options.json)
            out_tensor(&tensor);
        else
            show_tensor(&tensor);
    }
    if (cli->options.json)
        return SATCHEL_OK;
    printf("\nWeight types\n");
    for (size_t i = 0; i < types.count; i++) {
        char bytes[16];
        printf("  %-8s %5" PRId64 " tensors  %s\n", types.sums[i].name, types.sums[i].tensors,
               human_bytes(bytes, (double)types.sums[i].bytes));
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ need */

static void show_need(const satchel_model_need *need) {
    char weights[16], memory[16], kv[16];
    printf("\nAs a model: %s; reads %s of weights from the file%s, holds %s beside it",
           need->kind == SATCHEL_MODEL_GENERATOR ? "it writes" : "it embeds",
           human_bytes(weights, (double)need->weight_bytes),
           need->kind == SATCHEL_MODEL_GENERATOR ? " for each token" : "",
           human_bytes(memory, (double)need->memory_bytes));
    if (need->kind == SATCHEL_MODEL_GENERATOR)
        printf(" with a context of %" PRId32 " tokens, of which %s for keys and values",
               need->context_tokens, human_bytes(kv, (double)need->kv_bytes));
    printf("\n");
}

static void out_need(const satchel_model_need *need) {
    struct json json;
    out_begin(&json, stdout, "need");
    out_string(&json, "kind", need->kind == SATCHEL_MODEL_GENERATOR ? "generator" : "embedder");
    out_integer(&json, "context_tokens", need->context_tokens);
    out_integer(&json, "file_bytes", (int64_t)need->file_bytes);
    out_integer(&json, "weight_bytes", (int64_t)need->weight_bytes);
    out_integer(&json, "memory_bytes", (int64_t)need->memory_bytes);
    out_integer(&json, "kv_bytes", (int64_t)need->kv_bytes);
    out_end(&json);
}

/* A file that is no model for Satchel can be looked into all the same. */
static void measure(struct cli *cli, const char *path) {
    satchel_model_options options;
    satchel_model_options_init(&options, sizeof options);
    options.context_tokens = (int32_t)cli->options.context;
    options.kv_type = cli->options.kv;
    satchel_model_need need;
    satchel_error error;
    const satchel_status status =
        satchel_model_measure(cli->context, path, &need, sizeof need, &options, &error);
    if (!status && cli->options.json)
        out_need(&need);
    else if (!status)
        show_need(&need);
    else if (cli->options.json)
        report(cli, path, &error);
    else {
        printf("\nAs a model: not here: ");
        print_string(stdout, error.message);
        fputc('\n', stdout);
    }
}

int cmd_inspect(struct cli *cli) {
    const char *path = cli->args[0];
    satchel_error error;
    satchel_gguf *gguf = NULL;
    satchel_gguf_info info;
    satchel_status status = satchel_gguf_open(&gguf, cli->context, path, &error);
    if (!status)
        status = satchel_gguf_get_info(gguf, &info, sizeof info, &error);
    if (!status) {
        if (cli->options.json)
            out_file(path, &info);
        else
            show_file(path, &info);
        status = each_key(cli, gguf, info.key_count, &error);
    }
    if (!status)
        status = each_tensor(cli, gguf, info.tensor_count, &error);
    satchel_gguf_close(&gguf);
    if (status)
        return report(cli, path, &error);
    measure(cli, path);
    return EXIT_FINE;
}
