/*
 * Progress of long work on stderr: on a terminal one line that is drawn over, with a bar, the rate
 * and the time left; elsewhere a plain line now and then, so that a log stays readable.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { REDRAW_MS = 80, PLAIN_MS = 5000, BAR_CELLS = 24 };

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const struct cli *cli) {
    *progress = (struct progress){.cli = cli, .terminal = isatty(STDERR_FILENO) == 1};
    progress->shown_ms = progress->terminal ? 0 : now_ms();
}

void progress_clear(struct progress *progress) {
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

static const char *phase_name(int32_t phase) {
    switch (phase) {
    case SATCHEL_PHASE_SCAN:
        return "Looking";
    case SATCHEL_PHASE_KEYWORDS:
    case SATCHEL_PHASE_LOAD:
    case SATCHEL_PHASE_PREFILL:
        return "Reading";
    case SATCHEL_PHASE_WARM:
        return "Loading";
    case SATCHEL_PHASE_EMBED:
        return "Embedding";
    case SATCHEL_PHASE_CLUSTER:
        return "Grouping";
    default:
        return "Describing";
    }
}

static const char *unit_name(int32_t phase) {
    switch (phase) {
    case SATCHEL_PHASE_SCAN:
    case SATCHEL_PHASE_KEYWORDS:
        return "files";
    case SATCHEL_PHASE_EMBED:
    case SATCHEL_PHASE_LOAD:
        return "chunks";
    case SATCHEL_PHASE_CLUSTER:
        return "passes";
    case SATCHEL_PHASE_WARM:
        return "bytes";
    case SATCHEL_PHASE_PREFILL:
        return "tokens";
    default:
        return "steps";
    }
}

/* "1.2 MB/s" for reading, "85 chunks/s" for embedding; "" while unknown. */
static void rate_text(char out[32], const satchel_event_progress *event) {
    out[0] = '\0';
    const double seconds = (double)event->elapsed_ms / 1000;
    if (seconds < 0.2)
        return;
    char bytes[16];
    if (event->phase == SATCHEL_PHASE_EMBED)
        snprintf(out, 32, "%.0f chunks/s", (double)event->done / seconds);
    else if (event->bytes_done > 0)
        snprintf(out, 32, "%s/s", human_bytes(bytes, (double)event->bytes_done / seconds));
    else if (event->phase == SATCHEL_PHASE_SCAN || event->phase == SATCHEL_PHASE_KEYWORDS)
        snprintf(out, 32, "%.0f files/s", (double)event->done / seconds);
}

/* Share done, by bytes where they are known: files differ in size. Below 0: unknown. */
static double share_done(const satchel_event_progress *event) {
    if (event->bytes_total > 0)
        return (double)event->bytes_done / (double)event->bytes_total;
    if (event->total > 0)
        return (double)event->done / (double)event->total;
    return -1;
}

static void time_left(char out[32], const satchel_event_progress *event, double share) {
    out[0] = '\0';
    if (share <= 0 || event->elapsed_ms < 1000)
        return;
    char text[16];
    const double left = (double)event->elapsed_ms / 1000 * (1 - share) / share;
    snprintf(out, 32, "%s left", human_time(text, left));
}

static void draw(struct progress *progress, const satchel_event_progress *event) {
    struct winsize window = {0};
    int width = 80;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        width = window.ws_col;
    const double share = share_done(event);
    char rate[32], left[32], count[64], line[256];
    rate_text(rate, event);
    time_left(left, event, share);
    const char *unit = unit_name(event->phase);
    if (event->total >= 0)
        snprintf(count, sizeof count, "%" PRId64 "/%" PRId64 " %s", event->done, event->total,
                 unit);
    else
        snprintf(count, sizeof count, "%" PRId64 " %s", event->done, unit);
    char bar[BAR_CELLS + 1] = "";
    if (share >= 0) {
        int full = (int)(share * BAR_CELLS + 0.5);
        full = full < 0 ? 0 : full > BAR_CELLS ? BAR_CELLS : full;
        memset(bar, '#', (size_t)full);
        memset(bar + full, '.', (size_t)(BAR_CELLS - full));
        bar[BAR_CELLS] = '\0';
    }
    int used = snprintf(line, sizeof line, "%-9s [%s] %s  %s  %s", phase_name(event->phase), bar,
                        count, rate, left);
    if (used >= width) /* too narrow for the bar */
        used = snprintf(line, sizeof line, "%s %s %s", phase_name(event->phase), count, left);
    if (used >= width)
        line[width - 1] = '\0';
    const bool color = progress->cli->color_err;
    fprintf(stderr, "\r\033[K%s%s%s", style(color, STYLE_LINK), line, style(color, STYLE_PLAIN));
    fflush(stderr);
    progress->drawn = true;
}

void progress_show(struct progress *progress, const satchel_event_progress *event) {
    if (progress->cli->options.quiet)
        return;
    const int64_t now = now_ms();
    const bool turned = event->phase != progress->phase;
    const int64_t pause = progress->terminal ? REDRAW_MS : PLAIN_MS;
    if (progress->terminal ? !turned && now - progress->shown_ms < pause
                           : now - progress->shown_ms < pause)
        return;
    progress->phase = event->phase;
    progress->shown_ms = now;
    if (progress->terminal) {
        draw(progress, event);
        return;
    }
    char rate[32], left[32];
    rate_text(rate, event);
    time_left(left, event, share_done(event));
    fprintf(stderr, "%s: %" PRId64, phase_name(event->phase), event->done);
    if (event->total >= 0)
        fprintf(stderr, " of %" PRId64, event->total);
    fprintf(stderr, " %s%s%s%s%s\n", unit_name(event->phase), *rate ? ", " : "", rate,
            *left ? ", " : "", left);
}

int32_t progress_callback(void *progress, const satchel_event_progress *event) {
    progress_show(progress, event);
    return 0;
}
