/* Counting what is wrong, and plain file work. */
#include "tests/faults/report.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

long failures;

void problem(const char *what, const char *detail) {
    failures++;
    fprintf(stderr, "  %s: %s\n", what, detail ? detail : "");
}

void must(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "cannot set up: %s\n", what);
        exit(2);
    }
}

void copy_file(const char *from, const char *to) {
    static char block[1 << 16];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(in >= 0 && out >= 0, from);
    ssize_t n;
    while ((n = read(in, block, sizeof block)) > 0)
        must(write(out, block, (size_t)n) == n, to);
    close(in);
    close(out);
}
