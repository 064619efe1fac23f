/* search: passages that fit, for people or as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print_hit(const struct cli *cli, const satchel_results *results, size_t index,
                      const satchel_hit *hit) {
    const bool color = cli->color_out;
    printf("%s%zu.%s %s", style(color, STYLE_DIM), index + 1, style(color, STYLE_PLAIN),
           style(color, STYLE_BOLD));
    print_string(stdout, hit->document_id);
    printf("%s  %s%.3f%s\n   %s", style(color, STYLE_PLAIN), style(color, STYLE_DIM), hit->score,
           style(color, STYLE_PLAIN), style(color, STYLE_LINK));
    print_place(stdout, hit->heading, hit->page, hit->time_ms, &hit->range);
    printf("%s\n", style(color, STYLE_PLAIN));
    print_passage(cli, stdout, results, index, hit, 3);
    fputc('\n', stdout);
}

static int show_results(struct cli *cli, const satchel_results *results) {
    const size_t count = satchel_results_count(results);
    const int32_t mode = satchel_results_mode(results);
    satchel_error error;
    satchel_hit hit;
    for (size_t i = 0; i < count && !ferror(stdout); i++) {
        if (satchel_results_get(results, i, &hit, sizeof hit, &error))
            return report(cli, "a hit", &error);
        if (cli->options.json) {
            struct json json;
            out_begin(&json, stdout, "hit");
            out_string(&json, "mode", search_mode_name(mode));
            out_hit(&json, results, i, &hit);
            out_end(&json);
        } else {
            print_hit(cli, results, i, &hit);
        }
    }
    if (count == 0 && !cli->options.json)
        puts("Nothing found.");
    if (mode == SATCHEL_SEARCH_KEYWORD && cli->options.mode == SATCHEL_SEARCH_HYBRID &&
        !cli->options.quiet)
        fputs("satchel: searched by keywords alone: nothing is embedded with this model\n", stderr);
    return count ? EXIT_FINE : EXIT_NOTHING;
}

int cmd_search(struct cli *cli) {
    int code = cli->options.mode == SATCHEL_SEARCH_KEYWORD
                   ? EXIT_FINE
                   : open_model(cli, cli->options.mode == SATCHEL_SEARCH_VECTOR);
    if (code == EXIT_FINE)
        code = open_store(cli, cli->args[0], false);
    if (code != EXIT_FINE)
        return code;
    char *query = join_args(cli, 1);
    if (!query)
        return EXIT_FAILED;
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.mode = cli->options.mode;
    options.k = (int32_t)cli->options.k;
    options.filter = cli->options.filter;
    options.cancel = cli->cancel;
    satchel_error error;
    satchel_results *results = NULL;
    if (satchel_search(&results, cli->store, query, &options, &error))
        code = report(cli, NULL, &error);
    else
        code = show_results(cli, results);
    satchel_results_close(&results);
    free(query);
    return code;
}
