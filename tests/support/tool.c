/* What the programs share that tests in another language run. */
#include "tests/support/tool.h"

void tool_fail(const char *message) {
    fprintf(stderr, "%s: %s\n", tool_name, message);
    exit(1);
}

void tool_check(satchel_status status, const satchel_error *error) {
    if (status)
        tool_fail(error->message);
}

void *tool_need(void *block) {
    if (!block)
        tool_fail("out of memory");
    return block;
}

const char *tool_option(int count, char **arguments, const char *name, const char *otherwise) {
    size_t length = strlen(name);
    for (int i = 3; i < count; i++)
        if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
            return arguments[i] + length + 1;
    return otherwise;
}

char *tool_read(size_t *size) {
    size_t capacity = 1 << 16, got;
    char *data = tool_need(malloc(capacity));
    *size = 0;
    while ((got = fread(data + *size, 1, capacity - *size, stdin)) > 0) {
        *size += got;
        if (*size == capacity)
            data = tool_need(realloc(data, capacity *= 2));
    }
    return data;
}

bool tool_next_block(const char *data, size_t size, size_t *at, const char **block,
                     uint32_t *length) {
    if (*at == size)
        return false;
    if (size - *at < 4)
        tool_fail("the input is cut short");
    memcpy(length, data + *at, 4);
    *at += 4;
    if (*length > size - *at)
        tool_fail("the input is cut short");
    *block = data + *at;
    *at += *length;
    return true;
}

void tool_write(const void *data, size_t size) {
    if (size && fwrite(data, 1, size, stdout) != size)
        tool_fail("cannot write");
}

void tool_write_block(const void *data, size_t size) {
    uint32_t length = (uint32_t)size;
    tool_write(&length, sizeof length);
    tool_write(data, size);
}

static void write_line(json_t *object) {
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (!text)
        exit(1);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(object);
}

void tool_answer_lines(json_t *(*answer)(void *user, const json_t *line), void *user) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        json_t *request = json_loadb(line, (size_t)length, JSON_ALLOW_NUL, NULL);
        if (!request)
            tool_fail("a line is not JSON");
        write_line(answer(user, request));
        json_decref(request);
    }
    free(line);
}
