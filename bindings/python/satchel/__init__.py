"""Satchel: retrieval-augmented generation over your own documents, offline.

    import satchel

    with satchel.Store("notes.satchel", embedder="all-minilm-l6-v2-q8_0.gguf") as store:
        store.add_path("notes")
        for hit in store.search("when does the lease end"):
            print(hit.document_id, hit.score, hit.snippet)
        for event in store.ask("When does the lease end?"):
            if isinstance(event, satchel.TokenEvent):
                print(event.text, end="")

Calls release Python's lock while they work, and may be made from many threads. Ctrl-C takes effect
when the call into the library that is running returns.
"""

from . import _native
from . import _structs as _s
from ._ask import Prepared, prompt_default
from ._callbacks import Embedder, Generator, Reader
from ._cluster import KMeans, KMeansInfo, KMeansProgress, kmeans, kmeans_assign
from ._context import Cancel, Context
from ._generate import GenerateDone, GenerateOptions, Generation
from ._gguf import GgufFile, GgufKey, GgufTensor, inspect
from ._model import Model
from ._store import Store
from ._stream import AnswerEvents, Events
from ._topics import Topic, TopicDocument, Topics, TopicSentence
from ._types import (Answer, CitationEvent, Document, DoneEvent, Event, FileEvent, Heading, Hit,
                     Hits, HitsEvent, ModeEvent, ModelInfo, ModelNeed, Page, Passage, Perplexity,
                     ProgressEvent, Range, RefusalEvent, Root, Slide, Stats, SyncDoneEvent,
                     SyncSummary, Time, Title, TokenEvent)
from .errors import (Busy, CallbackFailed, Cancelled, Closed, ConfirmRemovals, Damaged, DiskFull,
                     Exists, Forked, InternalError, InvalidArgument, InvalidFilter,
                     InvalidMetadata, InvalidText, IOFailed, LimitReached, Locked, MemoryLimit,
                     NoModel, NotAStore, NotFound, OutOfMemory, PermissionDenied, ReadOnly,
                     SatchelError, TooNew, Unsupported, WrongModel)

__all__ = [
    "Answer", "AnswerEvents", "Busy", "CallbackFailed", "Cancel", "Cancelled", "CitationEvent",
    "Closed", "ConfirmRemovals", "Context", "Damaged", "DiskFull", "Document", "DoneEvent",
    "Embedder", "Event", "Events", "Exists", "FileEvent", "Forked", "GenerateDone",
    "GenerateOptions", "Generation", "Generator", "GgufFile", "GgufKey", "GgufTensor", "Heading",
    "Hit", "Hits", "HitsEvent", "IOFailed", "InternalError", "InvalidArgument", "InvalidFilter",
    "InvalidMetadata", "InvalidText", "KMeans", "KMeansInfo", "KMeansProgress", "LimitReached",
    "Locked", "MemoryLimit", "ModeEvent", "Model", "ModelInfo", "ModelNeed", "NoModel",
    "NotAStore", "NotFound", "OutOfMemory", "Page", "Passage", "PermissionDenied", "Perplexity",
    "Prepared", "ProgressEvent", "Range", "ReadOnly", "Reader", "RefusalEvent", "Root",
    "SatchelError", "Slide", "Stats", "Store", "SyncDoneEvent", "SyncSummary", "Time", "Title",
    "TokenEvent", "TooNew", "Topic", "TopicDocument", "TopicSentence", "Topics", "Unsupported",
    "WrongModel", "has_feature", "inspect", "kmeans", "kmeans_assign", "library_path",
    "prompt_default", "version",
]

#: Path of the shared library in use.
library_path: str = _native.library_path


def version() -> str:
    """Version of the library in use: "0.1.0"."""
    return _s.string(_native.library.satchel_version())


def has_feature(name: str) -> bool:
    """Whether this build has a part: "encoder", "faiss", "generator", "html", "kmeans",
    "markdown", "stemmers"."""
    return bool(_native.library.satchel_has_feature(name.encode()))


__version__ = version()
if not _native.library.satchel_version_at_least(0, 1, 0):
    raise ImportError(f"{library_path} is version {__version__}; this package needs 0.1.0")
