"""Asking: options of answers, and the split form for a model that the application runs itself."""

from __future__ import annotations

import contextlib
import ctypes
import json
from ctypes import byref, c_void_p
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional, Sequence, Union

from . import _constants as k
from . import _native as n
from . import _hits
from . import _stream
from . import _structs as s
from . import _types as t
from ._context import Cancel, cancel_pointer
from ._model import Model

if TYPE_CHECKING:
    from ._generate import GenerateOptions

Message = Mapping[str, Any]
History = Union[None, str, Sequence[Message]]
Prompt = Union[None, str, Mapping[str, str]]


def _as_json(given: Any, what: str) -> Optional[bytes]:
    if given is None or isinstance(given, str):
        return n.encode_z(given, what)
    return n.encode_z(json.dumps(given if isinstance(given, Mapping) else list(given)), what)


@contextlib.contextmanager
def language(options: s.AskOptions, generator: Optional[Model], history: History, prompt: Prompt,
             context_tokens: Optional[int],
             generate: "Optional[GenerateOptions]") -> Iterator[None]:
    """Fills in what asking with a language model takes; the model is held meanwhile."""
    options.history = _as_json(history, "the history")
    options.prompt = _as_json(prompt, "the prompt")
    options.context_tokens = context_tokens or 0
    with contextlib.ExitStack() as held:
        if generate is not None:
            known = generate._struct()
            if generate.cancel is not None:
                known.cancel = held.enter_context(generate.cancel._handle).value
            options.generate = ctypes.pointer(known)
        if generator is not None:
            options.generator = held.enter_context(generator._handle).value
        yield


def prompt_default() -> str:
    """The prompt used where ask() and prepare() are given none: JSON, see docs/prompts.md."""
    return s.string(n.library.satchel_prompt_default())


class Prepared(n.Closable):
    """A question made ready for a model that you run yourself: Store.prepare().

    One thread at a time may use it.
    """

    #: What to give the model: a list of dicts with "role" and "content".
    messages: List[Message]
    #: What the messages show, in the order in which they number it, from 1.
    passages: List[t.Passage]
    #: All passages found, also those that did not fit.
    hits: List[t.Hit]
    prompt_tokens: int  #: counted or estimated
    refused: Optional[str]  #: why ask() would refuse: "weak_evidence" and so on; None: it would not
    confidence: float  #: 0 to 1
    search_mode: str

    def __init__(self, pointer: c_void_p, count: Callable[[str, int], int]) -> None:
        self._own(pointer, n.library.satchel_prepared_close, "prepared")
        self._count = count
        info, passage = s.PreparedInfo(), s.Passage()
        with self._handle as held:
            n.call(n.library.satchel_prepared_get_info, held, byref(info), ctypes.sizeof(info))
            self.messages = json.loads(s.counted(info.messages, info.messages_length))
            self.hits = _hits.read_hits(n.library.satchel_prepared_results(held), count)
            self.passages = []
            for number in range(1, info.passages + 1):
                n.call(n.library.satchel_prepared_get_passage, held, number, byref(passage),
                       ctypes.sizeof(passage))
                self.passages.append(t.Passage(number, self.hits[passage.hit],
                                               _hits.read_range(passage.range)))
        self.prompt_tokens = info.prompt_tokens
        self.refused = k.REASON.name(info.refused) if info.refused else None
        self.confidence = info.confidence
        self.search_mode = k.SEARCH.name(info.search_mode)

    def resolve(self, text: str, final: bool = True) -> _stream.AnswerEvents:
        """The events of the model's answer: give all of the text so far each time, and `final` with
        the last. What was told before is not told again; .collect() puts together what is new."""
        data = n.encode(text, "the text")
        stream = c_void_p()
        with self._handle as held:
            n.call(n.library.satchel_prepared_resolve, byref(stream), held, data, len(data),
                   int(final))
        return _stream.AnswerEvents(stream, _stream.answer_reader(self._count))


def prepare(store: c_void_p, question: str, options: s.AskOptions, cancel: Optional[Cancel],
            count: Callable[[str, int], int]) -> Prepared:
    pointer = c_void_p()
    with cancel_pointer(cancel) as stop:
        options.cancel = stop.value if stop else None
        n.call(n.library.satchel_ask_prepare, byref(pointer), store,
               n.encode_z(question, "the question"), byref(options))
    return Prepared(pointer, count)
