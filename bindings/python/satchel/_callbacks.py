"""Python objects as embedders, generators and readers of the library.

The library holds on to their C tables until it calls `destroy`, which may be after the Python
object that registered them has gone: the bridges therefore live in a table of their own until then.
"""

from __future__ import annotations

import ctypes
import inspect
import itertools
import json
from ctypes import byref, c_void_p
from typing import (Any, Callable, Dict, Iterable, List, Optional, Protocol, Sequence, Union,
                    runtime_checkable)

import numpy as np
from numpy.typing import NDArray

from . import _constants as k
from . import _generate
from . import _native as n
from . import _structs as s
from ._types import Heading, Page, Slide, Time, Title

_OK = k.CONSTANTS["SATCHEL_OK"]
_CALLBACK = k.CONSTANTS["SATCHEL_CALLBACK"]
_UNSUPPORTED = k.CONSTANTS["SATCHEL_UNSUPPORTED"]

#: What an embedder that does not say gets: enough for any passage.
_TOKENS_IF_UNSAID = 512

#: Room for prompt and answer that a generator is taken to have if it does not say.
_CONTEXT_IF_UNSAID = 4096


@runtime_checkable
class Embedder(Protocol):
    """What Store takes as an embedder of your own.

    Only embed() must be there. It returns one vector per text; they are scaled to length 1. It may
    take a keyword argument `role`, "document" or "query".

    Looked at where present: `dimension` (int; else asked once with a probe text), `id` (str: names
    model and settings, because vectors of two ids are never compared; else the class's name),
    `max_tokens` (int: longest text it reads), `count_tokens(text) -> int`, `coverage(text) ->
    float` (share of the text that its vocabulary knows, 0 to 1).
    """

    def embed(self, texts: List[str]) -> Any: ...


class Generator(Protocol):
    """What Model.from_generator() takes as a generator of your own.

    Only generate() must be there. It gets the conversation as dictionaries with "role" and
    "content" and returns or yields the answer in pieces of text, or returns it whole. It may take
    keyword arguments: `options` (a GenerateOptions), `max_tokens` (-1: as many as fit),
    `cancelled` (a function that says whether to stop).

    Looked at where present: `context_tokens` (int: room for prompt and answer; else 4,096), `id`
    (str: names model and settings; else the class's name), `count_tokens(text) -> int`.
    """

    def generate(self, messages: List[Dict[str, str]]) -> "Union[str, Iterable[str]]": ...


ReaderPart = Union[str, Page, Slide, Heading, Time, Title]


class Reader(Protocol):
    """What Store.add_reader() takes: turns the bytes of a file into text with places.

    `media_types` and `extensions` say what it reads. read() returns the text, or yields pieces of
    text mixed with Page, Slide, Heading, Time and Title; None lets the next reader try.
    """

    id: str
    media_types: Sequence[str]
    extensions: Sequence[str]

    def read(self, data: bytes,
             media_type: str) -> "Optional[Union[str, Iterable[ReaderPart]]]": ...


_bridges: Dict[int, Any] = {}
_numbers = itertools.count(1)


def _forget(user: Optional[int]) -> None:
    _bridges.pop(user or 0, None)


#: One function for all, that never goes: a bridge must not free the code that is running.
_destroy = s.DestroyFunction(_forget)


def _keep(bridge: Any) -> int:
    number = next(_numbers)
    _bridges[number] = bridge
    return number


def _fail(raised: BaseException) -> int:
    n.pending.raised = raised
    return _CALLBACK


# ---------------------------------------------------------------- embedders


def _text(address: Optional[int], length: int) -> str:
    return s.counted(address, length).decode("utf-8", "replace")


class _EmbedderBridge:
    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder
        self.takes_role = _takes(embedder.embed, "role")
        self.dimension = int(getattr(embedder, "dimension", 0) or self._probe())
        self.count = s.CountFunction(self._count) if hasattr(embedder, "count_tokens") else None
        self.cover = s.CoverageFunction(self._cover) if hasattr(embedder, "coverage") else None
        self.run = s.EmbedFunction(self._embed)

    def _vectors(self, texts: List[str], role: str) -> NDArray[np.float32]:
        made = (self.embedder.embed(texts, role=role) if self.takes_role
                else self.embedder.embed(texts))
        return np.asarray(made, dtype=np.float32)

    def _probe(self) -> int:
        vectors = self._vectors(["dimension"], "document")
        if vectors.ndim != 2 or vectors.shape[0] != 1:
            raise ValueError(f"embed() gave shape {vectors.shape} for 1 text; must be "
                             "(1, dimension)")
        return int(vectors.shape[1])

    def _embed(self, user: Any, role: int, texts: Any, count: int, out: int, cancel: Any) -> int:
        try:
            given = [_text(texts[i].data, texts[i].length) for i in range(count)]
            vectors = self._vectors(given, k.ROLE.name(role))
            if vectors.shape != (count, self.dimension):
                raise ValueError(f"embed() gave shape {vectors.shape} for {count} texts; must be "
                                 f"({count}, {self.dimension})")
            target = (ctypes.c_float * (count * self.dimension)).from_address(out)
            np.ctypeslib.as_array(target).reshape(count, self.dimension)[...] = vectors
            return _OK
        except BaseException as raised:
            return _fail(raised)

    def _count(self, user: Any, text: int, length: int, out: Any) -> int:
        try:
            out[0] = int(self.embedder.count_tokens(_text(text, length)))
            return _OK
        except BaseException as raised:
            return _fail(raised)

    def _cover(self, user: Any, text: int, length: int, out: Any) -> int:
        try:
            out[0] = float(self.embedder.coverage(_text(text, length)))
            return _OK
        except BaseException as raised:
            return _fail(raised)


def _takes(function: Any, name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


def open_embedder(context: Any, embedder: Any) -> c_void_p:
    """A satchel_model over a Python embedder."""
    bridge = _EmbedderBridge(embedder)
    kind = type(embedder)
    name = getattr(embedder, "id", None) or f"{kind.__module__}.{kind.__qualname__}"
    identity = n.encode_z(str(name), "the embedder's id")
    table = s.Embedder(struct_size=ctypes.sizeof(s.Embedder), id=identity,
                       dimension=bridge.dimension,
                       max_tokens=int(getattr(embedder, "max_tokens", 0) or _TOKENS_IF_UNSAID),
                       embed=bridge.run, destroy=_destroy)
    if bridge.count:
        table.count_tokens = bridge.count
    if bridge.cover:
        table.coverage = bridge.cover
    table.user = _keep(bridge)
    pointer = c_void_p()
    n.call(n.library.satchel_model_from_embedder, byref(pointer), context, byref(table))
    return pointer


# ---------------------------------------------------------------- generators


class _Run:
    """An answer under way; `piece` lives until the next one is asked for."""

    def __init__(self, pieces: "Union[str, Iterable[str]]") -> None:
        self.pieces = iter([pieces] if isinstance(pieces, str) else pieces)
        self.piece = b""


class _GeneratorBridge:
    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self.takes = {name for name in ("options", "max_tokens", "cancelled")
                      if _takes(generator.generate, name)}
        self.runs: Dict[int, _Run] = {}
        self.numbers = itertools.count(1)
        self.count = s.CountFunction(self._count) if hasattr(generator, "count_tokens") else None
        self.begin = s.BeginFunction(self._begin)
        self.next = s.NextFunction(self._next)
        self.end = s.EndFunction(self._end)

    def _count(self, user: Any, text: int, length: int, out: Any) -> int:
        try:
            out[0] = int(self.generator.count_tokens(_text(text, length)))
            return _OK
        except BaseException as raised:
            return _fail(raised)

    def _begin(self, user: Any, given: Any, out: Any) -> int:
        try:
            request = given.contents
            cancel = request.cancel
            more: Dict[str, Callable[[], Any]] = {
                    "options": lambda: _generate.read_options(request.options.contents),
                    "max_tokens": lambda: request.max_tokens,
                    "cancelled": lambda: lambda: bool(n.library.satchel_cancel_fired(cancel))}
            messages = json.loads(s.counted(request.messages, request.messages_length))
            run = _Run(self.generator.generate(messages,
                                               **{name: more[name]() for name in self.takes}))
            number = next(self.numbers)
            self.runs[number] = run
            out[0] = number
            return _OK
        except BaseException as raised:
            return _fail(raised)

    def _next(self, user: Any, number: int, text: Any, length: Any) -> int:
        try:
            run = self.runs[number]
            run.piece = b""
            while not run.piece:
                piece = next(run.pieces, None)
                if piece is None:
                    length[0] = 0
                    return _OK
                run.piece = piece.encode("utf-8", "replace")
            text[0] = ctypes.cast(ctypes.c_char_p(run.piece), c_void_p).value
            length[0] = len(run.piece)
            return _OK
        except BaseException as raised:
            return _fail(raised)

    def _end(self, user: Any, number: int) -> None:
        run = self.runs.pop(number)
        try:
            close = getattr(run.pieces, "close", None)
            if close is not None:
                close()
        except BaseException as raised:
            _fail(raised)


def open_generator(context: Any, generator: Any) -> c_void_p:
    """A satchel_model over a Python generator."""
    bridge = _GeneratorBridge(generator)
    kind = type(generator)
    name = getattr(generator, "id", None) or f"{kind.__module__}.{kind.__qualname__}"
    identity = n.encode_z(str(name), "the generator's id")
    table = s.Generator(struct_size=ctypes.sizeof(s.Generator), id=identity,
                        context_tokens=int(getattr(generator, "context_tokens", 0)
                                           or _CONTEXT_IF_UNSAID),
                        begin=bridge.begin, next=bridge.next, end=bridge.end, destroy=_destroy)
    if bridge.count:
        table.count_tokens = bridge.count
    table.user = _keep(bridge)
    pointer = c_void_p()
    n.call(n.library.satchel_model_from_generator, byref(pointer), context, byref(table))
    return pointer


# ---------------------------------------------------------------- readers


class _ReaderBridge:
    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.run = s.ReadFunction(self._read)

    def _read(self, user: Any, media_type: Optional[bytes], data: Optional[int], length: int,
              sink: Any, message: int, message_size: int) -> int:
        try:
            made = self.reader.read(s.counted(data, length), s.string(media_type))
            if made is None:
                return _UNSUPPORTED
            for part in [made] if isinstance(made, str) else made:
                status = _hand_over(sink.contents, part)
                if status != _OK:
                    return status
            return _OK
        except Exception as raised:
            # One bad file does not stop a sync: the message goes into its event.
            _fail(raised)
            _write_message(message, message_size, f"{type(raised).__name__}: {raised}")
            return _CALLBACK
        except BaseException as raised:
            return _fail(raised)


def _hand_over(sink: s.ReaderSink, part: ReaderPart) -> int:
    if isinstance(part, str):
        data = part.encode("utf-8", "replace")
        return int(sink.text(sink.sink, data, len(data)))
    if isinstance(part, Title):
        data = part.text.encode("utf-8", "replace")
        return int(sink.title(sink.sink, data, len(data)))
    locator = s.Locator()
    if isinstance(part, Page):
        locator.kind, locator.number = k.CONSTANTS["SATCHEL_LOCATOR_PAGE"], part.number
    elif isinstance(part, Slide):
        locator.kind, locator.number = k.CONSTANTS["SATCHEL_LOCATOR_SLIDE"], part.number
    elif isinstance(part, Heading):
        locator.kind, locator.number = k.CONSTANTS["SATCHEL_LOCATOR_HEADING"], part.level
        locator.label = part.label.replace("\0", " ").encode("utf-8", "replace")
    elif isinstance(part, Time):
        locator.kind, locator.number = k.CONSTANTS["SATCHEL_LOCATOR_TIME"], part.milliseconds
    else:
        raise TypeError(f"read() gave a {type(part).__name__}; must be str, Page, Slide, Heading, "
                        "Time or Title")
    return int(sink.locate(sink.sink, byref(locator)))


def _write_message(address: int, size: int, text: str) -> None:
    if size == 0:
        return
    data = text.replace("\0", " ").encode("utf-8", "replace")[:size - 1]
    data = data.decode("utf-8", "ignore").encode("utf-8")  # not cut within a character
    ctypes.memmove(address, data + b"\0", len(data) + 1)


def add_reader(store: c_void_p, reader: Any) -> None:
    bridge = _ReaderBridge(reader)
    kind = type(reader)
    words = {}
    for name in ("media_types", "extensions"):
        value = getattr(reader, name, ())
        words[name] = n.encode_z(" ".join([value] if isinstance(value, str) else value), name)
    identity = n.encode_z(str(getattr(reader, "id", "") or kind.__qualname__), "the reader's id")
    table = s.Reader(struct_size=ctypes.sizeof(s.Reader), id=identity, read=bridge.run,
                     destroy=_destroy, **words)
    table.user = _keep(bridge)
    n.call(n.library.satchel_store_add_reader, store, byref(table))
