"""What calls return: plain dataclasses."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Dict, List, Optional, Tuple

Metadata = Dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Range:
    """A half-open range of a text: in bytes of its UTF-8, and in UTF-16 units beside."""

    __slots__ = ("start", "end", "start_utf16", "end_utf16")
    start: int
    end: int
    start_utf16: int
    end_utf16: int

    def __reduce__(self) -> Any:
        return Range, (self.start, self.end, self.start_utf16, self.end_utf16)


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What a model says of itself."""

    name: str
    architecture: str  #: "bert", "qwen3"; "custom" for one of the application's
    fingerprint: str  #: names what it makes
    weight_type: str  #: "F32", "F16", "Q8_0"; "" if unknown
    dimension: int
    max_tokens: int
    vocabulary_size: int  #: 0 if unknown
    parameter_count: int  #: 0 if unknown
    file_bytes: int  #: 0 if unknown
    kind: str  #: "embedder" or "generator"
    context_tokens: int  #: of a generator: room for prompt and answer
    trained_context: int  #: of a generator: tokens it was trained for; 0 if unknown
    layers: int  #: of a generator; 0 if unknown
    has_chat_template: bool  #: chat() can serve
    weight_bytes: int  #: of a generator: read for one token, from the mapped file
    memory_bytes: int  #: of a generator: held beside the file, with one context full
    kv_bytes_a_token: int  #: of that, for each token of the context


@dataclasses.dataclass(frozen=True)
class ModelNeed:
    """What opening a file would take."""

    kind: str  #: "embedder" or "generator"
    context_tokens: int  #: it would have; 0 for an embedder
    file_bytes: int
    weight_bytes: int  #: of that, read for one token; mapped: the system may drop it again
    memory_bytes: int  #: held beside the file, with one context full
    kv_bytes: int  #: of that, for keys and values


@dataclasses.dataclass(frozen=True)
class Perplexity:
    """How well a model foresees a text."""

    perplexity: float
    nll: float  #: mean of -ln p over the tokens, in nats
    bits_per_byte: float  #: of the text: comparable between vocabularies
    tokens: int  #: scored: all but the first
    elapsed_ms: int


@dataclasses.dataclass(frozen=True)
class Hit:
    """A passage that a search found.

    Offsets count in the document's text, Store.text(document_id): start and end in bytes of its
    UTF-8, start_utf16 and end_utf16 in UTF-16 units, start_char and end_char in Python's own
    characters. All but id, text and score is read when it is asked for, once: until then a hit of a
    search keeps its results open.
    """

    document_id: str
    text: str
    score: float  #: higher is better; comparable within one result only
    title: str
    heading: str  #: "Guide > Install"; "" if none
    start: int
    end: int
    start_utf16: int
    end_utf16: int
    snippet: str  #: the part to show, around the best matches
    snippet_range: Range
    matches: Tuple[Range, ...]  #: where terms of the query stand
    metadata: Metadata
    page: Optional[int]  #: 1-based page or slide
    time_ms: Optional[int]  #: place in a recording
    keyword_score: float  #: BM25; 0 if no term matches
    vector_score: Optional[float]  #: cosine; None if not scored
    chunk: int  #: names the chunk in its store
    source_start: Optional[int]  #: bytes in the source file, where known
    source_end: Optional[int]

    if TYPE_CHECKING:
        _source: ClassVar[Any]
        _index: ClassVar[int]
    else:
        # What is read when a hit is made has a slot; the last two say where the rest is read, and are
        # not set in a hit made by hand. What is read later comes into the dict, which then is made.
        __slots__ = ("document_id", "text", "score", "_source", "_index", "__dict__")

        def __getattr__(self, name: str) -> Any:
            # Only what is not set comes here.
            if name not in self.__dataclass_fields__:
                raise AttributeError(f"a hit has no {name!r}")
            self._source.fill(self, name)
            return getattr(self, name)

        def __getstate__(self) -> Dict[str, Any]:
            # A copy has all of its own.
            return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

        def __setstate__(self, state: Dict[str, Any]) -> None:
            for name, value in state.items():
                object.__setattr__(self, name, value)

    @property
    def start_char(self) -> int:
        """Offset of the passage in characters of the document's text, so that
        store.text(hit.document_id)[hit.start_char:hit.end_char] == hit.text.

        Reads the text before it from the store, unless that is plain ASCII.
        """
        source = getattr(self, "_source", None)
        if self.start == self.start_utf16 or source is None:
            return self.start_utf16
        characters: int = source.count(self.document_id, self.start)
        return characters

    @property
    def end_char(self) -> int:
        return self.start_char + len(self.text)


class Hits(List[Hit]):
    """The passages of a search, best first."""

    #: "hybrid", "keyword" or "vector": the mode that served. A hybrid search without vectors is
    #: "keyword".
    mode: str


@dataclasses.dataclass(frozen=True)
class Document:
    """A document of a store."""

    id: str
    title: str
    metadata: Metadata
    media_type: str
    text_bytes: int
    chunks: int
    chunks_embedded: int
    modified_ms: int  #: Unix time in milliseconds
    failure: Optional[str]  #: why the last sync could not read it


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a store holds."""

    documents: int
    chunks: int
    chunks_embedded: int
    chunks_pending: int
    text_bytes: int
    file_bytes: int  #: of the store, its journal and its vector index
    failures: int
    format_version: int
    has_model: bool
    dimension: int


@dataclasses.dataclass(frozen=True)
class Root:
    """A folder that was synced into a store."""

    name: str
    path: str
    documents: int


# ---------------------------------------------------------------- events


@dataclasses.dataclass(frozen=True)
class Event:
    """One event of a stream; `kind` names its class for those who prefer a string."""

    @property
    def kind(self) -> str:
        """"mode", "hits", "token", "citation", "refusal", "progress", "file" or "done"."""
        return _KINDS[type(self)]


@dataclasses.dataclass(frozen=True)
class ModeEvent(Event):
    """How the question will be answered, and why."""

    mode: str  #: "extractive" or "generated"
    reason: str  #: "no_generator", "requested", ...
    search_mode: str  #: "hybrid", "keyword" or "vector": the one that served


@dataclasses.dataclass(frozen=True)
class HitsEvent(Event):
    """The passages the answer is drawn from."""

    hits: Hits
    search_mode: str


@dataclasses.dataclass(frozen=True)
class TokenEvent(Event):
    """The next piece of the answer."""

    text: str


@dataclasses.dataclass(frozen=True)
class CitationEvent(Event):
    """What a range of the answer rests on."""

    answer: Range  #: of the answer so far
    document_id: str
    title: str
    heading: str
    source: Range  #: of the document's text
    hit: int  #: index into the hits
    verified: bool  #: the answer's range, or all quoted in it, is the source's byte for byte
    score: float
    page: Optional[int]
    time_ms: Optional[int]
    chunk: int


@dataclasses.dataclass(frozen=True)
class RefusalEvent(Event):
    """The documents do not support an answer."""

    reason: str  #: "weak_evidence", "no_evidence", "empty_store"; "declined": by the generator
    confidence: float
    threshold: float


@dataclasses.dataclass(frozen=True)
class DoneEvent(Event):
    """The last event of an answer."""

    elapsed_ms: int
    hits: int
    sentences: int
    search_ms: int
    answer_ms: int
    confidence: float
    prompt_tokens: Optional[int] = None  #: of a generator; None where it does not say
    cached_tokens: Optional[int] = None  #: of them, read earlier
    generated_tokens: Optional[int] = None
    prefill_ms: int = 0
    generate_ms: int = 0
    finish: str = "none"  #: "end", "length", "stop" or "context"


@dataclasses.dataclass(frozen=True)
class ProgressEvent(Event):
    """How far long work has come."""

    phase: str  #: "scan", "keywords", "embed"; "warm"; "prefill": reading a prompt; ...
    done: int  #: files, chunks while embedding, bytes while warming, tokens of a prompt
    total: Optional[int]  #: None: not known yet
    bytes_done: int
    bytes_total: int
    elapsed_ms: int  #: in this phase


@dataclasses.dataclass(frozen=True)
class FileEvent(Event):
    """A file was added, changed, removed or renamed, or could not be read."""

    change: str  #: "added", "changed", "removed", "renamed", "failed", "skipped"
    document_id: str
    path: str  #: "" for a removal
    status: str  #: "SATCHEL_OK", or why it failed or was skipped
    message: str
    bytes: int
    chunks: int


@dataclasses.dataclass(frozen=True)
class SyncDoneEvent(Event):
    """The last event of a sync: what it did, and where the time went."""

    elapsed_ms: int
    added: int
    changed: int
    removed: int
    renamed: int
    unchanged: int
    failed: int
    skipped: int
    chunks: int
    chunks_embedded: int
    chunks_reused: int
    bytes: int
    read_ms: int
    keyword_ms: int
    embed_ms: int
    write_ms: int


_KINDS = {ModeEvent: "mode", HitsEvent: "hits", TokenEvent: "token", CitationEvent: "citation",
          RefusalEvent: "refusal", DoneEvent: "done", ProgressEvent: "progress",
          FileEvent: "file", SyncDoneEvent: "done"}


@dataclasses.dataclass(frozen=True)
class Passage:
    """A passage as a prompt shows it."""

    number: int  #: what the model cites it by
    hit: Hit
    shown: Range  #: of the document's text


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer that was read to its end; see Events.collect()."""

    text: str
    citations: List[CitationEvent]
    refusal: Optional[RefusalEvent]  #: None: answered
    hits: List[Hit]
    mode: ModeEvent
    done: DoneEvent


@dataclasses.dataclass(frozen=True)
class SyncSummary:
    """What Store.add_path() did: the counts of the sync, and the files that could not be read."""

    done: SyncDoneEvent
    problems: List[FileEvent]

    @property
    def added(self) -> int:
        return self.done.added

    @property
    def changed(self) -> int:
        return self.done.changed

    @property
    def removed(self) -> int:
        return self.done.removed

    @property
    def renamed(self) -> int:
        return self.done.renamed

    @property
    def unchanged(self) -> int:
        return self.done.unchanged

    @property
    def failed(self) -> int:
        return self.done.failed

    @property
    def skipped(self) -> int:
        return self.done.skipped

    @property
    def chunks(self) -> int:
        return self.done.chunks

    @property
    def chunks_embedded(self) -> int:
        return self.done.chunks_embedded


# ---------------------------------------------------------------- readers


@dataclasses.dataclass(frozen=True)
class Page:
    """From here on the text lies on this page, counted from 1."""

    number: int


@dataclasses.dataclass(frozen=True)
class Slide:
    """From here on the text lies on this slide, counted from 1."""

    number: int


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading stands here; level 1 to 6."""

    level: int
    label: str


@dataclasses.dataclass(frozen=True)
class Time:
    """From here on the text is heard at this time."""

    milliseconds: int


@dataclasses.dataclass(frozen=True)
class Title:
    """The document's title, if the caller gave none."""

    text: str
