"""Models: text to vectors, and text to text."""

from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_int32, c_size_t, c_void_p
from typing import Any, Callable, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from . import _callbacks, _generate
from . import _constants as k
from . import _native as n
from . import _structs as s
from ._context import Cancel, Context, cancel_pointer, default_context
from ._generate import GenerateOptions, Generation, Message
from ._topics import progress_function
from ._types import ModelInfo, ModelNeed, Perplexity, ProgressEvent

Progress = Callable[[ProgressEvent], None]
Path = Union[str, "os.PathLike[str]"]

#: Texts given to the library at once: between two calls Ctrl-C gets its turn.
_BATCH = 512


class Model(n.Closable):
    """A model from a GGUF file: a text encoder or a decoder; `kind` says which.

    Args:
        path: the GGUF file; of a model split into parts, the first.
        pooling: of encoders: "mean", "cls" or "last"; None: as the file says.
        max_tokens: of encoders: longest text read; None: as the file says.
        query_prefix, document_prefix: of encoders: put before texts; None: as the file says, or
            the architecture.
        dimension: of encoders: vectors of their first so many values; None: of all.
        context_tokens: of decoders: room for prompt and answer; None: the file's, at most 8,192.
        kv_type: of decoders: how keys and values are held: "f16" (default), "q8_0" or "f32".
        adapters: of decoders: LoRA adapters in GGUF: paths, or pairs of a path and a scale, which
            all have or none.
        chat_template: of decoders: Jinja, instead of the file's own.
        warm: read all weights now, so that the first answer does not wait for storage.
        progress: called with a ProgressEvent now and then while warming.
        cancel: fire it from another thread to stop opening.
        context: threads and limits; None: the shared context.
    """

    def __init__(self, path: Path, *, pooling: Optional[str] = None,
                 max_tokens: Optional[int] = None, query_prefix: Optional[str] = None,
                 document_prefix: Optional[str] = None, dimension: Optional[int] = None,
                 context_tokens: Optional[int] = None, kv_type: Optional[str] = None,
                 adapters: "Sequence[Union[Path, Tuple[Path, float]]]" = (),
                 chat_template: Optional[str] = None, warm: bool = False,
                 progress: Optional[Progress] = None, cancel: Optional[Cancel] = None,
                 context: Optional[Context] = None) -> None:
        options = _options(pooling, max_tokens, query_prefix, document_prefix, dimension)
        _generate.model_options(options, context_tokens, kv_type, adapters, chat_template)
        options.warm = int(warm)
        options.progress = progress_function(progress)
        pointer = c_void_p()
        context = context or default_context()
        with context._handle as owner, cancel_pointer(cancel) as stop:
            options.cancel = stop.value if stop else None
            n.call(n.library.satchel_model_open, byref(pointer), owner, os.fsencode(path),
                   byref(options))
        self._take(pointer, context)

    @staticmethod
    def measure(path: Path, *, context_tokens: Optional[int] = None,
                kv_type: Optional[str] = None, context: Optional[Context] = None) -> ModelNeed:
        """What opening a file would take, without reading its weights."""
        options: s.ModelOptions = n.new(s.ModelOptions, "satchel_model_options_init")
        _generate.model_options(options, context_tokens, kv_type, (), None)
        need = s.ModelNeed()
        with (context or default_context())._handle as owner:
            n.call(n.library.satchel_model_measure, owner, os.fsencode(path), byref(need),
                   ctypes.sizeof(need), byref(options))
        return ModelNeed(k.KIND.name(need.kind), need.context_tokens, need.file_bytes,
                         need.weight_bytes, need.memory_bytes, need.kv_bytes)

    def _take(self, pointer: c_void_p, context: Context) -> None:
        self._context = context
        self._own(pointer, n.library.satchel_model_close, "model")
        self._info = self._read_info()

    @classmethod
    def from_fd(cls, fd: int, offset: int = 0, length: int = 0, *, pooling: Optional[str] = None,
                max_tokens: Optional[int] = None, query_prefix: Optional[str] = None,
                document_prefix: Optional[str] = None, dimension: Optional[int] = None,
                context: Optional[Context] = None) -> "Model":
        """Opens `length` bytes at `offset` (0: to the end) of an open file; the descriptor stays
        yours."""
        options = _options(pooling, max_tokens, query_prefix, document_prefix, dimension)
        pointer = c_void_p()
        context = context or default_context()
        with context._handle as owner:
            n.call(n.library.satchel_model_open_fd, byref(pointer), owner, fd, offset, length,
                   byref(options))
        model = cls.__new__(cls)
        model._take(pointer, context)
        return model

    @classmethod
    def from_embedder(cls, embedder: "_callbacks.Embedder", *,
                      context: Optional[Context] = None) -> "Model":
        """A model over an embedder of your own; see satchel.Embedder."""
        context = context or default_context()
        with context._handle as owner:
            pointer = _callbacks.open_embedder(owner, embedder)
        model = cls.__new__(cls)
        model._take(pointer, context)
        return model

    @classmethod
    def from_generator(cls, generator: "_callbacks.Generator", *,
                       context: Optional[Context] = None) -> "Model":
        """A model over a generator of your own; see satchel.Generator."""
        context = context or default_context()
        with context._handle as owner:
            pointer = _callbacks.open_generator(owner, generator)
        model = cls.__new__(cls)
        model._take(pointer, context)
        return model

    # ------------------------------------------------------------ what it is

    def _read_info(self) -> ModelInfo:
        info = s.ModelInfo()
        with self._handle as pointer:
            n.call(n.library.satchel_model_get_info, pointer, byref(info), ctypes.sizeof(info))
            return ModelInfo(s.string(info.name), s.string(info.architecture),
                             s.string(info.fingerprint), s.string(info.weight_type),
                             info.dimension, info.max_tokens, info.vocabulary_size,
                             info.parameter_count, info.file_bytes, k.KIND.name(info.kind),
                             info.context_tokens, info.trained_context, info.layers,
                             bool(info.has_chat_template), info.weight_bytes, info.memory_bytes,
                             info.kv_bytes_a_token)

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def kind(self) -> str:
        """"embedder" or "generator"."""
        return self._info.kind

    @property
    def dimension(self) -> int:
        """Length of its vectors."""
        return self._info.dimension

    @property
    def max_tokens(self) -> int:
        """Longest text it reads, in tokens, special ones included."""
        return self._info.max_tokens

    @property
    def context_tokens(self) -> int:
        """Of a generator: room for prompt and answer, in tokens."""
        return self._info.context_tokens

    def __repr__(self) -> str:
        size = (f"context={self._info.context_tokens}" if self.kind == "generator"
                else f"dimension={self._info.dimension}")
        return f"<satchel.Model {self._info.name!r} {self._info.weight_type} {size}>"

    # ------------------------------------------------------------ what it does

    def embed(self, texts: "Union[str, Iterable[str]]", *, role: Optional[str] = None,
              out: Optional[NDArray[np.float32]] = None,
              cancel: Optional[Cancel] = None) -> NDArray[np.float32]:
        """Vectors of length 1: float32, shape (n, dimension), or (dimension,) for one string.

        Args:
            texts: a list of strings, or one string.
            role: "document" (default) or "query": which prefix the model puts first.
            out: a C-contiguous float32 array of shape (n, dimension) to write to.
            cancel: fire it from another thread to stop.
        """
        if isinstance(texts, str):
            one: NDArray[np.float32] = self.embed([texts], role=role, out=out, cancel=cancel)[0]
            return one
        data = [n.encode(text, "a text") for text in texts]
        if out is None:
            out = np.empty((len(data), self.dimension), dtype=np.float32)
        elif (out.dtype != np.float32 or out.shape != (len(data), self.dimension)
              or not out.flags.c_contiguous or not out.flags.writeable):
            raise ValueError(f"out must be a writable, C-contiguous float32 array of shape "
                             f"({len(data)}, {self.dimension})")
        for begin in range(0, len(data), _BATCH):
            part = data[begin:begin + _BATCH]
            given = (s.GivenText * len(part))(*(s.GivenText(text, len(text)) for text in part))
            with self._handle as pointer, cancel_pointer(cancel) as stop:
                n.call(n.library.satchel_model_embed, pointer, k.ROLE.value(role), given,
                       len(part), out[begin:begin + len(part)].ctypes.data, stop)
        return out

    def tokenize(self, text: str) -> List[int]:
        """Token ids of a text, without truncation: an encoder's with its special tokens, a
        decoder's as generate() reads a prompt. Special tokens spelled in the text are text."""
        data = n.encode(text, "the text")
        count = c_size_t()
        capacity = len(data) + 2  # no piece is shorter than a byte, and two are special
        with self._handle as pointer:
            while True:
                ids = (c_int32 * capacity)()
                n.call(n.library.satchel_model_tokenize, pointer, data, len(data), ids, capacity,
                       byref(count))
                if count.value <= capacity:
                    return list(ids[:count.value])
                capacity = count.value

    def token(self, token: int) -> Optional[str]:
        """The vocabulary's piece for a token id; None if there is none."""
        with self._handle as pointer:
            piece: Any = n.library.satchel_model_token(pointer, token)
            return None if piece is None else s.string(piece)


    def detokenize(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """The text of tokens; special ones are left out, or spelled. Decoders only."""
        given = list(tokens)
        ids = (c_int32 * len(given))(*given)
        length = c_size_t()
        capacity = 16 * len(given) + 16
        with self._handle as pointer:
            while True:
                text = ctypes.create_string_buffer(capacity)
                n.call(n.library.satchel_model_detokenize, pointer, ids, len(given), int(special),
                       text, capacity, byref(length))
                if length.value <= capacity:
                    return text.raw[:length.value].decode("utf-8")
                capacity = length.value

    def logits(self, tokens: "Union[Iterable[int], NDArray[Any]]", *,
               cancel: Optional[Cancel] = None) -> NDArray[np.float32]:
        """What a decoder expects behind each token: float32, shape (tokens, vocabulary)."""
        ids = np.ascontiguousarray(
            tokens if isinstance(tokens, np.ndarray) else list(tokens), dtype=np.int32)
        if ids.ndim != 1:
            raise ValueError(f"tokens must be a list of ids, not an array of shape {ids.shape}")
        out = np.empty((len(ids), self._info.vocabulary_size), dtype=np.float32)
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            n.call(n.library.satchel_model_logits, pointer, ids.ctypes.data, len(ids),
                   out.ctypes.data, stop)
        return out

    def perplexity(self, text: str, *, progress: Optional[Progress] = None,
                   cancel: Optional[Cancel] = None) -> Perplexity:
        """How well a decoder foresees a text."""
        data = n.encode(text, "the text")
        out = s.Perplexity()
        report = progress_function(progress)
        with self._handle as pointer, cancel_pointer(cancel) as stop:
            n.call(n.library.satchel_model_perplexity, pointer, data, len(data), byref(out),
                   ctypes.sizeof(out), report, None, stop)
        return Perplexity(out.perplexity, out.nll, out.bits_per_byte, out.tokens, out.elapsed_ms)

    def generate(self, prompt: str, options: Optional[GenerateOptions] = None, *,
                 trust_prompt: bool = False, progress: Optional[Progress] = None,
                 **changes: Any) -> Generation:
        """Goes on with a prompt: an iterator of pieces of text.

        Args:
            prompt: the text.
            options: how to write; None: greedily, at most 512 tokens.
            trust_prompt: special tokens spelled in the prompt are read as such.
            progress: called with a ProgressEvent now and then while the prompt is read.
            changes: fields of GenerateOptions, such as max_tokens=64 or temperature=0.7.
        """
        with self._handle as pointer:
            return _generate.generate(pointer, prompt, trust_prompt,
                                      _generate.changed(options, changes), progress)

    def chat(self, messages: "Union[str, Sequence[Message]]",
             options: Optional[GenerateOptions] = None, *,
             tools: "Optional[Sequence[Mapping[str, Any]]]" = None,
             variables: Optional[Mapping[str, Any]] = None, continue_answer: bool = False,
             progress: Optional[Progress] = None, **changes: Any) -> Generation:
        """Answers a conversation: an iterator of pieces of text. Give the whole conversation each
        time: what is still in memory of the last call is not computed again.

        Args:
            messages: dictionaries with "role" and "content", or one question as a string. Nothing
                in them forms a special token.
            options, changes, progress: as in generate().
            tools: for the model's chat template.
            variables: for the template: {"enable_thinking": False}.
            continue_answer: the last message is the assistant's, and is gone on with.
        """
        with self._handle as pointer:
            return _generate.chat(pointer, messages, _generate.changed(options, changes), tools,
                                  variables, continue_answer, progress)


def _options(pooling: Optional[str], max_tokens: Optional[int], query_prefix: Optional[str],
             document_prefix: Optional[str], dimension: Optional[int]) -> s.ModelOptions:
    options: s.ModelOptions = n.new(s.ModelOptions, "satchel_model_options_init")
    options.pooling = k.POOLING.value(pooling)
    options.max_tokens = max_tokens or 0
    options.dimension = dimension or 0
    options.query_prefix = n.encode_z(query_prefix, "query_prefix")
    options.document_prefix = n.encode_z(document_prefix, "document_prefix")
    return options
