"""Topics of a store: what Store.topics() returns, and how it is read from the library."""

from __future__ import annotations

import ctypes
import dataclasses
from ctypes import byref, c_void_p
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple, overload

import numpy as np
from numpy.typing import NDArray

from . import _constants as k
from . import _native as n
from . import _structs as s
from . import _types as t
from ._hits import read_range
from ._structs import or_none


@dataclasses.dataclass(frozen=True)
class TopicDocument:
    """A document with passages in a topic."""

    id: str
    title: str
    chunks: int  #: passages in this topic
    chunks_all: int  #: passages in all topics


@dataclasses.dataclass(frozen=True)
class TopicSentence:
    """A sentence that shows what a topic is about, as it stands in its document."""

    text: str
    document_id: str
    title: str
    heading: str  #: "Guide > Install"; "" if none
    range: t.Range  #: of the document's text
    score: float  #: cosine with the topic's centroid
    page: Optional[int]
    time_ms: Optional[int]
    chunk: int


@dataclasses.dataclass(frozen=True, eq=False)
class Topic:
    """Passages about the same thing."""

    label: str  #: its most telling words: "lease, deposit, rent"
    words: Tuple[str, ...]  #: the same, one by one
    chunks: int  #: passages in it
    share: float  #: of all passages grouped
    cohesion: float  #: mean cosine of its passages with the centroid
    centroid: NDArray[np.float32]  #: float32 (dimension,), length 1
    documents: Tuple[TopicDocument, ...]  #: most passages first
    sentences: Tuple[TopicSentence, ...]  #: nearest to the centroid first


@dataclasses.dataclass(frozen=True, eq=False)
class Topics(Sequence[Topic]):
    """A list of Topic, largest first, and what it was made of."""

    topics: Tuple[Topic, ...]
    chunks: int  #: passages grouped
    pending: int  #: passages left out, because they are not embedded yet: see Store.maintain()
    documents: int
    iterations: int  #: of the clustering

    def __len__(self) -> int:
        return len(self.topics)

    def __iter__(self) -> Iterator[Topic]:
        return iter(self.topics)

    @overload
    def __getitem__(self, index: int) -> Topic: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Topic]: ...

    def __getitem__(self, index: Any) -> Any:
        return self.topics[index]


def progress_function(progress: Optional[Callable[[t.ProgressEvent], None]]) -> Any:
    """A C callback. There is always one, because Python looks at its signals inside it."""

    def report(user: Any, given: Any) -> int:
        try:
            if progress is not None:
                p = given.contents
                progress(t.ProgressEvent(k.PHASE.name(p.phase), p.done, or_none(p.total, -1),
                                         p.bytes_done, p.bytes_total, p.elapsed_ms))
            return 0
        except BaseException as raised:
            n.pending.raised = raised
            return 1

    return s.ProgressFunction(report)


def read(topics: c_void_p) -> Topics:
    """Copies a satchel_topics."""
    info = s.TopicsInfo()
    n.call(n.library.satchel_topics_get_info, topics, byref(info), ctypes.sizeof(info))
    found = tuple(_read_topic(topics, i, info.dimension)
                  for i in range(n.library.satchel_topics_count(topics)))
    return Topics(found, info.chunks, info.pending, info.documents, info.iterations)


def _read_topic(topics: c_void_p, index: int, dimension: int) -> Topic:
    topic = s.Topic()
    n.call(n.library.satchel_topics_get, topics, index, byref(topic), ctypes.sizeof(topic))
    documents: List[TopicDocument] = []
    document = s.TopicDocument()
    for i in range(topic.document_count):
        n.call(n.library.satchel_topics_get_document, topics, index, i, byref(document),
               ctypes.sizeof(document))
        documents.append(TopicDocument(s.string(document.id), s.string(document.title),
                                       document.chunks, document.chunks_all))
    sentences: List[TopicSentence] = []
    sentence = s.TopicSentence()
    for i in range(topic.sentence_count):
        n.call(n.library.satchel_topics_get_sentence, topics, index, i, byref(sentence),
               ctypes.sizeof(sentence))
        sentences.append(TopicSentence(
            text=s.counted(sentence.text, sentence.length).decode("utf-8"),
            document_id=s.string(sentence.document_id), title=s.string(sentence.title),
            heading=s.string(sentence.heading), range=read_range(sentence.range),
            score=sentence.score, page=or_none(sentence.page, 0),
            time_ms=or_none(sentence.time_ms, -1), chunk=sentence.chunk))
    return Topic(
        label=s.string(topic.label),
        words=tuple(s.string(topic.words[i]) for i in range(topic.word_count)),
        chunks=topic.chunks, share=topic.share, cohesion=topic.cohesion,
        centroid=np.ctypeslib.as_array(topic.centroid, (dimension,)).copy(),
        documents=tuple(documents), sentences=tuple(sentences))
