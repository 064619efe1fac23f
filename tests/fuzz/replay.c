/* Runs every file of the folders named on the command line through the fuzz target. TAP output. */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(int argc, char **argv) {
    int tests = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **entries = NULL;
        int count = scandir(argv[i], &entries, NULL, by_name);
        int replayed = 0;
        for (int e = 0; e < count; e++) {
            char path[1024];
            snprintf(path, sizeof path, "%s/%s", argv[i], entries[e]->d_name);
            free(entries[e]);
            FILE *file = fopen(path, "rb");
            if (!file)
                continue;
            static uint8_t data[1 << 22];
            size_t size = fread(data, 1, sizeof data, file);
            fclose(file);
            /* A block of exact size, so that a sanitizer sees reads past the end. */
            uint8_t *exact = malloc(size ? size : 1);
            if (!exact)
                return 2;
            memcpy(exact, data, size);
            LLVMFuzzerTestOneInput(exact, size);
            free(exact);
            replayed += size > 0;
        }
        free(entries);
        printf("%sok %d - %d inputs of %s\n", replayed ? "" : "not ", ++tests, replayed,
               strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i]);
    }
    printf("1..%d\n", tests);
    return 0;
}
