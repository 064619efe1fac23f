/* Writes a tiny generator to a file, for tests that see the library from outside. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/tiny_generator.h"

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    size_t size;
    uint8_t *bytes = tiny_generator_bytes(NULL, &size);
    FILE *file = fopen(argv[1], "wb");
    int fine = file && fwrite(bytes, 1, size, file) == size;
    if (file)
        fine = fclose(file) == 0 && fine;
    free(bytes);
    return fine ? 0 : 1;
}
