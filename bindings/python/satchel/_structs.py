"""The structs of satchel.h for ctypes. tests/python compares them with the header's own layout."""

from __future__ import annotations

import ctypes
import json
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32,
                    c_int64, c_size_t, c_uint64, c_void_p)
from typing import Any, Optional

Status = c_int32


class Error(Structure):
    _fields_ = [("code", c_int32), ("os_code", c_int32), ("message", c_char * 504)]


class Text(Structure):
    """As the library gives it: an address, because a c_char_p would end at the first NUL."""
    _fields_ = [("data", c_void_p), ("length", c_size_t)]


class GivenText(Structure):
    """The same to give to the library: takes bytes, and keeps them alive."""
    _fields_ = [("data", c_char_p), ("length", c_size_t)]


LogFunction = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class ContextOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("allocator", c_void_p), ("threads", c_int32),
                ("cpu_level", c_int32), ("memory_limit", c_uint64), ("log", LogFunction),
                ("log_user", c_void_p), ("log_level", c_int32), ("log_content", c_int32),
                ("cache_dir", c_char_p), ("cache_limit", c_uint64),
                ("cache_free_floor", c_uint64)]


CountFunction = CFUNCTYPE(Status, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))
CoverageFunction = CFUNCTYPE(Status, c_void_p, c_void_p, c_size_t, POINTER(c_float))
EmbedFunction = CFUNCTYPE(Status, c_void_p, c_int32, POINTER(Text), c_size_t, c_void_p, c_void_p)
DestroyFunction = CFUNCTYPE(None, c_void_p)


class Embedder(Structure):
    _fields_ = [("struct_size", c_size_t), ("user", c_void_p), ("id", c_char_p),
                ("dimension", c_int32), ("max_tokens", c_int32), ("count_tokens", CountFunction),
                ("coverage", CoverageFunction), ("embed", EmbedFunction),
                ("destroy", DestroyFunction)]


class EventProgress(Structure):
    _fields_ = [("phase", c_int32), ("reserved", c_int32), ("done", c_int64), ("total", c_int64),
                ("bytes_done", c_int64), ("bytes_total", c_int64), ("elapsed_ms", c_int64)]


ProgressFunction = CFUNCTYPE(c_int32, c_void_p, POINTER(EventProgress))


class ModelOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("query_prefix", c_char_p),
                ("document_prefix", c_char_p), ("pooling", c_int32), ("max_tokens", c_int32),
                ("context_tokens", c_int32), ("kv_type", c_int32),
                ("adapters", POINTER(c_char_p)), ("adapter_scales", POINTER(c_float)),
                ("adapter_count", c_size_t), ("chat_template", c_char_p), ("warm", c_int32),
                ("dimension", c_int32), ("progress", ProgressFunction),
                ("progress_user", c_void_p), ("cancel", c_void_p)]


class ModelInfo(Structure):
    _fields_ = [("name", c_char_p), ("architecture", c_char_p), ("fingerprint", c_char_p),
                ("weight_type", c_char_p), ("dimension", c_int32), ("max_tokens", c_int32),
                ("vocabulary_size", c_int64), ("parameter_count", c_int64),
                ("file_bytes", c_int64), ("kind", c_int32), ("context_tokens", c_int32),
                ("trained_context", c_int32), ("layers", c_int32),
                ("has_chat_template", c_int32), ("reserved", c_int32),
                ("weight_bytes", c_uint64), ("memory_bytes", c_uint64),
                ("kv_bytes_a_token", c_uint64)]


class ModelNeed(Structure):
    _fields_ = [("kind", c_int32), ("context_tokens", c_int32), ("file_bytes", c_uint64),
                ("weight_bytes", c_uint64), ("memory_bytes", c_uint64), ("kv_bytes", c_uint64)]


class Perplexity(Structure):
    _fields_ = [("tokens", c_int64), ("nll", c_double), ("perplexity", c_double),
                ("bits_per_byte", c_double), ("elapsed_ms", c_int64)]


class GenerateOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("max_tokens", c_int32), ("trust_prompt", c_int32),
                ("temperature", c_float), ("top_k", c_int32), ("top_p", c_float),
                ("min_p", c_float), ("typical_p", c_float), ("repetition", c_float),
                ("frequency", c_float), ("presence", c_float), ("penalty_window", c_int32),
                ("reserved", c_int32), ("seed", c_uint64), ("bias_tokens", POINTER(c_int32)),
                ("biases", POINTER(c_float)), ("bias_count", c_size_t),
                ("stop", POINTER(c_char_p)), ("stop_count", c_size_t), ("schema", c_char_p),
                ("grammar", c_char_p), ("overflow", c_int32), ("no_saved_kv", c_int32),
                ("cancel", c_void_p)]


class ChatOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("generate", POINTER(GenerateOptions)),
                ("tools", c_char_p), ("variables", c_char_p), ("continue_answer", c_int32),
                ("reserved", c_int32)]


class GeneratorRequest(Structure):
    _fields_ = [("struct_size", c_size_t), ("messages", c_void_p), ("messages_length", c_size_t),
                ("max_tokens", c_int32), ("continue_answer", c_int32),
                ("options", POINTER(GenerateOptions)), ("cancel", c_void_p)]


BeginFunction = CFUNCTYPE(Status, c_void_p, POINTER(GeneratorRequest), POINTER(c_void_p))
NextFunction = CFUNCTYPE(Status, c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_size_t))
EndFunction = CFUNCTYPE(None, c_void_p, c_void_p)


class Generator(Structure):
    _fields_ = [("struct_size", c_size_t), ("user", c_void_p), ("id", c_char_p),
                ("context_tokens", c_int32), ("reserved", c_int32),
                ("count_tokens", CountFunction), ("begin", BeginFunction),
                ("next", NextFunction), ("end", EndFunction), ("destroy", DestroyFunction)]


class Locator(Structure):
    _fields_ = [("kind", c_int32), ("reserved", c_int32), ("number", c_int64),
                ("start", c_int64), ("label", c_char_p)]


SinkText = CFUNCTYPE(Status, c_void_p, c_char_p, c_size_t)
SinkLocate = CFUNCTYPE(Status, c_void_p, POINTER(Locator))


class ReaderSink(Structure):
    _fields_ = [("struct_size", c_size_t), ("sink", c_void_p), ("text", SinkText),
                ("locate", SinkLocate), ("title", SinkText)]


ReadFunction = CFUNCTYPE(Status, c_void_p, c_char_p, c_void_p, c_size_t, POINTER(ReaderSink),
                         c_void_p, c_size_t)


class Reader(Structure):
    _fields_ = [("struct_size", c_size_t), ("user", c_void_p), ("id", c_char_p),
                ("media_types", c_char_p), ("extensions", c_char_p), ("read", ReadFunction),
                ("destroy", DestroyFunction)]


class StoreOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("model", c_void_p), ("read_only", c_int32),
                ("must_exist", c_int32), ("chunk_tokens", c_int32), ("reserved", c_int32),
                ("encryption_key", c_void_p), ("encryption_key_size", c_size_t)]


class AddOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("title", c_char_p), ("metadata", c_char_p),
                ("media_type", c_char_p), ("modified_ms", c_int64), ("defer_embedding", c_int32),
                ("must_be_new", c_int32), ("cancel", c_void_p)]


class SyncOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("root", c_char_p), ("keep_missing", c_int32),
                ("allow_removals", c_int32), ("defer_embedding", c_int32),
                ("include_hidden", c_int32), ("max_file_bytes", c_int64), ("cancel", c_void_p)]


class StoreStats(Structure):
    _fields_ = [("documents", c_int64), ("chunks", c_int64), ("chunks_embedded", c_int64),
                ("chunks_pending", c_int64), ("text_bytes", c_int64), ("file_bytes", c_int64),
                ("failures", c_int64), ("format_version", c_int32), ("has_model", c_int32),
                ("dimension", c_int32), ("reserved", c_int32)]


ProblemFunction = CFUNCTYPE(c_int32, c_void_p, c_char_p)


class Document(Structure):
    _fields_ = [("id", c_char_p), ("title", c_char_p), ("metadata", c_char_p),
                ("media_type", c_char_p), ("text_bytes", c_int64), ("chunks", c_int64),
                ("chunks_embedded", c_int64), ("modified_ms", c_int64), ("failure", c_char_p)]


class ListOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("filter", c_char_p), ("limit", c_int64),
                ("offset", c_int64)]


class SearchOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("mode", c_int32), ("k", c_int32),
                ("filter", c_char_p), ("cancel", c_void_p)]


class Range(Structure):
    _fields_ = [("start", c_int64), ("end", c_int64), ("start_utf16", c_int64),
                ("end_utf16", c_int64)]


class Hit(Structure):
    _fields_ = [("document_id", c_char_p), ("title", c_char_p), ("heading", c_char_p),
                ("text", c_void_p), ("text_length", c_size_t), ("range", Range),
                ("snippet", Range), ("match_count", c_size_t), ("chunk", c_int64),
                ("score", c_float), ("keyword_score", c_float), ("vector_score", c_float),
                ("page", c_int32), ("metadata", c_char_p), ("time_ms", c_int64),
                ("source_start", c_int64), ("source_end", c_int64)]


class AskOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("mode", c_int32), ("search_mode", c_int32),
                ("k", c_int32), ("max_sentences", c_int32), ("filter", c_char_p),
                ("refusal_threshold", c_float), ("reserved", c_int32), ("cancel", c_void_p),
                ("generator", c_void_p), ("generate", POINTER(GenerateOptions)),
                ("history", c_char_p), ("prompt", c_char_p), ("context_tokens", c_int32),
                ("reserved2", c_int32)]


class PreparedInfo(Structure):
    _fields_ = [("messages", c_void_p), ("messages_length", c_size_t), ("passages", c_int64),
                ("prompt_tokens", c_int64), ("refused", c_int32), ("confidence", c_float),
                ("search_mode", c_int32), ("reserved", c_int32)]


class Passage(Structure):
    _fields_ = [("hit", c_int64), ("range", Range)]


class EventMode(Structure):
    _fields_ = [("mode", c_int32), ("reason", c_int32), ("search_mode", c_int32),
                ("reserved", c_int32)]


class EventToken(Structure):
    _fields_ = [("text", c_void_p), ("length", c_size_t), ("token", c_int32),
                ("reserved", c_int32)]


class EventCitation(Structure):
    _fields_ = [("answer", Range), ("document_id", c_char_p), ("title", c_char_p),
                ("heading", c_char_p), ("chunk", c_int64), ("source", Range), ("hit", c_int32),
                ("verified", c_int32), ("score", c_float), ("page", c_int32),
                ("time_ms", c_int64)]


class EventRefusal(Structure):
    _fields_ = [("reason", c_int32), ("confidence", c_float), ("threshold", c_float),
                ("reserved", c_int32)]


class EventFile(Structure):
    _fields_ = [("change", c_int32), ("status", c_int32), ("path", c_char_p),
                ("document_id", c_char_p), ("message", c_char_p), ("bytes", c_int64),
                ("chunks", c_int64)]


class EventDone(Structure):
    _fields_ = [*((name, c_int64) for name in (
        "elapsed_ms", "added", "changed", "removed", "renamed", "unchanged", "failed", "skipped",
        "chunks", "chunks_embedded", "chunks_reused", "bytes", "read_ms", "keyword_ms",
        "embed_ms", "write_ms", "hits", "sentences", "search_ms", "answer_ms")),
        ("confidence", c_float), ("reserved", c_int32),
        *((name, c_int64) for name in ("prompt_tokens", "cached_tokens", "generated_tokens",
                                       "prefill_ms", "generate_ms")),
        ("finish", c_int32), ("reserved2", c_int32)]


class Event(Structure):
    _fields_ = [("kind", c_int32), ("reserved", c_int32), ("mode", POINTER(EventMode)),
                ("hits", c_void_p), ("token", POINTER(EventToken)),
                ("citation", POINTER(EventCitation)), ("refusal", POINTER(EventRefusal)),
                ("progress", POINTER(EventProgress)), ("file", POINTER(EventFile)),
                ("done", POINTER(EventDone))]


PointsFunction = CFUNCTYPE(Status, c_void_p, c_uint64, c_size_t, c_void_p)


class Points(Structure):
    _fields_ = [("struct_size", c_size_t), ("count", c_uint64), ("dimension", c_int32),
                ("reserved", c_int32), ("rows", c_void_p), ("stride", c_size_t),
                ("path", c_char_p), ("offset", c_uint64), ("read", PointsFunction),
                ("user", c_void_p)]


class KMeansProgress(Structure):
    _fields_ = [("iteration", c_int32), ("iterations", c_int32), ("moved", c_uint64),
                ("shift", c_double), ("elapsed_ms", c_int64)]


KMeansProgressFunction = CFUNCTYPE(c_int32, c_void_p, POINTER(KMeansProgress))


class KMeansOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("iterations", c_int32), ("objective", c_int32),
                ("mode", c_int32), ("init", c_int32), ("initial", c_void_p),
                ("tolerance", c_double), ("seed", c_uint64), ("memory_budget", c_uint64),
                ("threads", c_int32), ("reserved", c_int32),
                ("progress", KMeansProgressFunction), ("progress_user", c_void_p),
                ("cancel", c_void_p)]


class KMeansInfo(Structure):
    _fields_ = [("inertia", c_double), ("iterations", c_int32), ("stop", c_int32),
                ("empty", c_uint64), ("products", c_uint64), ("rechecks", c_uint64),
                ("memory_bytes", c_uint64), ("seed_ms", c_int64), ("iterate_ms", c_int64),
                ("final_ms", c_int64)]


class GgufInfo(Structure):
    _fields_ = [("version", c_int32), ("parts", c_int32), ("key_count", c_int64),
                ("tensor_count", c_int64), ("file_bytes", c_int64), ("tensor_bytes", c_int64),
                ("parameter_count", c_int64)]


class GgufKey(Structure):
    _fields_ = [("name", c_char_p), ("type", c_char_p), ("value", c_void_p),
                ("value_length", c_size_t), ("count", c_int64), ("cut", c_int32),
                ("part", c_int32)]


class GgufTensor(Structure):
    _fields_ = [("name", c_char_p), ("type", c_char_p), ("type_id", c_int32), ("rank", c_int32),
                ("shape", c_int64 * 4), ("bytes", c_int64), ("offset", c_int64),
                ("part", c_int32), ("reserved", c_int32)]


class TopicsOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("k", c_int32), ("words", c_int32),
                ("sentences", c_int32), ("iterations", c_int32), ("mode", c_int32),
                ("reserved", c_int32), ("seed", c_uint64), ("filter", c_char_p),
                ("progress", ProgressFunction), ("progress_user", c_void_p),
                ("cancel", c_void_p)]


class TopicsInfo(Structure):
    _fields_ = [("chunks", c_int64), ("pending", c_int64), ("documents", c_int64),
                ("dimension", c_int32), ("iterations", c_int32), ("read_ms", c_int64),
                ("cluster_ms", c_int64), ("describe_ms", c_int64)]


class Topic(Structure):
    _fields_ = [("label", c_char_p), ("words", POINTER(c_char_p)), ("word_count", c_size_t),
                ("chunks", c_int64), ("share", c_double), ("cohesion", c_double),
                ("centroid", POINTER(c_float)), ("document_count", c_size_t),
                ("sentence_count", c_size_t)]


class TopicDocument(Structure):
    _fields_ = [("id", c_char_p), ("title", c_char_p), ("chunks", c_int64),
                ("chunks_all", c_int64)]


class TopicSentence(Structure):
    _fields_ = [("text", c_void_p), ("length", c_size_t), ("document_id", c_char_p),
                ("title", c_char_p), ("heading", c_char_p), ("chunk", c_int64),
                ("range", Range), ("score", c_float), ("page", c_int32), ("time_ms", c_int64)]


#: The header's name of each struct here; the tests go by it. satchel_allocator is not offered:
#: Python cannot serve as an allocator called from any thread.
NAMES = {
    "satchel_error": Error,
    "satchel_text": Text,
    "satchel_context_options": ContextOptions,
    "satchel_embedder": Embedder,
    "satchel_model_options": ModelOptions,
    "satchel_model_info": ModelInfo,
    "satchel_model_need": ModelNeed,
    "satchel_perplexity": Perplexity,
    "satchel_generate_options": GenerateOptions,
    "satchel_chat_options": ChatOptions,
    "satchel_generator_request": GeneratorRequest,
    "satchel_generator": Generator,
    "satchel_locator": Locator,
    "satchel_reader_sink": ReaderSink,
    "satchel_reader": Reader,
    "satchel_store_options": StoreOptions,
    "satchel_add_options": AddOptions,
    "satchel_sync_options": SyncOptions,
    "satchel_store_stats": StoreStats,
    "satchel_document": Document,
    "satchel_list_options": ListOptions,
    "satchel_search_options": SearchOptions,
    "satchel_range": Range,
    "satchel_hit": Hit,
    "satchel_ask_options": AskOptions,
    "satchel_prepared_info": PreparedInfo,
    "satchel_passage": Passage,
    "satchel_event_mode": EventMode,
    "satchel_event_token": EventToken,
    "satchel_event_citation": EventCitation,
    "satchel_event_refusal": EventRefusal,
    "satchel_event_progress": EventProgress,
    "satchel_event_file": EventFile,
    "satchel_event_done": EventDone,
    "satchel_event": Event,
    "satchel_points": Points,
    "satchel_kmeans_progress": KMeansProgress,
    "satchel_kmeans_options": KMeansOptions,
    "satchel_kmeans_info": KMeansInfo,
    "satchel_gguf_info": GgufInfo,
    "satchel_gguf_key": GgufKey,
    "satchel_gguf_tensor": GgufTensor,
    "satchel_topics_options": TopicsOptions,
    "satchel_topics_info": TopicsInfo,
    "satchel_topic": Topic,
    "satchel_topic_document": TopicDocument,
    "satchel_topic_sentence": TopicSentence,
}


def string(value: "bytes | None") -> str:
    return value.decode("utf-8", "replace") if value else ""


def counted(address: "int | None", length: int) -> bytes:
    return ctypes.string_at(address, length) if address and length else b""


def metadata(text: "bytes | str | None") -> "dict[str, Any]":
    """A JSON object."""
    read: "dict[str, Any]" = json.loads(text) if text else {}
    return read


def or_none(value: int, unknown: int) -> Optional[int]:
    return None if value == unknown else value
