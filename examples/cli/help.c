/* --help: what the tool and each command do, taught by examples. */
#include "cli.h"

void print_help(FILE *out) {
    fputs("satchel: ask questions of your own documents, offline\n"
          "\n"
          "usage: satchel COMMAND STORE ... [options]\n"
          "\n"
          "A store is one file that holds the text and the index of your documents. Make one\n"
          "from folders or files, then search it or ask it:\n"
          "\n"
          "  satchel index notes.satchel ~/Documents/notes\n"
          "  satchel ask notes.satchel \"When does the lease end?\"\n"
          "  satchel search notes.satchel lease deposit\n"
          "\n"
          "Commands:\n",
          out);
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "  %-8s %s\n", command->name, command->summary);
    fputs("\nOptions for all commands:\n", out);
    print_options(out, NULL);
    fputs("\n"
          "satchel COMMAND --help explains a command, with examples.\n"
          "\n"
          "Environment:\n"
          "  SATCHEL_MODEL   GGUF file of the embedding model\n"
          "  SATCHEL_CACHE   where all-minilm-l6-v2-q8_0.gguf is looked for without it;\n"
          "                  default ~/.cache/satchel\n"
          "  NO_COLOR        no colours\n"
          "\n"
          "Exit codes:\n"
          "  0  done\n"
          "  1  nothing found: no hit, no such document, or no answer\n"
          "  2  the command line is wrong\n"
          "  3  it could not be done; the message says why\n"
          "  4  the store is damaged, or the file is no store\n"
          "  5  done, but some files could not be read\n"
          "  6  another program is writing to the store; try again\n"
          "  130  interrupted; what was committed stays\n",
          out);
}

void print_command_help(FILE *out, const struct command *command) {
    fprintf(out, "satchel %s: %s\n\nusage: satchel %s %s [options]\n\n%s\nOptions:\n",
            command->name, command->summary, command->name, command->arguments, command->details);
    print_options(out, command);
    fputs("      and those for all commands: see satchel --help\n", out);
}
