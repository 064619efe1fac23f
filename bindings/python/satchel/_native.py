"""The shared library: finding it, its functions, errors, and handles that close only when idle."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import importlib.util
import os
import sys
import threading
import weakref
from ctypes import POINTER, byref, c_char_p, c_float, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from pathlib import Path
from threading import get_ident
from typing import Any, Callable, List, Optional, TypeVar, overload

from . import _structs as s
from .errors import BY_STATUS, Busy, Closed, InvalidText, SatchelError

# ---------------------------------------------------------------- the library


def _file_names() -> List[str]:
    if sys.platform == "darwin":
        return ["libsatchel.dylib", "libsatchel.0.dylib"]
    return ["libsatchel.so", "libsatchel.so.0"]


def _candidates() -> "List[str]":
    """Where the library may be, best first; the first that exists is taken."""
    chosen = os.environ.get("SATCHEL_LIBRARY")
    if chosen:
        return [chosen]
    package = Path(__file__).resolve().parent
    places = [package]
    if package.parent.name == "python" and package.parent.parent.name == "bindings":
        places.append(package.parents[2] / "build")  # a checkout
    found = [str(place / name) for place in places for name in _file_names()]
    system = ctypes.util.find_library("satchel")
    return found + ([system] if system else [])


def _load() -> "tuple[ctypes.CDLL, str]":
    tried = _candidates()
    for path in tried:
        if os.sep in path and not os.path.exists(path):
            continue
        try:
            return ctypes.CDLL(path), path
        except OSError as problem:
            raise ImportError(f"cannot load the Satchel library {path}: {problem}") from None
    raise ImportError(
        "cannot find the Satchel library; run scripts/setup in a checkout, or set SATCHEL_LIBRARY "
        "to the path of libsatchel.so. Looked for: " + ", ".join(tried))


library, library_path = _load()


def extension(name: str) -> Any:
    """A compiled module of this package; None where none was built. In a checkout it lies in the build
    folder, beside the library."""
    try:
        return importlib.import_module(f"satchel.{name}")
    except ImportError:
        built = Path(library_path).parent / "bindings" / "python" / f"{name}.abi3.so"
    spec = importlib.util.spec_from_file_location(f"satchel.{name}", built)
    if spec is None or spec.loader is None or not built.is_file():
        return None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None  # of another kind of Python
    return module


_handle = c_void_p
_handle_out = POINTER(c_void_p)
_error = POINTER(s.Error)
_status = c_int32


def _declare(name: str, result: Any, *arguments: Any) -> None:
    try:
        function = getattr(library, name)
    except AttributeError:
        raise ImportError(f"{library_path} has no {name}: it is another version") from None
    function.restype = result
    function.argtypes = arguments


_declare("satchel_version", c_char_p)
_declare("satchel_version_at_least", c_int32, c_int32, c_int32, c_int32)
_declare("satchel_has_feature", c_int32, c_char_p)
_declare("satchel_status_name", c_char_p, _status)
for _options in ("context", "model", "generate", "chat", "store", "add", "sync", "list", "search",
                 "ask", "kmeans", "topics"):
    _declare(f"satchel_{_options}_options_init", None, c_void_p, c_size_t)
for _object in ("context", "cancel", "model", "store", "documents", "results", "stream",
                "topics", "gguf"):
    _declare(f"satchel_{_object}_close", None, _handle_out)

_declare("satchel_context_open", _status, _handle_out, POINTER(s.ContextOptions), _error)
_declare("satchel_context_cpu_level", c_int32, _handle)
_declare("satchel_context_cpu_name", c_char_p, _handle)
_declare("satchel_context_threads", c_int32, _handle)
_declare("satchel_context_memory", None, _handle, POINTER(c_uint64), POINTER(c_uint64))
_declare("satchel_context_clear_cache", _status, _handle, _error)
_declare("satchel_cancel_open", _status, _handle_out, _handle, _error)
_declare("satchel_cancel_fire", None, _handle)
_declare("satchel_cancel_fired", c_int32, _handle)

_declare("satchel_model_open", _status, _handle_out, _handle, c_char_p, POINTER(s.ModelOptions),
         _error)
_declare("satchel_model_open_fd", _status, _handle_out, _handle, c_int32, c_uint64, c_uint64,
         POINTER(s.ModelOptions), _error)
_declare("satchel_model_from_embedder", _status, _handle_out, _handle, POINTER(s.Embedder), _error)
_declare("satchel_model_get_info", _status, _handle, POINTER(s.ModelInfo), c_size_t, _error)
_declare("satchel_model_embed", _status, _handle, c_int32, c_void_p, c_size_t, c_void_p,
         _handle, _error)
_declare("satchel_model_tokenize", _status, _handle, c_char_p, c_size_t, POINTER(c_int32),
         c_size_t, POINTER(c_size_t), _error)
_declare("satchel_model_token", c_char_p, _handle, c_int32)
_declare("satchel_model_measure", _status, _handle, c_char_p, POINTER(s.ModelNeed), c_size_t,
         POINTER(s.ModelOptions), _error)
_declare("satchel_model_detokenize", _status, _handle, POINTER(c_int32), c_size_t, c_int32,
         c_char_p, c_size_t, POINTER(c_size_t), _error)
_declare("satchel_model_logits", _status, _handle, c_void_p, c_size_t, c_void_p, _handle, _error)
_declare("satchel_model_perplexity", _status, _handle, c_char_p, c_size_t, POINTER(s.Perplexity),
         c_size_t, s.ProgressFunction, c_void_p, _handle, _error)

_declare("satchel_model_from_generator", _status, _handle_out, _handle, POINTER(s.Generator),
         _error)
_declare("satchel_generate", _status, _handle_out, _handle, c_char_p, c_size_t,
         POINTER(s.GenerateOptions), _error)
_declare("satchel_chat", _status, _handle_out, _handle, c_char_p, c_size_t,
         POINTER(s.ChatOptions), _error)

_declare("satchel_store_open", _status, _handle_out, _handle, c_char_p, POINTER(s.StoreOptions),
         _error)
_declare("satchel_store_add_reader", _status, _handle, POINTER(s.Reader), _error)
_declare("satchel_store_add_text", _status, _handle, c_char_p, c_char_p, c_size_t,
         POINTER(s.AddOptions), _error)
_declare("satchel_store_add_bytes", _status, _handle, c_char_p, c_char_p, c_void_p, c_size_t,
         POINTER(s.AddOptions), _error)
_declare("satchel_store_add_fd", _status, _handle, c_char_p, c_char_p, c_int32, c_uint64,
         c_uint64, POINTER(s.AddOptions), _error)
_declare("satchel_store_remove", _status, _handle, c_char_p, _error)
_declare("satchel_store_sync", _status, _handle_out, _handle, c_char_p, POINTER(s.SyncOptions),
         _error)
_declare("satchel_store_get_root", _status, _handle, c_size_t, c_char_p, c_size_t, c_char_p,
         c_size_t, POINTER(c_int64), _error)
_declare("satchel_store_maintain", _status, _handle, c_int64, _handle, POINTER(c_int64), _error)
_declare("satchel_store_get_stats", _status, _handle, POINTER(s.StoreStats), c_size_t, _error)
_declare("satchel_store_verify", _status, _handle, s.ProblemFunction, c_void_p, POINTER(c_int64),
         _error)
_declare("satchel_store_backup", _status, _handle, c_char_p, _handle, _error)
_declare("satchel_store_list", _status, _handle_out, _handle, POINTER(s.ListOptions), _error)
_declare("satchel_documents_count", c_size_t, _handle)
_declare("satchel_documents_get", _status, _handle, c_size_t, POINTER(s.Document), c_size_t,
         _error)
_declare("satchel_document_text", _status, _handle, c_char_p, c_int64, c_void_p, c_size_t,
         POINTER(c_int64), _error)

_declare("satchel_search", _status, _handle_out, _handle, c_char_p, POINTER(s.SearchOptions),
         _error)
_declare("satchel_results_count", c_size_t, _handle)
_declare("satchel_results_mode", c_int32, _handle)
_declare("satchel_results_get", _status, _handle, c_size_t, POINTER(s.Hit), c_size_t, _error)
_declare("satchel_results_get_match", _status, _handle, c_size_t, c_size_t, POINTER(s.Range),
         _error)
_declare("satchel_ask", _status, _handle_out, _handle, c_char_p, POINTER(s.AskOptions), _error)
_declare("satchel_ask_prepare", _status, _handle_out, _handle, c_char_p, POINTER(s.AskOptions),
         _error)
_declare("satchel_prompt_default", c_char_p)
_declare("satchel_prepared_close", None, _handle_out)
_declare("satchel_prepared_get_info", _status, _handle, POINTER(s.PreparedInfo), c_size_t, _error)
_declare("satchel_prepared_results", c_void_p, _handle)
_declare("satchel_prepared_get_passage", _status, _handle, c_size_t, POINTER(s.Passage), c_size_t,
         _error)
_declare("satchel_prepared_resolve", _status, _handle_out, _handle, c_char_p, c_size_t, c_int32,
         _error)
_declare("satchel_stream_next", _status, _handle, POINTER(s.Event), c_size_t, _error)

_declare("satchel_kmeans_default_k", c_size_t, c_uint64)
_declare("satchel_kmeans", _status, _handle, POINTER(s.Points), c_size_t, c_void_p, c_void_p,
         POINTER(s.KMeansInfo), c_size_t, POINTER(s.KMeansOptions), _error)
_declare("satchel_kmeans_assign", _status, _handle, POINTER(s.Points), c_size_t, c_void_p,
         c_void_p, c_void_p, POINTER(s.KMeansOptions), _error)

_declare("satchel_store_topics", _status, _handle_out, _handle, POINTER(s.TopicsOptions), _error)
_declare("satchel_topics_count", c_size_t, _handle)
_declare("satchel_topics_get_info", _status, _handle, POINTER(s.TopicsInfo), c_size_t, _error)
_declare("satchel_topics_get", _status, _handle, c_size_t, POINTER(s.Topic), c_size_t, _error)
_declare("satchel_topics_get_document", _status, _handle, c_size_t, c_size_t,
         POINTER(s.TopicDocument), c_size_t, _error)
_declare("satchel_topics_get_sentence", _status, _handle, c_size_t, c_size_t,
         POINTER(s.TopicSentence), c_size_t, _error)

_declare("satchel_gguf_open", _status, _handle_out, _handle, c_char_p, _error)
_declare("satchel_gguf_get_info", _status, _handle, POINTER(s.GgufInfo), c_size_t, _error)
_declare("satchel_gguf_get_key", _status, _handle, c_size_t, c_size_t, POINTER(s.GgufKey),
         c_size_t, _error)
_declare("satchel_gguf_get_tensor", _status, _handle, c_size_t, POINTER(s.GgufTensor), c_size_t,
         _error)

# ---------------------------------------------------------------- errors

#: What a Python callback raised while this thread was inside the library: callbacks run on the
#: thread that made the call, so that the call itself can raise it again.
pending = threading.local()


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a function whose last argument is satchel_error *, and raises what it reports."""
    error = s.Error()
    pending.raised = None
    status = function(*arguments, byref(error))
    if status or pending.raised is not None:
        settle(status, error.message, error.os_code)


def settle(status: int, message: bytes, os_code: int) -> None:
    """Raises what a call has reported, or what a callback raised inside it."""
    raised: Optional[BaseException] = pending.raised
    if raised is not None:
        pending.raised = None
        if not isinstance(raised, Exception):
            raise raised  # KeyboardInterrupt and its like are no business of the library
    if status == 0:
        return
    name = s.string(library.satchel_status_name(status))
    kind = BY_STATUS.get(name, SatchelError)
    problem = kind(s.string(message), status, name, os_code)
    raise problem from raised


def new(kind: Any, init: str) -> Any:
    """An option struct, filled by the library."""
    options = kind()
    getattr(library, init)(byref(options), ctypes.sizeof(options))
    return options


def encode(text: str, what: str) -> bytes:
    """UTF-8 of a string that may hold NUL."""
    try:
        return text.encode()
    except UnicodeEncodeError as problem:
        raise InvalidText(f"{what} holds a lone surrogate at {problem.start}") from None


@overload
def encode_z(text: str, what: str) -> bytes: ...


@overload
def encode_z(text: Optional[str], what: str) -> Optional[bytes]: ...


def encode_z(text: Optional[str], what: str) -> Optional[bytes]:
    """UTF-8 of a string that the library takes NUL-terminated; None stays None."""
    if text is None:
        return None
    if "\0" in text:
        raise InvalidText(f"{what} holds a NUL character")
    return encode(text, what)


# ---------------------------------------------------------------- handles


class Handle:
    """A C handle that counts the calls inside it: close() waits for them, and calls after it fail.

    Used as `with handle as pointer:` around each call.
    """

    def __init__(self, pointer: c_void_p, close: Any, what: str) -> None:
        self._pointer: Optional[c_void_p] = pointer
        self._close = close
        self._what = what
        self._inside: List[int] = []  # thread of each call
        self._closing = False  # nobody enters any more; or else close() might wait for ever
        self._change = threading.Condition()
        self._process = os.getpid()

    # Without the lock: a call says that it is inside and then looks whether the handle is closing; close()
    # says that it is closing and then looks who is inside. Whichever comes second sees the other.
    def __enter__(self) -> c_void_p:
        self._inside.append(get_ident())
        pointer = self._pointer
        if pointer is None or self._closing:
            self.__exit__()
            raise Closed(f"the {self._what} is closed")
        return pointer

    def __exit__(self, *exception: Any) -> None:
        self._inside.remove(get_ident())
        if self._closing:
            with self._change:
                self._change.notify_all()

    @property
    def closed(self) -> bool:
        return self._closing or self._pointer is None

    def close(self) -> None:
        if os.getpid() != self._process:
            # A forked child: the threads that were inside, and may hold the lock, are not there.
            pointer, self._pointer = self._pointer, None
        else:
            with self._change:
                if get_ident() in self._inside:
                    raise Busy(f"the {self._what} cannot be closed from its own callback")
                self._closing = True
                while self._inside:
                    self._change.wait()
                pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._close(byref(pointer))


C = TypeVar("C", bound="Closable")


class Closable:
    """What all objects of the binding share: close(), `with`, and an end when forgotten."""

    _handle: Handle

    def _own(self, pointer: c_void_p, close: Any, what: str) -> None:
        self._handle = Handle(pointer, close, what)
        self._finalizer = weakref.finalize(self, Handle.close, self._handle)

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._handle.closed

    def close(self) -> None:
        """Frees what the object holds. Waits for calls on other threads; safe to repeat."""
        self._handle.close()
        self._finalizer.detach()

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
