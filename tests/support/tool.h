/*
 * What the programs share that tests in another language run: ending with a message, options of the
 * form name=value, input in blocks (each a uint32 length in the machine's byte order, and bytes) or
 * as a JSON object a line.
 */
#ifndef SATCHEL_TESTS_SUPPORT_TOOL_H
#define SATCHEL_TESTS_SUPPORT_TOOL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Each program defines its own: messages begin with it. */
extern const char tool_name[];

_Noreturn void tool_fail(const char *message);
/* Ends the program with the error's message unless status is SATCHEL_OK. */
void tool_check(satchel_status status, const satchel_error *error);
/* `block`; ends the program if it is NULL. */
void *tool_need(void *block);
/* The value of name=value among the arguments from the fourth on. */
const char *tool_option(int count, char **arguments, const char *name, const char *otherwise);

/* All of stdin; to be freed. */
char *tool_read(size_t *size);
/* The next block of what was read; false at its end. */
bool tool_next_block(const char *data, size_t size, size_t *at, const char **block,
                     uint32_t *length);
void tool_write(const void *data, size_t size);
void tool_write_block(const void *data, size_t size);

/* Writes for each line of stdin what `answer` makes of it; ends the program where one is no JSON. */
void tool_answer_lines(json_t *(*answer)(void *user, const json_t *line), void *user);

#endif
