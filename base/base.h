/*
 * base: what every other folder stands on. This is the folder's one interface header.
 *
 *   status.h   filling satchel_error
 *   alloc.h    checked allocation through the context's allocator, growing buffers
 *   context.h  the parts of a context: allocator, memory limit, CPU level, kernels, pool, log
 *   file.h     the file table: open, read, write, sync, map, rename, list
 *   cache.h    a folder of blobs that can be made again
 *   pool.h     thread pool with priorities, locks
 *   thread.h   starting a thread of the library's own
 *   cpu.h      instruction-set levels
 *   vector.h   kernels on vectors of float
 *   text.h     UTF-8, UTF-16, Unicode categories, normalisation, words, sentences
 *   json.h     strict JSON with a depth limit
 *   hash.h     fast and cryptographic hashes
 *   random.h   random numbers, the same on every machine
 *   stream.h   what a pulled stream is inside
 */
#ifndef SATCHEL_BASE_BASE_H
#define SATCHEL_BASE_BASE_H

#include "base/alloc.h"
#include "base/cache.h"
#include "base/context.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/status.h"
#include "base/stream.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/vector.h"

#endif
