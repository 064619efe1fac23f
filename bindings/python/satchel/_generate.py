"""Text from models: options, and answers as iterators of pieces."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
from ctypes import byref, c_char_p, c_float, c_int32, c_void_p
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from . import _constants as k
from . import _native as n
from . import _structs as s
from . import _types as t
from ._context import Cancel
from ._stream import Events
from ._structs import or_none

Message = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class GenerateOptions:
    """How a model writes. The defaults are greedy: the likeliest token each time, at most 512."""

    max_tokens: Optional[int] = None  #: of the answer; None: 512; -1: as many as fit
    temperature: float = 0.0
    top_k: Optional[int] = None  #: only the k likeliest
    top_p: Optional[float] = None  #: the likeliest that together reach this share
    min_p: Optional[float] = None  #: those at least this times as likely as the likeliest
    typical_p: Optional[float] = None  #: those nearest to the entropy that reach this share
    repetition: Optional[float] = None  #: divides the weight of what was said
    frequency: float = 0.0  #: taken off for each time a token was said
    presence: float = 0.0  #: taken off once
    penalty_window: Optional[int] = None  #: tokens back that penalties see; None: 64; -1: all
    seed: int = 0
    bias: Optional[Mapping[int, float]] = None  #: added to tokens' logits; -inf: never
    stop: Union[str, Sequence[str]] = ()  #: the answer ends before the first found
    #: JSON Schema that the answer must validate against.
    schema: Union[None, str, bool, Mapping[str, Any]] = None
    grammar: Optional[str] = None  #: or a grammar in GBNF
    overflow: Optional[str] = None  #: "error" or "shift", when the context is full
    saved_kv: bool = True  #: False: neither read nor write the context's cache_dir
    cancel: Optional[Cancel] = None

    def _struct(self, trust_prompt: bool = False) -> s.GenerateOptions:
        """The struct of the library. It refers to memory of its own; hold it during the call."""
        made: s.GenerateOptions = n.new(s.GenerateOptions, "satchel_generate_options_init")
        for name in ("max_tokens", "top_k", "top_p", "min_p", "typical_p", "repetition",
                     "penalty_window"):
            setattr(made, name, getattr(self, name) or 0)
        made.temperature, made.frequency = self.temperature, self.frequency
        made.presence, made.seed = self.presence, self.seed
        made.trust_prompt = int(trust_prompt)
        if self.bias:
            count = made.bias_count = len(self.bias)
            made.bias_tokens = (c_int32 * count)(*self.bias)
            made.biases = (c_float * count)(*self.bias.values())
        stops = [self.stop] if isinstance(self.stop, str) else list(self.stop)
        if stops:
            made.stop_count = len(stops)
            made.stop = (c_char_p * len(stops))(*(n.encode_z(stop, "a stop string")
                                                 for stop in stops))
        if self.schema is not None:
            schema = self.schema if isinstance(self.schema, str) else json.dumps(self.schema)
            made.schema = n.encode_z(schema, "the schema")
        made.grammar = n.encode_z(self.grammar, "the grammar")
        made.overflow = k.OVERFLOW.value(self.overflow)
        made.no_saved_kv = int(not self.saved_kv)
        return made


def read_options(given: s.GenerateOptions) -> GenerateOptions:
    """What an application's generator is told, from the struct of the library."""
    return GenerateOptions(
        max_tokens=given.max_tokens or None, temperature=given.temperature,
        top_k=given.top_k or None, top_p=given.top_p or None, min_p=given.min_p or None,
        typical_p=given.typical_p or None, repetition=given.repetition or None,
        frequency=given.frequency, presence=given.presence,
        penalty_window=given.penalty_window or None, seed=given.seed,
        bias={given.bias_tokens[i]: given.biases[i] for i in range(given.bias_count)} or None,
        stop=tuple(s.string(given.stop[i]) for i in range(given.stop_count)),
        schema=s.string(given.schema) if given.schema else None,
        grammar=s.string(given.grammar) if given.grammar else None,
        overflow=k.OVERFLOW.name(given.overflow), saved_kv=not given.no_saved_kv)


@dataclasses.dataclass(frozen=True)
class GenerateDone:
    """How an answer went. Counts of tokens are None where the generator does not say."""

    finish: str  #: "end", "length", "stop" or "context": why it ended
    prompt_tokens: Optional[int]
    cached_tokens: Optional[int]  #: of them, computed earlier
    generated_tokens: Optional[int]
    prefill_ms: int  #: until the first token
    generate_ms: int
    elapsed_ms: int


class Generation(Events[str]):
    """An answer as it grows: an iterator of pieces of text. Leaving a loop early, close() and
    Ctrl-C end it where it stands. One thread at a time may pull."""

    #: How it went; None until the end.
    done: Optional[GenerateDone] = None

    def __init__(self, pointer: c_void_p,
                 progress: Optional[Callable[[t.ProgressEvent], None]]) -> None:
        super().__init__(pointer, self._piece)
        self._progress = progress

    def _piece(self, event: s.Event) -> Optional[str]:
        if event.token:
            token = event.token.contents
            return s.counted(token.text, token.length).decode("utf-8")
        if event.progress and self._progress is not None:
            p = event.progress.contents
            self._progress(t.ProgressEvent(k.PHASE.name(p.phase), p.done, or_none(p.total, -1),
                                           p.bytes_done, p.bytes_total, p.elapsed_ms))
        if event.done:
            d = event.done.contents
            self.done = GenerateDone(
                k.FINISH.name(d.finish), or_none(d.prompt_tokens, -1),
                or_none(d.cached_tokens, -1), or_none(d.generated_tokens, -1), d.prefill_ms,
                d.generate_ms, d.elapsed_ms)
        return None

    def text(self) -> str:
        """Pulls to the end and puts the rest together."""
        return "".join(self)


def changed(options: Optional[GenerateOptions], changes: Dict[str, Any]) -> GenerateOptions:
    return dataclasses.replace(options or GenerateOptions(), **changes)


def generate(model: c_void_p, prompt: str, trust_prompt: bool, options: GenerateOptions,
             progress: Optional[Callable[[t.ProgressEvent], None]]) -> Generation:
    data = n.encode(prompt, "the prompt")
    known = options._struct(trust_prompt)
    pointer = c_void_p()
    with _cancel(options, known):
        n.call(n.library.satchel_generate, byref(pointer), model, data, len(data), byref(known))
    return Generation(pointer, progress)


def chat(model: c_void_p, messages: "Union[str, Sequence[Message]]", options: GenerateOptions,
         tools: Optional[Sequence[Mapping[str, Any]]], variables: Optional[Mapping[str, Any]],
         continue_answer: bool,
         progress: Optional[Callable[[t.ProgressEvent], None]]) -> Generation:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    data = n.encode(json.dumps(list(messages), ensure_ascii=False), "the messages")
    known = options._struct()
    chat_options: s.ChatOptions = n.new(s.ChatOptions, "satchel_chat_options_init")
    chat_options.generate = ctypes.pointer(known)
    if tools is not None:
        chat_options.tools = json.dumps(list(tools)).encode()
    if variables is not None:
        chat_options.variables = json.dumps(dict(variables)).encode()
    chat_options.continue_answer = int(continue_answer)
    pointer = c_void_p()
    with _cancel(options, known):
        n.call(n.library.satchel_chat, byref(pointer), model, data, len(data),
               byref(chat_options))
    return Generation(pointer, progress)


class _cancel:
    """Puts the options' cancel handle into their struct for the time of the call: the library then
    holds one of its own."""

    def __init__(self, options: GenerateOptions, known: s.GenerateOptions) -> None:
        self._handle = options.cancel._handle if options.cancel is not None else None
        self._known = known

    def __enter__(self) -> None:
        if self._handle:
            self._known.cancel = self._handle.__enter__().value

    def __exit__(self, *exception: object) -> None:
        if self._handle:
            self._handle.__exit__(*exception)


def model_options(options: s.ModelOptions, context_tokens: Optional[int], kv_type: Optional[str],
                  adapters: "Sequence[Any]", chat_template: Optional[str]) -> None:
    """Fills in what generators are opened with."""
    options.context_tokens = context_tokens or 0
    options.kv_type = k.KV.value(kv_type)
    options.chat_template = n.encode_z(chat_template, "chat_template")
    if not adapters:
        return
    pairs: List[Any] = [one if isinstance(one, tuple) else (one, None) for one in adapters]
    scales = [scale for _, scale in pairs if scale is not None]
    # Without a scale the library's own counts, which it gives where no array stands.
    if scales and len(scales) != len(pairs):
        raise ValueError("give a scale to all adapters, or to none")
    count = options.adapter_count = len(pairs)
    options.adapters = (c_char_p * count)(*(os.fsencode(path) for path, _ in pairs))
    if scales:
        options.adapter_scales = (c_float * count)(*scales)
