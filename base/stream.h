/* What a pulled stream is inside: sdk wraps one of these in a satchel_stream. */
#ifndef SATCHEL_BASE_STREAM_H
#define SATCHEL_BASE_STREAM_H

#include "base/status.h"

/* First member of a concrete stream. next() fills *event (zeroed before); its memory lives until the
 * next call. sdk makes errors and DONE sticky: next() is not called again after either. */
typedef struct sat_stream sat_stream;
struct sat_stream {
    satchel_status (*next)(sat_stream *stream, satchel_event *event, satchel_error *error);
    void (*close)(sat_stream *stream); /* frees the stream */
};

#endif
