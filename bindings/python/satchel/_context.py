"""Contexts and cancel handles."""

from __future__ import annotations

import os
import threading
from ctypes import byref, c_uint64, c_void_p
from typing import Any, Callable, List, Optional, Tuple, Union

from . import _constants as k
from . import _native as n
from . import _structs as s

LogCallback = Callable[[str, str], None]


class Context(n.Closable):
    """Threads, memory limit and log for models and stores. Most programs need none of their own:
    the first Model or Store makes one that the others share.

    Args:
        threads: threads to compute on; None: fast cores, at most 4.
        cpu_level: a ceiling such as "avx2", for tests and measurements.
        memory_limit: most bytes the library may allocate; None: no limit.
        log: called with a level ("warning") and a message.
        log_level: "error", "warning", "info" or "debug".
        log_content: True lets messages hold paths, ids and text.
        cache_dir: folder where generators save what they have read, so that another process need
            not read it again; made if missing. All in it may be deleted at any time. What a prompt
            said can be read from its files; see clear_cache(). None: nothing is saved.
        cache_limit: most bytes in it; None: 1 GiB.
        cache_free_floor: nothing is saved with less free on the volume; None: 512 MiB.
    """

    def __init__(self, *, threads: Optional[int] = None, cpu_level: Optional[str] = None,
                 memory_limit: Optional[int] = None, log: Optional[LogCallback] = None,
                 log_level: Optional[str] = None, log_content: bool = False,
                 cache_dir: "Optional[Union[str, os.PathLike[str]]]" = None,
                 cache_limit: Optional[int] = None,
                 cache_free_floor: Optional[int] = None) -> None:
        options = n.new(s.ContextOptions, "satchel_context_options_init")
        options.threads = threads or 0
        options.cpu_level = k.CPU.value(cpu_level)
        options.memory_limit = memory_limit or 0
        options.log_level = k.LOG.value(log_level)
        options.log_content = int(log_content)
        options.cache_dir = None if cache_dir is None else os.fsencode(cache_dir)
        options.cache_limit = cache_limit or 0
        options.cache_free_floor = cache_free_floor or 0
        if log is not None:
            options.log = _log_function(log)
        pointer = c_void_p()
        n.call(n.library.satchel_context_open, byref(pointer), byref(options))
        close = n.library.satchel_context_close
        if log is not None:
            _log_functions.append(options.log)
        self._own(pointer, close, "context")

    @property
    def cpu(self) -> str:
        """Name of the instruction-set level in use: "avx512"."""
        with self._handle as pointer:
            return s.string(n.library.satchel_context_cpu_name(pointer))

    @property
    def threads(self) -> int:
        with self._handle as pointer:
            return int(n.library.satchel_context_threads(pointer))

    def memory(self) -> Tuple[int, int]:
        """Bytes the library holds now, and held at most."""
        now, peak = c_uint64(), c_uint64()
        with self._handle as pointer:
            n.library.satchel_context_memory(pointer, byref(now), byref(peak))
        return now.value, peak.value

    def clear_cache(self) -> None:
        """Deletes all that generators saved in cache_dir; other files there stay. For an app that
        must forget: what a removed document said can be read from these files. Call it when no
        generator runs; a Model remembers its last run until the next one or its close."""
        with self._handle as pointer:
            n.call(n.library.satchel_context_clear_cache, pointer)


#: Kept for good: models and stores may keep a context open in C long after its Python object has
#: gone.
_log_functions: List[Any] = []


def _log_function(log: LogCallback) -> Any:
    def function(user: Optional[int], level: int, message: Optional[bytes]) -> None:
        try:
            log(k.LOG.name(level), s.string(message))
        except BaseException as raised:  # raised again by the call this thread is in
            n.pending.raised = raised
    return s.LogFunction(function)


_default: Optional[Context] = None
_default_lock = threading.Lock()


def default_context() -> Context:
    """The context that models and stores share unless they are given one."""
    global _default
    with _default_lock:
        if _default is None or _default.closed:
            _default = Context()
        return _default


def _forget_default() -> None:
    # A context does not survive fork(): the child makes its own.
    global _default, _default_lock
    _default = None
    _default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_default)


class Cancel(n.Closable):
    """Stops the calls it was given to, from any thread: they raise Cancelled. It stays fired."""

    def __init__(self, context: Optional[Context] = None) -> None:
        pointer = c_void_p()
        with (context or default_context())._handle as owner:
            n.call(n.library.satchel_cancel_open, byref(pointer), owner)
        self._own(pointer, n.library.satchel_cancel_close, "cancel handle")

    def fire(self) -> None:
        with self._handle as pointer:
            n.library.satchel_cancel_fire(pointer)

    @property
    def fired(self) -> bool:
        with self._handle as pointer:
            return bool(n.library.satchel_cancel_fired(pointer))


class cancel_pointer:
    """`with cancel_pointer(cancel) as pointer:` for an optional Cancel; NULL for None."""

    def __init__(self, cancel: Optional[Cancel]) -> None:
        self._handle = cancel._handle if cancel is not None else None

    def __enter__(self) -> Optional[c_void_p]:
        return self._handle.__enter__() if self._handle else None

    def __exit__(self, *exception: object) -> None:
        if self._handle:
            self._handle.__exit__(*exception)
