/* Options: one table serves parsing, --help and the checks of the man page and the completions. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct choice {
    const char *name;
    int32_t value;
};

static const struct choice modes[] = {{"keyword", SATCHEL_SEARCH_KEYWORD},
                                      {"vector", SATCHEL_SEARCH_VECTOR},
                                      {"hybrid", SATCHEL_SEARCH_HYBRID},
                                      {NULL, 0}};
static const struct choice roles[] = {
    {"document", SATCHEL_ROLE_DOCUMENT}, {"query", SATCHEL_ROLE_QUERY}, {NULL, 0}};
static const struct choice kv_types[] = {
    {"f16", SATCHEL_KV_F16}, {"q8_0", SATCHEL_KV_Q8_0}, {"f32", SATCHEL_KV_F32}, {NULL, 0}};
static const struct choice colors[] = {
    {"auto", COLOR_AUTO}, {"always", COLOR_ALWAYS}, {"never", COLOR_NEVER}, {NULL, 0}};

struct option {
    char letter; /* 0: none */
    const char *name;
    const char *value; /* what --help calls it; NULL: a flag */
    enum { FLAG, TEXT, NUMBER, REAL, CHOICE } kind;
    size_t offset; /* into cli_options */
    const struct choice *choices;
    int64_t low, high;
    const char *commands; /* space-separated; NULL: all */
    const char *help;
};

#define AT(field) offsetof(cli_options, field)
#define USES_MODEL "index sync ask search cluster stats embed chat"
#define WRITES "ask generate chat"

static const struct option options[] = {
    {'m', "model", "GGUF", TEXT, AT(model), NULL, 0, 0, USES_MODEL,
     "embedding model; default: $SATCHEL_MODEL, else the cached one; ask, chat: or one that "
     "writes"},
    {0, "embedder", "GGUF", TEXT, AT(embedder), NULL, 0, 0, "ask chat",
     "embedding model, where --model names one that writes the answer"},
    {0, "no-model", NULL, FLAG, AT(no_model), NULL, 0, 0, "index sync ask search stats chat",
     "use no embedding model: keywords alone"},
    {'k', "count", "N", NUMBER, AT(k), NULL, 1, 10000, "ask search cluster chat",
     "hits to find (search: 10), passages to look at (ask, chat: 6), topics"},
    {0, "mode", "MODE", CHOICE, AT(mode), modes, 0, 0, "ask search chat",
     "keyword, vector or hybrid; default: hybrid with a model"},
    {'f', "filter", "JSON", TEXT, AT(filter), NULL, 0, 0, "ask search cluster list chat",
     "only documents that pass, e.g. '{\"path\":\"notes/*\"}'"},
    {0, "sentences", "N", NUMBER, AT(sentences), NULL, 1, 16, "ask",
     "quote at most N sentences; default 3"},
    {0, "never-refuse", NULL, FLAG, AT(never_refuse), NULL, 0, 0, "ask chat",
     "answer even when the evidence is weak"},
    {0, "iterations", "N", NUMBER, AT(iterations), NULL, 1, 100000, "cluster",
     "of the clustering at most; default 25"},
    {0, "seed", "N", NUMBER, AT(seed), NULL, 0, INT64_MAX, "cluster ask generate chat",
     "another one, other topics or words; default 0"},
    {0, "representatives", "N", NUMBER, AT(representatives), NULL, 1, 32, "cluster",
     "sentences to show of a topic; default 3"},
    {0, "fast", NULL, FLAG, AT(fast), NULL, 0, 0, "cluster",
     "cluster a sample first: quicker, a little coarser"},
    {0, "root", "NAME", TEXT, AT(root), NULL, 0, 0, "index",
     "name of the folder in the store; default: its own name"},
    {0, "defer", NULL, FLAG, AT(defer), NULL, 0, 0, "index sync",
     "keywords now, embed at a later index or sync"},
    {0, "hidden", NULL, FLAG, AT(hidden), NULL, 0, 0, "index sync",
     "files and folders starting with a dot too"},
    {0, "keep-missing", NULL, FLAG, AT(keep_missing), NULL, 0, 0, "index sync",
     "keep documents whose files are gone"},
    {0, "allow-removals", NULL, FLAG, AT(allow_removals), NULL, 0, 0, "index sync",
     "go on even if more than a fifth of a folder is gone"},
    {0, "max-bytes", "N", NUMBER, AT(max_bytes), NULL, 1, INT64_C(1) << 30, "index sync",
     "pass over larger files; default 268435456"},
    {'n', "limit", "N", NUMBER, AT(limit), NULL, 1, INT64_MAX, "list", "list at most N documents"},
    {0, "role", "ROLE", CHOICE, AT(role), roles, 0, 0, "embed",
     "document (default) or query: which prefix the model puts first"},
    {0, "max-tokens", "N", NUMBER, AT(max_tokens), NULL, -1, INT32_MAX, WRITES,
     "of an answer; default 512; -1: as many as fit"},
    {0, "temperature", "X", REAL, AT(temperature), NULL, 0, 100, WRITES,
     "0 (default): the likeliest token each time"},
    {0, "top-k", "N", NUMBER, AT(top_k), NULL, 0, INT32_MAX, WRITES, "only the N likeliest"},
    {0, "top-p", "X", REAL, AT(top_p), NULL, 0, 1, WRITES,
     "only the likeliest that together reach this share"},
    {0, "min-p", "X", REAL, AT(min_p), NULL, 0, 1, WRITES,
     "only those at least this times as likely as the likeliest"},
    {0, "stop", "TEXT", TEXT, AT(stop), NULL, 0, 0, WRITES, "end an answer before this text"},
    {0, "schema", "FILE", TEXT, AT(schema), NULL, 0, 0, WRITES,
     "JSON Schema that an answer must follow"},
    {0, "grammar", "FILE", TEXT, AT(grammar), NULL, 0, 0, WRITES,
     "grammar in GBNF that an answer must match"},
    {0, "system", "TEXT", TEXT, AT(system), NULL, 0, 0, "chat",
     "what the model is told first, without a store"},
    {0, "special", NULL, FLAG, AT(special), NULL, 0, 0, "generate",
     "read special tokens that the prompt spells"},
    {0, "context", "N", NUMBER, AT(context), NULL, 2, INT32_MAX, "ask generate chat inspect",
     "room in tokens; default: the model's, at most 8192"},
    {0, "kv", "TYPE", CHOICE, AT(kv), kv_types, 0, 0, "ask generate chat inspect",
     "keys and values as f16 (default), q8_0 or f32"},
    {0, "adapter", "GGUF", TEXT, AT(adapter), NULL, 0, 0, WRITES, "a LoRA adapter"},
    {0, "template", "FILE", TEXT, AT(chat_template), NULL, 0, 0, "ask chat",
     "chat template, instead of the model's own"},
    {0, "prompt", "FILE", TEXT, AT(prompt), NULL, 0, 0, "ask chat",
     "what the model is told, as JSON; see docs/prompts.md"},
    {0, "warm", NULL, FLAG, AT(warm), NULL, 0, 0, WRITES, "read all weights before the first word"},
    {0, "cache", "FOLDER", TEXT, AT(cache), NULL, 0, 0, WRITES,
     "keep what was read there, for later runs"},
    {0, "full", NULL, FLAG, AT(full), NULL, 0, 0, "inspect", "whole values, however long"},
    {'t', "threads", "N", NUMBER, AT(threads), NULL, 1, 256, NULL,
     "threads to use; default: fast cores, at most 4"},
    {'j', "json", NULL, FLAG, AT(json), NULL, 0, 0, NULL, "write one JSON object a line"},
    {0, "color", "WHEN", CHOICE, AT(color), colors, 0, 0, NULL,
     "auto (default), always or never; NO_COLOR is heeded"},
    {'q', "quiet", NULL, FLAG, AT(quiet), NULL, 0, 0, NULL, "no progress and no notes"},
    {'v', "verbose", NULL, FLAG, AT(verbose), NULL, 0, 0, NULL, "the library's log on stderr"},
    {'h', "help", NULL, FLAG, AT(help), NULL, 0, 0, NULL, "explain, with examples"},
    {0, "version", NULL, FLAG, AT(version), NULL, 0, 0, NULL, "print the version"},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static bool takes(const struct option *option, const struct command *command) {
    if (!option->commands || !command)
        return !option->commands;
    const size_t length = strlen(command->name);
    for (const char *at = option->commands; (at = strstr(at, command->name)); at += length)
        if ((at == option->commands || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static const struct option *find_option(const struct command *command, const char *name,
                                        size_t length) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0 &&
            takes(&options[i], command))
            return &options[i];
    return NULL;
}

static const struct option *find_letter(const struct command *command, char letter) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].letter == letter && takes(&options[i], command))
            return &options[i];
    return NULL;
}

static void set_flag(struct cli *cli, const struct option *option) {
    const int32_t set = 1;
    memcpy((char *)&cli->options + option->offset, &set, sizeof set);
}

static bool not_in_range(const struct option *option) {
    fprintf(stderr, "satchel: --%s takes a number from %" PRId64 " to %" PRId64 "\n", option->name,
            option->low, option->high);
    return false;
}

static bool store_value(struct cli *cli, const struct option *option, const char *value) {
    char *field = (char *)&cli->options + option->offset;
    if (option->kind == TEXT) {
        memcpy(field, &value, sizeof value);
        return true;
    }
    if (option->kind == NUMBER) {
        char *end;
        errno = 0;
        long long number = strtoll(value, &end, 10);
        if (errno || end == value || *end || number < option->low || number > option->high)
            return not_in_range(option);
        int64_t wide = number;
        memcpy(field, &wide, sizeof wide);
        return true;
    }
    if (option->kind == REAL) {
        char *end;
        const double number = strtod(value, &end);
        if (end == value || *end || !(number >= (double)option->low) ||
            !(number <= (double)option->high))
            return not_in_range(option);
        memcpy(field, &number, sizeof number);
        return true;
    }
    for (const struct choice *choice = option->choices; choice->name; choice++)
        if (strcmp(choice->name, value) == 0) {
            memcpy(field, &choice->value, sizeof choice->value);
            return true;
        }
    fprintf(stderr, "satchel: --%s takes one of:", option->name);
    for (const struct choice *choice = option->choices; choice->name; choice++)
        fprintf(stderr, " %s", choice->name);
    fputc('\n', stderr);
    return false;
}

static bool unknown(const struct command *command, const char *word) {
    fprintf(stderr, "satchel: unknown option ");
    print_string(stderr, word);
    if (command)
        fprintf(stderr, "; see: satchel %s --help\n", command->name);
    else
        fprintf(stderr, "; see: satchel --help\n");
    return false;
}

/* --name, --name=value or --name value; *used counts the words taken. */
static bool parse_long(struct cli *cli, const struct command *command, int left, char **words,
                       int *used) {
    const char *name = words[0] + 2;
    const char *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *option = find_option(command, name, length);
    if (!option)
        return unknown(command, words[0]);
    *used = 1;
    if (option->kind == FLAG) {
        if (equals) {
            fprintf(stderr, "satchel: --%s takes no value\n", option->name);
            return false;
        }
        set_flag(cli, option);
        return true;
    }
    if (equals)
        return store_value(cli, option, equals + 1);
    if (left < 2) {
        fprintf(stderr, "satchel: --%s needs a value (%s)\n", option->name, option->value);
        return false;
    }
    *used = 2;
    return store_value(cli, option, words[1]);
}

/* -k 5, -k5, or flags in one word: -jq. */
static bool parse_short(struct cli *cli, const struct command *command, int left, char **words,
                        int *used) {
    *used = 1;
    for (const char *letter = words[0] + 1; *letter; letter++) {
        const struct option *option = find_letter(command, *letter);
        if (!option)
            return unknown(command, words[0]);
        if (option->kind == FLAG) {
            set_flag(cli, option);
            continue;
        }
        if (letter[1])
            return store_value(cli, option, letter + 1);
        if (left < 2) {
            fprintf(stderr, "satchel: -%c needs a value (%s)\n", option->letter, option->value);
            return false;
        }
        *used = 2;
        return store_value(cli, option, words[1]);
    }
    return true;
}

bool parse_options(struct cli *cli, const struct command *command, int count, char **words) {
    size_t kept = 0;
    bool options_over = false;
    for (int i = 0; i < count;) {
        char *word = words[i];
        int used = 1;
        bool fine = true;
        if (!options_over && strcmp(word, "--") == 0)
            options_over = true;
        else if (!options_over && word[0] == '-' && word[1] == '-')
            fine = parse_long(cli, command, count - i, words + i, &used);
        else if (!options_over && word[0] == '-' && word[1] != '\0')
            fine = parse_short(cli, command, count - i, words + i, &used);
        else
            words[kept++] = word; /* never ahead of i */
        if (!fine)
            return false;
        i += used;
    }
    cli->args = (const char *const *)words;
    cli->arg_count = kept;
    return true;
}

void print_options(FILE *out, const struct command *command) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        if (!takes(option, command))
            continue;
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        if (option->letter)
            fprintf(out, "  -%c, %-20s %s\n", option->letter, left, option->help);
        else
            fprintf(out, "      %-20s %s\n", left, option->help);
    }
}
