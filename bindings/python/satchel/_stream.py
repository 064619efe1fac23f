"""Streams: events pulled one by one, as an iterator that closes itself."""

from __future__ import annotations

import ctypes
import threading
from ctypes import byref, c_void_p
from typing import Any, Callable, Generic, Iterator, List, Optional, TypeVar

from . import _constants as k
from . import _native as n
from . import _structs as s
from . import _types as t
from ._hits import Count, read_hits, read_range
from ._structs import or_none
from .errors import Busy

E = TypeVar("E")


class Events(n.Closable, Generic[E]):
    """An iterator of events. It closes its stream when it ends, fails, or is forgotten; leaving a
    loop early stops the work where it stands.

    One thread at a time may pull.
    """

    def __init__(self, pointer: c_void_p, read: "Callable[[s.Event], Optional[E]]") -> None:
        self._own(pointer, n.library.satchel_stream_close, "stream")
        self._read = read
        self._pulling = threading.Lock()
        self._over = False

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        if not self._pulling.acquire(blocking=False):
            raise Busy("another thread, or a callback of this call, is pulling from this stream")
        try:
            while not self._over:
                event = s.Event()
                with self._handle as pointer:
                    n.call(n.library.satchel_stream_next, pointer, byref(event),
                           ctypes.sizeof(event))
                    made = self._read(event)
                if event.kind == k.CONSTANTS["SATCHEL_EVENT_DONE"]:
                    self.close()
                if made is not None:
                    return made
            raise StopIteration
        except StopIteration:
            raise
        except BaseException:
            self.close()
            raise
        finally:
            self._pulling.release()

    def close(self) -> None:
        """Ends the work where it stands; what was committed stays."""
        self._over = True
        super().close()


class AnswerEvents(Events[t.Event]):
    """The events of Store.ask()."""

    def collect(self) -> t.Answer:
        """Pulls to the end and puts the answer together."""
        text: List[str] = []
        citations: List[t.CitationEvent] = []
        hits: List[t.Hit] = []
        refusal: Optional[t.RefusalEvent] = None
        mode: Any = None
        done: Any = None
        for event in self:
            if isinstance(event, t.TokenEvent):
                text.append(event.text)
            elif isinstance(event, t.CitationEvent):
                citations.append(event)
            elif isinstance(event, t.HitsEvent):
                hits = event.hits
            elif isinstance(event, t.RefusalEvent):
                refusal = event
            elif isinstance(event, t.ModeEvent):
                mode = event
            elif isinstance(event, t.DoneEvent):
                done = event
        return t.Answer("".join(text), citations, refusal, hits, mode, done)


def answer_reader(count: Count) -> "Callable[[s.Event], Optional[t.Event]]":
    """Turns C events of an answer into Python ones; None for kinds of a later version."""

    def read(event: s.Event) -> Optional[t.Event]:
        if event.mode:
            mode = event.mode.contents
            return t.ModeEvent(k.ANSWER.name(mode.mode), k.REASON.name(mode.reason),
                               k.SEARCH.name(mode.search_mode))
        if event.hits:
            hits = read_hits(event.hits, count)
            return t.HitsEvent(hits, hits.mode)
        if event.token:
            token = event.token.contents
            return t.TokenEvent(s.counted(token.text, token.length).decode("utf-8"))
        if event.citation:
            c = event.citation.contents
            return t.CitationEvent(
                answer=read_range(c.answer), document_id=s.string(c.document_id),
                title=s.string(c.title), heading=s.string(c.heading), source=read_range(c.source),
                hit=c.hit, verified=bool(c.verified), score=c.score, page=or_none(c.page, 0),
                time_ms=or_none(c.time_ms, -1), chunk=c.chunk)
        if event.refusal:
            refusal = event.refusal.contents
            return t.RefusalEvent(k.REASON.name(refusal.reason), refusal.confidence,
                                  refusal.threshold)
        if event.done:
            done = event.done.contents
            return t.DoneEvent(done.elapsed_ms, done.hits, done.sentences, done.search_ms,
                               done.answer_ms, done.confidence, or_none(done.prompt_tokens, -1),
                               or_none(done.cached_tokens, -1), or_none(done.generated_tokens, -1),
                               done.prefill_ms, done.generate_ms, k.FINISH.name(done.finish))
        if event.progress:
            return read_progress(event)
        return None

    return read


def read_progress(event: s.Event) -> t.ProgressEvent:
    p = event.progress.contents
    return t.ProgressEvent(k.PHASE.name(p.phase), p.done, or_none(p.total, -1), p.bytes_done,
                           p.bytes_total, p.elapsed_ms)


def read_sync(event: s.Event) -> Optional[t.Event]:
    """Turns C events of a sync into Python ones; None for kinds of a later version."""
    if event.progress:
        return read_progress(event)
    if event.file:
        f = event.file.contents
        return t.FileEvent(
            change=k.FILE.name(f.change), document_id=s.string(f.document_id),
            path=f.path.decode("utf-8", "surrogateescape") if f.path else "",
            status=s.string(n.library.satchel_status_name(f.status)),
            message=s.string(f.message), bytes=f.bytes, chunks=f.chunks)
    if event.done:
        d = event.done.contents
        return t.SyncDoneEvent(
            d.elapsed_ms, d.added, d.changed, d.removed, d.renamed, d.unchanged, d.failed,
            d.skipped, d.chunks, d.chunks_embedded, d.chunks_reused, d.bytes, d.read_ms,
            d.keyword_ms, d.embed_ms, d.write_ms)
    return None
