#!/usr/bin/env python3
"""Runs the scenarios of scenarios.json through the Python binding; see README.md. Prints TAP.

    conformance.py SCENARIOS

SATCHEL_LIBRARY is the library to load.
"""
import contextlib
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bindings" / "python"))
import satchel  # noqa: E402

DIMENSION = 32


class Embedder:
    id = "conformance"
    dimension = DIMENSION
    max_tokens = 64

    def count_tokens(self, text):
        return -(-len(text.encode()) // 4) + 2

    def embed(self, texts):
        rows = []
        for text in texts:
            counts, before = [0.0] * DIMENSION, 0
            for byte in text.encode():
                counts[(7 * byte + 3 * before) % DIMENSION] += 1
                before = byte
            if not text:
                counts[0] = 1.0
            length = math.sqrt(sum(value * value for value in counts))
            rows.append([value / length for value in counts])
        return np.array(rows, np.float64).astype(np.float32)


class ScriptFailed(Exception):
    """What the script raises: the binding hands it on in place of CALLBACK."""


class Script:
    id = "script"
    context_tokens = 2048

    def __init__(self, pieces):
        self.pieces = pieces

    def count_tokens(self, text):
        return -(-len(text.encode()) // 4)

    def generate(self, messages):
        for piece in self.pieces:
            if piece is None:
                raise ScriptFailed
            yield piece


def span(given):
    return [given.start, given.end, given.start_utf16, given.end_utf16]


def data_of(step):
    return bytes.fromhex(step["hex"]) if "hex" in step else step["text"].encode()


class Run:
    """A scenario's folder, context and store; one method a step."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.context = satchel.Context(threads=1)
        self.store = None
        self.prepared = None

    def end(self):
        if self.prepared is not None:
            self.prepared.close()
        if self.store is not None:
            self.store.close()
        self.context.close()

    def step(self, step):
        arguments = {key: value for key, value in step.items() if key not in ("do", "expect")}
        try:
            return getattr(self, step["do"])(**arguments) or {}
        except satchel.SatchelError as error:
            return {"error": error.status.replace("SATCHEL_", "")}

    # ------------------------------------------------------------ files

    def write(self, name, **data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data_of(data))

    def damage(self, name, offset, hex):
        with open(self.folder / name, "r+b") as file:
            file.seek(offset)
            file.write(bytes.fromhex(hex))

    def delete(self, name):
        (self.folder / name).unlink()

    # ------------------------------------------------------------ store

    def open(self, path, embedder=False, **options):
        self.store = satchel.Store(self.folder / path, Embedder() if embedder else None,
                                   context=self.context, **options)

    def close(self):
        self.store.close()

    def add_text(self, id, text, **options):
        self.store.add_text(id, text, **options)

    def add_bytes(self, id, media_type=None, **data):
        self.store.add_bytes(id, data_of(data), media_type)

    def remove(self, id):
        self.store.remove(id)

    def text(self, id):
        return {"text": self.store.text(id)}

    def list(self, filter=None):
        return {"documents": [{"id": d.id, "title": d.title, "media_type": d.media_type,
                               "text_bytes": d.text_bytes, "chunks": d.chunks}
                              for d in self.store.documents(filter)]}

    def stats(self):
        stats = self.store.stats()
        return {name: getattr(stats, name)
                for name in ("documents", "chunks", "chunks_embedded", "chunks_pending")}

    def verify(self):
        return {"problems": len(self.store.verify())}

    def backup(self, to):
        self.store.backup(self.folder / to)

    # ------------------------------------------------------------ search and answers

    def search(self, query, **options):
        hits = self.store.search(query, **options)
        return {"mode": hits.mode,
                "hits": [{"id": hit.document_id, "title": hit.title, "heading": hit.heading,
                          "range": span(hit), "snippet": span(hit.snippet_range), "text": hit.text,
                          "page": hit.page or 0, "matches": [span(at) for at in hit.matches]}
                         for hit in hits]}

    def events(self, stream, cancel, after):
        events, out = [], {}
        try:
            for event in stream:
                told = told_of(event)
                if told:
                    events.append(told)
                    if len(events) == after:
                        cancel.fire()
        except satchel.SatchelError as error:
            out["error"] = error.status.replace("SATCHEL_", "")
        except ScriptFailed:
            out["error"] = "CALLBACK"
        return {**out, "events": events}

    def ask(self, question, threshold=None, cancel_after=0, pieces=None, **options):
        cancel = satchel.Cancel(self.context)
        with contextlib.ExitStack() as until_told:
            if pieces is not None:
                options["generator"] = until_told.enter_context(
                    satchel.Model.from_generator(Script(pieces), context=self.context))
            stream = self.store.ask(question, refusal_threshold=threshold, cancel=cancel,
                                    **options)
            return self.events(stream, cancel, cancel_after)

    def prepare(self, question, threshold=None, **options):
        if self.prepared is not None:
            self.prepared.close()
        self.prepared = self.store.prepare(question, refusal_threshold=threshold, **options)
        return {"passages": len(self.prepared.passages), "refused": self.prepared.refused or "none"}

    def resolve(self, text, final=False):
        return self.events(self.prepared.resolve(text, final), None, 0)

    def sync(self, folder, root, **options):
        out = {"files": []}
        try:
            for event in self.store.sync(self.folder / folder, root, **options):
                if event.kind == "file":
                    out["files"].append([event.document_id, event.change,
                                         event.status.replace("SATCHEL_", "")])
                elif event.kind == "done":
                    out["done"] = [event.added, event.changed, event.removed, event.renamed,
                                   event.unchanged, event.failed, event.skipped]
        except satchel.SatchelError as error:
            out["error"] = error.status.replace("SATCHEL_", "")
        return out

    # ------------------------------------------------------------ models and clusters

    def open_model(self, path):
        satchel.Model(self.folder / path, context=self.context).close()

    def kmeans(self, points, k, initial=None, iterations=None):
        given = {} if initial is None else {"init": np.array(initial, np.float32)}
        made = satchel.kmeans(np.array(points, np.float32), k, iterations=iterations,
                              context=self.context, **given)
        return {"labels": made.labels.tolist(), "iterations": made.iterations, "stop": made.stop}


def told_of(event):
    if event.kind == "mode":
        return ["mode", event.mode, event.reason, event.search_mode]
    if event.kind == "hits":
        return ["hits", len(event.hits)]
    if event.kind == "token":
        return ["token", event.text]
    if event.kind == "citation":
        return ["citation", event.document_id, event.hit, span(event.answer), span(event.source),
                event.verified]
    if event.kind == "refusal":
        return ["refusal", event.reason]
    if event.kind == "done":
        return ["done", event.hits, event.sentences]
    return None


def matches(expected, got):
    """Whether `got` has all that `expected` names."""
    if isinstance(expected, dict):
        return isinstance(got, dict) and all(key in got and matches(value, got[key])
                                             for key, value in expected.items())
    if isinstance(expected, list):
        return (isinstance(got, list) and len(got) == len(expected)
                and all(map(matches, expected, got)))
    return type(expected) is type(got) and expected == got


def run(scenario):
    folder = tempfile.mkdtemp(prefix="satchel-conformance-")
    it = Run(folder)
    try:
        for number, step in enumerate(scenario["steps"], 1):
            got = it.step(step)
            expected = step.get("expect")
            if not (matches(expected, got) if expected is not None else "error" not in got):
                print(f"# step {number}, {step['do']}\n#   expected: {json.dumps(expected)}\n"
                      f"#   got: {json.dumps(got)}")
                return False
        return True
    finally:
        it.end()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        scenarios = json.load(file)["scenarios"]
    print(f"1..{len(scenarios)}")
    failed = 0
    for number, scenario in enumerate(scenarios, 1):
        right = run(scenario)
        failed += not right
        print(f"{'' if right else 'not '}ok {number} - {scenario['name']}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
