/* For tests/peers: reads blocks of weights on stdin, writes what they mean as floats.
 *
 *   quant_tool TYPE    TYPE: its GGUF number; stdin: whole blocks
 */
#include <stdio.h>
#include <stdlib.h>

#include "generate/quants.h"

int main(int argc, char **argv) {
    uint32_t type = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    const sat_tensor_type *known = sat_tensor_type_of(type);
    if (argc != 2 || !known || !sat_quant_known(type)) {
        fprintf(stderr, "usage: %s TYPE < blocks > floats\n", argv[0]);
        return 2;
    }
    uint8_t in[1024];
    float out[256];
    while (fread(in, known->bytes, 1, stdin) == 1) {
        sat_dequantize(type, out, in, known->block);
        if (fwrite(out, sizeof *out, known->block, stdout) != known->block)
            return 1;
    }
    return ferror(stdin) || fflush(stdout) != 0;
}
