"""Stores: documents in, passages and answers out."""

from __future__ import annotations

import ctypes
import datetime
import json
import os
from ctypes import byref, c_int64, c_void_p
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Union

import numpy as np

from . import _ask
from . import _callbacks
from . import _constants as k
from . import _native as n
from . import _hits
from . import _stream
from . import _structs as s
from . import _topics
from . import _types as t
from ._cluster import checked_seed
from ._context import Cancel, Context, cancel_pointer, default_context
from ._model import Model
from .errors import NotFound

if TYPE_CHECKING:
    from ._generate import GenerateOptions

Filter = Union[str, Mapping[str, Any], None]
Bytes = Union[bytes, bytearray, memoryview]

#: maintain() without a budget embeds in slices of this length, so that Ctrl-C gets its turn.
_SLICE_MS = 250


class Store(n.Closable):
    """A store: one file with the text and the index of documents.

    Safe to use from many threads.

    Args:
        path: the file; made if it is not there.
        embedder: a Model, the path of a GGUF file, an object with embed(texts), or None: keywords.
        read_only: never write.
        must_exist: raise NotFound instead of making the file.
        chunk_tokens: target size of a passage; None: the library's default.
        context: threads and limits; None: the model's, or the shared context.
    """

    def __init__(self, path: "Union[str, os.PathLike[str]]",
                 embedder: "Union[Model, str, os.PathLike[str], _callbacks.Embedder, None]" = None,
                 *, read_only: bool = False, must_exist: bool = False,
                 chunk_tokens: Optional[int] = None, context: Optional[Context] = None) -> None:
        if context is None:
            context = embedder._context if isinstance(embedder, Model) else default_context()
        self._context = context
        model, own = self._open_model(embedder)
        try:
            options = n.new(s.StoreOptions, "satchel_store_options_init")
            options.read_only = int(read_only)
            options.must_exist = int(must_exist)
            options.chunk_tokens = chunk_tokens or 0
            pointer = c_void_p()
            with self._context._handle as owner:
                if model is None:
                    n.call(n.library.satchel_store_open, byref(pointer), owner, os.fsencode(path),
                           byref(options))
                else:
                    with model._handle as held:
                        options.model = held.value
                        n.call(n.library.satchel_store_open, byref(pointer), owner,
                               os.fsencode(path), byref(options))
        except BaseException:
            if own and model is not None:
                model.close()
            raise
        self._own(pointer, n.library.satchel_store_close, "store")
        self._model, self._own_model = model, own
        self._path = os.fsdecode(path)

    def _open_model(self, embedder: Any) -> "tuple[Optional[Model], bool]":
        if embedder is None or isinstance(embedder, Model):
            return embedder, False
        if isinstance(embedder, (str, os.PathLike)):
            return Model(embedder, context=self._context), True
        if not callable(getattr(embedder, "embed", None)):
            raise TypeError(f"embedder is a {type(embedder).__name__}; must be a Model, a path, an "
                            "object with embed(texts), or None")
        return Model.from_embedder(embedder, context=self._context), True

    def close(self) -> None:
        super().close()
        if self._own_model and self._model is not None:
            self._model.close()

    def __repr__(self) -> str:
        return f"<satchel.Store {self._path!r}{' closed' if self.closed else ''}>"

    @property
    def model(self) -> Optional[Model]:
        """The embedder, None for keywords alone."""
        return self._model

    # ------------------------------------------------------------ documents in

    def add_text(self, id: str, text: str, title: Optional[str] = None,
                 metadata: Optional[Mapping[str, Any]] = None, *,
                 media_type: Optional[str] = None,
                 modified: "Union[datetime.datetime, float, None]" = None, defer: bool = False,
                 must_be_new: bool = False, cancel: Optional[Cancel] = None) -> None:
        """Adds or replaces a document. On return it is found by keyword, and by meaning too unless
        `defer` was set.

        Args:
            id: names it: 1 to 1,024 bytes without control characters.
            text: offsets of hits count in this very string.
            title: default: the last part of the id.
            metadata: a flat dict of strings, numbers, booleans and lists of strings.
            media_type: "text/plain" (default), "text/markdown" or "text/html".
            modified: a datetime, or Unix time in seconds; default: now.
            defer: keywords now, vectors at maintain().
            must_be_new: raise Exists instead of replacing.
        """
        data = n.encode(text, "the text")
        options = _add_options(title, metadata, media_type, modified, defer, must_be_new)
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            options.cancel = stop.value if stop else None
            n.call(n.library.satchel_store_add_text, pointer, n.encode_z(id, "the id"), data,
                   len(data), byref(options))

    def add_bytes(self, id: str, data: Bytes, media_type: Optional[str] = None,
                  title: Optional[str] = None, metadata: Optional[Mapping[str, Any]] = None, *,
                  modified: "Union[datetime.datetime, float, None]" = None, defer: bool = False,
                  must_be_new: bool = False, cancel: Optional[Cancel] = None) -> None:
        """Adds or replaces a document from the bytes of a file. `media_type` chooses the reader;
        None: by the id's extension, else by looking at the bytes. The rest as for add_text()."""
        view = np.frombuffer(data, dtype=np.uint8)  # no copy
        options = _add_options(title, metadata, None, modified, defer, must_be_new)
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            options.cancel = stop.value if stop else None
            n.call(n.library.satchel_store_add_bytes, pointer, n.encode_z(id, "the id"),
                   n.encode_z(media_type, "media_type"), view.ctypes.data if view.size else None,
                   view.size, byref(options))

    def add_fd(self, id: str, fd: int, offset: int = 0, length: int = 0,
               media_type: Optional[str] = None, title: Optional[str] = None,
               metadata: Optional[Mapping[str, Any]] = None, *,
               modified: "Union[datetime.datetime, float, None]" = None, defer: bool = False,
               must_be_new: bool = False, cancel: Optional[Cancel] = None) -> None:
        """As add_bytes(), from `length` bytes at `offset` (0: to the end) of an open file, which
        stays yours."""
        options = _add_options(title, metadata, None, modified, defer, must_be_new)
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            options.cancel = stop.value if stop else None
            n.call(n.library.satchel_store_add_fd, pointer, n.encode_z(id, "the id"),
                   n.encode_z(media_type, "media_type"), fd, offset, length, byref(options))

    def add_path(self, path: "Union[str, os.PathLike[str]]",
                 progress: Optional[Callable[[t.ProgressEvent], None]] = None,
                 root: Optional[str] = None, *, keep_missing: bool = False,
                 allow_removals: bool = False, defer: bool = False, include_hidden: bool = False,
                 max_file_bytes: Optional[int] = None,
                 cancel: Optional[Cancel] = None) -> t.SyncSummary:
        """Adds a folder or a file, or brings it up to date: only what has changed is read, and
        documents whose files are gone are removed. Ids are root/relative/path.

        Args:
            path: a folder, or one file.
            progress: called with each ProgressEvent.
            root: name of the folder in the store; default: its own name.
            keep_missing: never remove documents.
            allow_removals: go on even if more than a fifth of the root would be removed.
            include_hidden: files and folders starting with a dot too.
            max_file_bytes: pass over larger files.
        """
        problems: List[t.FileEvent] = []
        done: Any = None
        with self.sync(path, root, keep_missing=keep_missing, allow_removals=allow_removals,
                       defer=defer, include_hidden=include_hidden, max_file_bytes=max_file_bytes,
                       cancel=cancel) as events:
            for event in events:
                if isinstance(event, t.ProgressEvent):
                    if progress is not None:
                        progress(event)
                elif isinstance(event, t.FileEvent):
                    if event.change in ("failed", "skipped"):
                        problems.append(event)
                else:
                    done = event
        return t.SyncSummary(done, problems)

    def sync(self, path: "Union[str, os.PathLike[str]]", root: Optional[str] = None, *,
             keep_missing: bool = False, allow_removals: bool = False, defer: bool = False,
             include_hidden: bool = False, max_file_bytes: Optional[int] = None,
             cancel: Optional[Cancel] = None) -> "_stream.Events[t.Event]":
        """As add_path(), as an iterator of ProgressEvent, FileEvent and at last SyncDoneEvent. The
        work happens while you iterate; leaving early loses at most the last batch."""
        options = n.new(s.SyncOptions, "satchel_sync_options_init")
        options.root = n.encode_z(root, "root")
        options.keep_missing = int(keep_missing)
        options.allow_removals = int(allow_removals)
        options.defer_embedding = int(defer)
        options.include_hidden = int(include_hidden)
        options.max_file_bytes = max_file_bytes or 0
        stream = c_void_p()
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            options.cancel = stop.value if stop else None
            n.call(n.library.satchel_store_sync, byref(stream), pointer, os.fsencode(path),
                   byref(options))
        return _stream.Events(stream, _stream.read_sync)

    def add_reader(self, reader: "_callbacks.Reader") -> None:
        """Registers a reader of your own for a file format; see satchel.Reader."""
        with self._handle as pointer:
            _callbacks.add_reader(pointer, reader)

    def remove(self, id: str) -> None:
        """Removes a document. Raises NotFound if there is none. What a generator read of it may
        still be in the context's cache_dir: see Context.clear_cache()."""
        with self._handle as pointer:
            n.call(n.library.satchel_store_remove, pointer, n.encode_z(id, "the id"))

    def maintain(self, budget_ms: Optional[int] = None, *,
                 cancel: Optional[Cancel] = None) -> int:
        """Does what was put off, for about budget_ms milliseconds; None: until all is done: embeds
        what is pending, keeps the vector index that a large store has beside it, and gives free
        space back. A sync ends with the same.

        Returns how many passages are still pending, and at least 1 while the index is not finished:
        call again until it is 0."""
        pending = c_int64()
        milliseconds = _SLICE_MS if budget_ms is None else budget_ms
        while True:
            with self._handle as pointer, cancel_pointer(cancel) as stop:
                n.call(n.library.satchel_store_maintain, pointer, milliseconds, stop,
                       byref(pending))
            if budget_ms is not None or milliseconds == 0:
                return pending.value
            if pending.value == 0:
                milliseconds = 0  # free space: nothing says what is left of it

    # ------------------------------------------------------------ passages and answers out

    def search(self, query: str, k: Optional[int] = None, mode: Optional[str] = None,
               filter: Filter = None, *, cancel: Optional[Cancel] = None) -> t.Hits:
        """The passages that fit best: a list, whose .mode is the one that served.

        Args:
            query: plain text; there is no query syntax.
            k: hits wanted; default 10.
            mode: "keyword", "vector" or "hybrid"; default: hybrid with an embedder, else keyword.
            filter: a dict or JSON such as {"path": "notes/*"}; see docs/filters.md.
        """
        return _hits.search(self._handle, n.encode_z(query, "the query"),
                            _search_mode(mode) if mode else 0, k or 0,
                            None if filter is None else _filter(filter), cancel,
                            self._count_characters)

    def ask(self, question: str, *, k: Optional[int] = None, mode: Optional[str] = None,
            search_mode: Optional[str] = None, max_sentences: Optional[int] = None,
            filter: Filter = None, refusal_threshold: Optional[float] = None,
            cancel: Optional[Cancel] = None, generator: Optional[Model] = None,
            history: _ask.History = None, prompt: _ask.Prompt = None,
            context_tokens: Optional[int] = None,
            generate: "Optional[GenerateOptions]" = None) -> "_stream.AnswerEvents":
        """Answers a question as an iterator of events: ModeEvent, HitsEvent, then TokenEvent and
        CitationEvent as the answer grows, or RefusalEvent, then DoneEvent. .collect() puts it
        together.

        Args:
            k: passages looked at.
            mode: "extractive" or "generated"; default: generated with a generator.
            search_mode: as `mode` of search().
            max_sentences: extractive: quoted at most.
            refusal_threshold: confidence below which it refuses; negative: never refuse.
            generator: a Model that writes the answer, citing passages as [1] or [2, 3];
                ProgressEvents tell how much of its prompt is read.
            history: earlier messages, dicts with "role" and "content", oldest first.
            prompt: a dict or JSON, see docs/prompts.md; None: prompt_default().
            context_tokens: of the prompt at most.
            generate: how the generator writes; None: greedy.
        """
        options = _ask_options(k, mode, search_mode, max_sentences, filter, refusal_threshold)
        stream = c_void_p()
        with self._handle as pointer, cancel_pointer(cancel) as stop, _ask.language(
                options, generator, history, prompt, context_tokens, generate):
            options.cancel = stop.value if stop else None
            n.call(n.library.satchel_ask, byref(stream), pointer,
                   n.encode_z(question, "the question"), byref(options))
        return _stream.AnswerEvents(stream, _stream.answer_reader(self._count_characters))

    def prepare(self, question: str, context_tokens: Optional[int] = None, *,
                k: Optional[int] = None, search_mode: Optional[str] = None, filter: Filter = None,
                refusal_threshold: Optional[float] = None, cancel: Optional[Cancel] = None,
                generator: Optional[Model] = None, history: _ask.History = None,
                prompt: _ask.Prompt = None) -> _ask.Prepared:
        """Makes a question ready for a model that you run yourself: searches, picks the passages
        that fit into `context_tokens`, and writes the messages. Prepared.resolve() then finds the
        citations in what the model writes. With a generator its tokens are what counts, else they
        are estimated. The rest as for ask()."""
        options = _ask_options(k, None, search_mode, None, filter, refusal_threshold)
        with self._handle as pointer, _ask.language(options, generator, history, prompt,
                                                    context_tokens, None):
            return _ask.prepare(pointer, question, options, cancel, self._count_characters)

    def topics(self, k: Optional[int] = None, *, words: Optional[int] = None,
               sentences: Optional[int] = None, iterations: Optional[int] = None, seed: int = 0,
               mode: Optional[str] = None, filter: Filter = None,
               progress: Optional[Callable[[t.ProgressEvent], None]] = None,
               cancel: Optional[Cancel] = None) -> "_topics.Topics":
        """What the documents are about: their passages grouped by meaning, the largest group first,
        each with a label and a few sentences in the documents' own words.

        Args:
            k: topics at most; None: 5 to 20, by the number of passages.
            words: in a label at most; default 4.
            sentences: that show a topic at most; default 3; 0: none, and nothing is embedded.
            iterations: of the clustering at most; 0: none, only seeding.
            seed: the same store and seed give the same topics.
            mode: "exact" (default) or "fast"; see docs/kmeans.md.
            filter: as for search().
            progress: called with a ProgressEvent now and then; what it raises ends the call.

        Passages that are not embedded yet are left out and counted in `.pending`. Raises NoModel
        for a store without an embedder.
        """
        options = n.new(s.TopicsOptions, "satchel_topics_options_init")
        options.k = k or 0
        options.words = words or 0
        options.sentences = _or_none_at_all(sentences)
        options.iterations = _or_none_at_all(iterations)
        options.seed = checked_seed(seed)
        options.mode = _kmeans_mode(mode)
        options.filter = _filter(filter)
        options.progress = _topics.progress_function(progress)
        found = c_void_p()
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            options.cancel = stop.value if stop else None
            n.call(n.library.satchel_store_topics, byref(found), pointer, byref(options))
            try:
                return _topics.read(found)
            finally:
                n.library.satchel_topics_close(byref(found))

    # ------------------------------------------------------------ looking in

    def documents(self, filter: Filter = None, *, limit: Optional[int] = None,
                  offset: int = 0) -> List[t.Document]:
        """The documents, by id."""
        options = n.new(s.ListOptions, "satchel_list_options_init")
        options.filter = _filter(filter)
        options.limit = limit or 0
        options.offset = offset
        listed, found, document = c_void_p(), [], s.Document()
        with self._handle as pointer:
            n.call(n.library.satchel_store_list, byref(listed), pointer, byref(options))
            try:
                for i in range(n.library.satchel_documents_count(listed)):
                    n.call(n.library.satchel_documents_get, listed, i, byref(document),
                           ctypes.sizeof(document))
                    found.append(t.Document(
                        id=s.string(document.id), title=s.string(document.title),
                        metadata=s.metadata(document.metadata),
                        media_type=s.string(document.media_type),
                        text_bytes=document.text_bytes, chunks=document.chunks,
                        chunks_embedded=document.chunks_embedded,
                        modified_ms=document.modified_ms,
                        failure=s.string(document.failure) if document.failure else None))
            finally:
                n.library.satchel_documents_close(byref(listed))
        return found

    def text(self, id: str) -> str:
        """The text of a document: what offsets of hits and citations count in."""
        return self._read_text(id, 0, None).decode("utf-8")

    def _read_text(self, id: str, start: int, most: Optional[int]) -> bytes:
        length = c_int64()
        name = n.encode_z(id, "the id")
        with self._handle as pointer:
            capacity = most
            while True:
                if capacity is None:
                    n.call(n.library.satchel_document_text, pointer, name, start, None, 0,
                           byref(length))
                    capacity = max(length.value - start, 0)
                buffer = np.empty(capacity, dtype=np.uint8)
                n.call(n.library.satchel_document_text, pointer, name, start,
                       buffer.ctypes.data if capacity else None, capacity, byref(length))
                left = max(length.value - start, 0)
                if most is not None or left <= capacity:
                    return buffer[:min(left, capacity)].tobytes()
                capacity = None  # it was replaced by a longer one in between

    def _count_characters(self, id: str, end: int) -> int:
        """Characters in the first `end` bytes of a document's text."""
        return len(self._read_text(id, 0, end).decode("utf-8", "replace"))

    def stats(self) -> t.Stats:
        """What the store holds."""
        stats = s.StoreStats()
        with self._handle as pointer:
            n.call(n.library.satchel_store_get_stats, pointer, byref(stats), ctypes.sizeof(stats))
        return t.Stats(stats.documents, stats.chunks, stats.chunks_embedded, stats.chunks_pending,
                       stats.text_bytes, stats.file_bytes, stats.failures, stats.format_version,
                       bool(stats.has_model), stats.dimension)

    def roots(self) -> List[t.Root]:
        """The folders that were synced into the store."""
        found: List[t.Root] = []
        name, path = ctypes.create_string_buffer(2048), ctypes.create_string_buffer(8192)
        documents = c_int64()
        with self._handle as pointer:
            while True:
                try:
                    n.call(n.library.satchel_store_get_root, pointer, len(found), name, len(name),
                           path, len(path), byref(documents))
                except NotFound:
                    return found
                found.append(t.Root(s.string(name.value), os.fsdecode(path.value),
                                    documents.value))

    def verify(self) -> List[str]:
        """Checks the whole store, and returns the problems found: an empty list if it is sound."""
        problems: List[str] = []

        def report(user: Any, problem: Optional[bytes]) -> int:
            try:
                problems.append(s.string(problem))
                return 0
            except BaseException as raised:
                n.pending.raised = raised
                return 1

        found = c_int64()
        with self._handle as pointer:
            n.call(n.library.satchel_store_verify, pointer, s.ProblemFunction(report), None,
                   byref(found))
        return problems

    def backup(self, path: "Union[str, os.PathLike[str]]", *,
               cancel: Optional[Cancel] = None) -> None:
        """Copies the store as it is now into a new file. Raises Exists if there is one."""
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            n.call(n.library.satchel_store_backup, pointer, os.fsencode(path), stop)


# ---------------------------------------------------------------- arguments

# Functions of their own, because `k` is a parameter above.


def _search_mode(mode: Optional[str]) -> int:
    return k.SEARCH.value(mode)


def _answer_mode(mode: Optional[str]) -> int:
    return k.ANSWER.value(mode)


def _ask_options(k: Optional[int], mode: Optional[str], search_mode: Optional[str],
                 max_sentences: Optional[int], filter: Filter,
                 refusal_threshold: Optional[float]) -> s.AskOptions:
    options: s.AskOptions = n.new(s.AskOptions, "satchel_ask_options_init")
    options.mode = _answer_mode(mode)
    options.search_mode = _search_mode(search_mode)
    options.k = k or 0
    options.max_sentences = max_sentences or 0
    options.filter = _filter(filter)
    options.refusal_threshold = refusal_threshold or 0.0
    return options


def _kmeans_mode(mode: Optional[str]) -> int:
    return k.MODE.value(mode)


def _or_none_at_all(number: Optional[int]) -> int:
    """In C a zero is the default, and none at all is -1."""
    return 0 if number is None else number if number != 0 else -1


def _filter(given: Filter) -> Optional[bytes]:
    if given is None or isinstance(given, str):
        return n.encode_z(given, "the filter")
    return n.encode_z(json.dumps(given), "the filter")


def _milliseconds(modified: "Union[datetime.datetime, float, None]") -> int:
    if modified is None:
        return 0
    if isinstance(modified, datetime.datetime):
        modified = modified.timestamp()
    return int(modified * 1000)


def _add_options(title: Optional[str], metadata: Optional[Mapping[str, Any]],
                 media_type: Optional[str],
                 modified: "Union[datetime.datetime, float, None]", defer: bool,
                 must_be_new: bool) -> s.AddOptions:
    options: s.AddOptions = n.new(s.AddOptions, "satchel_add_options_init")
    options.title = n.encode_z(title, "the title")
    if metadata is not None:
        options.metadata = n.encode_z(json.dumps(metadata), "the metadata")
    options.media_type = n.encode_z(media_type, "media_type")
    options.modified_ms = _milliseconds(modified)
    options.defer_embedding = int(defer)
    options.must_be_new = int(must_be_new)
    return options
