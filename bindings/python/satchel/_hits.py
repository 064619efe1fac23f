"""Hits read from the library: id, text and score at once, the rest when it is asked for.

Every search is followed by many small reads. They are compiled in satchel._fast (bindings/python/fast.c) where
that was built, and go through ctypes where it was not; what comes out is the same.
"""

from __future__ import annotations

import ctypes
import os
import struct
from ctypes import byref, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple

from . import _constants as k
from . import _native as n
from . import _structs as s
from . import _types as t
from ._context import Cancel, cancel_pointer

Count = Callable[[str, int], int]

# Hits and ranges are frozen once they are made.
_set = object.__setattr__


def read_range(given: s.Range) -> t.Range:
    return t.Range(given.start, given.end, given.start_utf16, given.end_utf16)


# ---------------------------------------------------------------- through ctypes

# Giving up the interpreter's lock for such small calls, and having arguments converted, takes longer than
# the calls. Arguments must be of ctypes.
_quick = ctypes.PyDLL(None, handle=n.library._handle)
_get = _quick.satchel_results_get
_get_match = _quick.satchel_results_get_match
_get.restype = _get_match.restype = ctypes.c_int32

_HIT = struct.Struct("@PPPPN4q4qNqfffiPqqq")


def _string_at(address: Optional[int]) -> str:
    return s.string(ctypes.string_at(address)) if address else ""


class _PureResults:
    """A satchel_results, closed with this object if it owns it. What satchel._fast.OpenResults is."""

    __slots__ = ("_pointer", "_owned")

    def _take(self, address: Optional[int], owned: bool) -> None:
        self._pointer, self._owned = c_void_p(address), owned

    def __del__(self, close: Any = n.library.satchel_results_close, at: Any = byref) -> None:
        if self._owned:
            close(at(self._pointer))

    @property
    def mode(self) -> int:
        mode: int = n.library.satchel_results_mode(self._pointer)
        return mode

    def _unpack(self, index: int) -> Tuple[Any, ...]:
        hit = ctypes.create_string_buffer(_HIT.size)
        if _get(self._pointer, c_size_t(index), hit, c_size_t(_HIT.size), None):
            raise IndexError(f"there is no hit {index}")
        return _HIT.unpack(hit)

    def hits(self, kind: Any) -> List[Any]:
        """A list of new objects: with document_id, score and text, and where to read the rest."""
        made = []
        for index in range(n.library.satchel_results_count(self._pointer)):
            values = self._unpack(index)
            hit = kind.__new__(kind)
            _set(hit, "_source", self)
            _set(hit, "_index", index)
            _set(hit, "document_id", _string_at(values[0]))
            _set(hit, "score", values[15])
            _set(hit, "text", s.counted(values[3], values[4]).decode("utf-8"))
            made.append(hit)
        return made

    def read(self, index: int) -> Tuple[Any, ...]:
        """What hits() left out, as the library has it."""
        (_, title, heading, _, _, *places, _, chunk, _, keyword, vector, page, metadata, time_ms,
         source_start, source_end) = self._unpack(index)
        return (_string_at(title), _string_at(heading), *places, chunk, keyword, vector, page,
                _string_at(metadata), time_ms, source_start, source_end)

    def matches(self, index: int, kind: Any) -> Tuple[Any, ...]:
        """A tuple of new objects, made as ranges are."""
        at, place, found = c_size_t(index), s.Range(), []
        for number in range(self._unpack(index)[13]):
            _get_match(self._pointer, at, c_size_t(number), byref(place), None)
            found.append(kind(place.start, place.end, place.start_utf16, place.end_utf16))
        return tuple(found)


_fast: Any = None if os.environ.get("SATCHEL_PURE_PYTHON") else n.extension("_fast")
if TYPE_CHECKING or _fast is None:
    OpenResults = _PureResults
else:
    OpenResults = _fast.OpenResults

# ---------------------------------------------------------------- hits


class Results(OpenResults):
    """Open results that fill in their hits; `count` counts characters of a document."""

    __slots__ = ("count",)
    count: Count

    def fill(self, hit: t.Hit, name: str) -> None:
        """Sets a field that is not set: the matches, which are many, or all the others."""
        if name == "matches":
            _set(hit, name, self.matches(hit._index, t.Range))
            return
        (title, heading, start, end, start_utf16, end_utf16, snip, snip_end, snip_utf16,
         snip_end_utf16, chunk, keyword, vector, page, metadata, time_ms, source_start,
         source_end) = self.read(hit._index)
        hit.__dict__.update(
            title=title, heading=heading, start=start, end=end, start_utf16=start_utf16,
            end_utf16=end_utf16, chunk=chunk, keyword_score=keyword,
            snippet=hit.text.encode()[snip - start:snip_end - start].decode(),
            snippet_range=t.Range(snip, snip_end, snip_utf16, snip_end_utf16),
            vector_score=vector if vector == vector else None,  # NaN: not scored
            page=page or None, metadata=s.metadata(metadata), time_ms=s.or_none(time_ms, -1),
            source_start=s.or_none(source_start, -1), source_end=s.or_none(source_end, -1))


def _search(store: Optional[int], query: bytes, mode: int, limit: int, filter: Optional[bytes],
            cancel: Optional[int]) -> Any:
    """The Results; or status, message and system's error number of a failure."""
    options = n.new(s.SearchOptions, "satchel_search_options_init")
    options.mode, options.filter, options.cancel = mode, filter, cancel
    options.k = max(-2 ** 31, min(limit, 2 ** 31 - 1))  # too large is too large
    pointer, error = c_void_p(), s.Error()
    status = n.library.satchel_search(byref(pointer), store, query, byref(options), byref(error))
    if status:
        return status, error.message, error.os_code
    results = Results()
    results._take(pointer.value, True)
    return results


def _borrowed(address: int) -> Results:
    """Results that something else closes."""
    results = Results()
    results._take(address, False)
    return results


if _fast is not None:
    _fast.bind({name: ctypes.cast(getattr(n.library, name), c_void_p).value
                for name in ("satchel_search_options_init", "satchel_search",
                             "satchel_results_count", "satchel_results_mode",
                             "satchel_results_get", "satchel_results_get_match",
                             "satchel_results_close")}, Results)
    _search, _borrowed = _fast.search, _fast.borrowed


def _made(results: Results, count: Count) -> t.Hits:
    results.count = count
    hits = t.Hits(results.hits(t.Hit))
    hits.mode = k.SEARCH.name(results.mode)
    return hits


def search(handle: n.Handle, query: bytes, mode: int, limit: int, filter: Optional[bytes],
           cancel: Optional[Cancel], count: Count) -> t.Hits:
    """The hits of satchel_search()."""
    n.pending.raised = None
    with handle as store:
        if cancel is None:
            found = _search(store.value, query, mode, limit, filter, 0)
        else:
            with cancel_pointer(cancel) as stop:
                found = _search(store.value, query, mode, limit, filter, stop.value if stop else 0)
    failed = type(found) is tuple
    if failed or n.pending.raised is not None:
        n.settle(*(found if failed else (0, b"", 0)))
    return _made(found, count)


def read_hits(address: int, count: Count) -> t.Hits:
    """The hits of results that something else keeps open and may close: all is read now."""
    results = _borrowed(address)
    hits = _made(results, count)
    for hit in hits:
        results.fill(hit, "matches")
        results.fill(hit, "title")
    return hits
