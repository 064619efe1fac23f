"""Looking into GGUF files."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
from ctypes import byref, c_void_p
from typing import Any, Dict, Optional, Tuple, Union

from . import _native as n
from . import _structs as s
from ._context import Context, default_context


@dataclasses.dataclass(frozen=True)
class GgufKey:
    """What a file says under a name."""

    type: str  #: "string", "u32", "array of i32"
    value: Any  #: as Python has it; of a long string or array the beginning
    count: int  #: bytes of a string, elements of an array; else 1
    cut: bool  #: value is not all of it
    part: int  #: file it is in, from 0


@dataclasses.dataclass(frozen=True)
class GgufTensor:
    """A tensor of a file."""

    name: str
    type: str  #: "Q8_0"; "?" if unknown
    type_id: int  #: as in the file
    shape: Tuple[int, ...]  #: the first runs fastest
    bytes: int  #: 0 if the type is unknown
    offset: int  #: in its file
    part: int  #: file it is in, from 0


@dataclasses.dataclass(frozen=True)
class GgufFile:
    """What is in a GGUF file."""

    version: int
    parts: int  #: files that the model is split into
    file_bytes: int  #: of all parts
    tensor_bytes: int
    parameter_count: int
    keys: Dict[str, GgufKey]  #: of a split model, the first part's where others repeat it
    tensors: Tuple[GgufTensor, ...]


def inspect(path: "Union[str, os.PathLike[str]]", *, limit: Optional[int] = None,
            context: Optional[Context] = None) -> GgufFile:
    """What is in a GGUF file, whether or not it can be opened as a model.

    Args:
        path: the file; of a model split into parts, the first.
        limit: elements of an array and bytes of a string that are read at most; None: 16 and
            1,024; -1: all.
        context: None: the shared context.
    """
    most = 0 if limit is None else ctypes.c_size_t(-1).value if limit < 0 else max(limit, 1)
    context = context or default_context()
    pointer = c_void_p()
    with context._handle as owner:
        n.call(n.library.satchel_gguf_open, byref(pointer), owner, os.fsencode(path))
    try:
        info = s.GgufInfo()
        n.call(n.library.satchel_gguf_get_info, pointer, byref(info), ctypes.sizeof(info))
        keys: Dict[str, GgufKey] = {}
        for i in range(info.key_count):
            name, key = _read_key(pointer, i, most)
            keys.setdefault(name, key)
        return GgufFile(info.version, info.parts, info.file_bytes, info.tensor_bytes,
                        info.parameter_count, keys,
                        tuple(_read_tensor(pointer, i) for i in range(info.tensor_count)))
    finally:
        n.library.satchel_gguf_close(byref(pointer))


def _read_key(pointer: c_void_p, index: int, limit: int) -> "Tuple[str, GgufKey]":
    key = s.GgufKey()
    n.call(n.library.satchel_gguf_get_key, pointer, index, limit, byref(key), ctypes.sizeof(key))
    value = json.loads(s.counted(key.value, key.value_length))
    return s.string(key.name), GgufKey(s.string(key.type), value, key.count, bool(key.cut),
                                       key.part)


def _read_tensor(pointer: c_void_p, index: int) -> GgufTensor:
    tensor = s.GgufTensor()
    n.call(n.library.satchel_gguf_get_tensor, pointer, index, byref(tensor),
           ctypes.sizeof(tensor))
    return GgufTensor(s.string(tensor.name), s.string(tensor.type), tensor.type_id,
                      tuple(tensor.shape[:tensor.rank]), tensor.bytes, tensor.offset, tensor.part)
