"""Models: text to vectors."""

from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_int32, c_size_t, c_void_p
from typing import Any, Iterable, List, Optional, Union

import numpy as np

from . import _callbacks
from . import _constants as k
from . import _native as n
from . import _structs as s
from ._context import Cancel, Context, cancel_pointer, default_context
from ._types import ModelInfo

#: Texts given to the library at once: between two calls Ctrl-C gets its turn.
_BATCH = 512


class Model(n.Closable):
    """A text encoder from a GGUF file.

    Args:
        path: the GGUF file: BERT family, weights F32, F16 or Q8_0.
        pooling: "mean" or "cls"; None: as the file says.
        max_tokens: longest text read; None: as the file says.
        query_prefix, document_prefix: put before texts; None: as the file says.
        context: threads and limits; None: the shared context.
    """

    def __init__(self, path: "Union[str, os.PathLike[str]]", *, pooling: Optional[str] = None,
                 max_tokens: Optional[int] = None, query_prefix: Optional[str] = None,
                 document_prefix: Optional[str] = None, context: Optional[Context] = None) -> None:
        options = _options(pooling, max_tokens, query_prefix, document_prefix)
        pointer = c_void_p()
        context = context or default_context()
        with context._handle as owner:
            n.call(n.library.satchel_model_open, byref(pointer), owner, os.fsencode(path),
                   byref(options))
        self._take(pointer, context)

    def _take(self, pointer: c_void_p, context: Context) -> None:
        self._context = context
        self._own(pointer, n.library.satchel_model_close, "model")
        self._info = self._read_info()

    @classmethod
    def from_fd(cls, fd: int, offset: int = 0, length: int = 0, *, pooling: Optional[str] = None,
                max_tokens: Optional[int] = None, query_prefix: Optional[str] = None,
                document_prefix: Optional[str] = None,
                context: Optional[Context] = None) -> "Model":
        """Opens `length` bytes at `offset` (0: to the end) of an open file; the descriptor stays
        yours."""
        options = _options(pooling, max_tokens, query_prefix, document_prefix)
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

    # ------------------------------------------------------------ what it is

    def _read_info(self) -> ModelInfo:
        info = s.ModelInfo()
        with self._handle as pointer:
            n.call(n.library.satchel_model_get_info, pointer, byref(info), ctypes.sizeof(info))
            return ModelInfo(s.string(info.name), s.string(info.architecture),
                             s.string(info.fingerprint), s.string(info.weight_type),
                             info.dimension, info.max_tokens, info.vocabulary_size,
                             info.parameter_count, info.file_bytes)

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def dimension(self) -> int:
        """Length of its vectors."""
        return self._info.dimension

    @property
    def max_tokens(self) -> int:
        """Longest text it reads, in tokens, special ones included."""
        return self._info.max_tokens

    def __repr__(self) -> str:
        return (f"<satchel.Model {self._info.name!r} {self._info.weight_type} "
                f"dimension={self._info.dimension}>")

    # ------------------------------------------------------------ what it does

    def embed(self, texts: "Union[str, Iterable[str]]", *, role: Optional[str] = None,
              out: Optional[np.ndarray] = None, cancel: Optional[Cancel] = None) -> np.ndarray:
        """Vectors of length 1: float32, shape (n, dimension), or (dimension,) for one string.

        Args:
            texts: a list of strings, or one string.
            role: "document" (default) or "query": which prefix the model puts first.
            out: a C-contiguous float32 array of shape (n, dimension) to write to.
            cancel: fire it from another thread to stop.
        """
        if isinstance(texts, str):
            one: np.ndarray = self.embed([texts], role=role, out=out, cancel=cancel)[0]
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
        """Token ids of a text, special tokens included, without truncation."""
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


def _options(pooling: Optional[str], max_tokens: Optional[int], query_prefix: Optional[str],
             document_prefix: Optional[str]) -> s.ModelOptions:
    options: s.ModelOptions = n.new(s.ModelOptions, "satchel_model_options_init")
    options.pooling = k.POOLING.value(pooling)
    options.max_tokens = max_tokens or 0
    options.query_prefix = n.encode_z(query_prefix, "query_prefix")
    options.document_prefix = n.encode_z(document_prefix, "document_prefix")
    return options
