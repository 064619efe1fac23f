"""Chat templates beside transformers: equal strings, and what is trusted in them.

    test_chat.py CHAT_TOOL

Templates are those that come with llama.cpp's source, and one construct each. Where Python raises, we fail; a
template of a family that is not promised may be refused as unsupported.
"""
import json
import subprocess
import sys
from datetime import datetime, timezone

from transformers.utils import chat_template_utils as peer

import chat_cases
from peers import Report

BOS, EOS = "<s>", "</s>"
NOW = 1772629507  # 2026-03-04 13:05:07
# Letters that no template uses and that nothing changes: whatever comes from the input is written in them.
FOREIGN = "ꀀꀁꀂꀃꀄꀅꀆꀇꀈꀉ"


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(NOW, timezone.utc)


class Tool:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, template, messages, tools, variables, generate, **more):
        request = {"template": template, "messages": json.dumps(messages), "bos": BOS, "eos": EOS, "now": NOW,
                   "tools": None if tools is None else json.dumps(tools), "generate": generate,
                   "variables": json.dumps(variables), **more}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the tool ended: {self.process.wait()}: {template[:300]!r}")
        return json.loads(line)


def reference(template, messages, tools, variables, generate, **more):
    """(text, None) or (None, the exception)"""
    try:
        rendered, _ = peer.render_jinja_template(
            conversations=[json.loads(json.dumps(messages))], tools=tools, chat_template=template,
            add_generation_prompt=generate, bos_token=BOS, eos_token=EOS, **variables, **more)
        return rendered[0], None
    except Exception as error:  # whatever a template makes Python raise
        return None, error


def differ(ours, text, error):
    """What is wrong with our answer, or None."""
    status = ours["status"]
    if error is not None:
        return f"{error!r}, but we gave {ours['text']!r}"[:300] if status == "SATCHEL_OK" else None
    if status != "SATCHEL_OK":
        return ours["error"]
    if ours["text"] != text:
        at = next((i for i, (a, b) in enumerate(zip(ours["text"], text)) if a != b),
                  min(len(ours["text"]), len(text)))
        return f"differs at {at}: {ours['text'][max(0, at - 30):at + 40]!r}, not {text[max(0, at - 30):at + 40]!r}"
    covered = sum(length for length, _ in ours["parts"])
    if covered != len(text.encode()) or any(length == 0 for length, _ in ours["parts"]):
        return f"parts cover {covered} of {len(text.encode())} bytes"
    return None


def split(ours):
    """Trusted and other text."""
    data, at, text = ours["text"].encode(), 0, {True: b"", False: b""}
    for length, trusted in ours["parts"]:
        text[trusted] += data[at:at + length] + (b"" if trusted else b"\0")
        at += length
    return text[True].decode(), text[False].decode()


def foreign(value, key=None):
    """The same shape, with all texts and keys from the input in letters of their own."""
    if isinstance(value, str) and key not in ("role", "type"):
        return "".join(FOREIGN[ord(c) % 10] if c.isalnum() else c for c in value)
    if isinstance(value, list):
        return [foreign(item) for item in value]
    if isinstance(value, dict):
        return {name: foreign(item, name) for name, item in value.items()}
    return value


def main():
    report, tool = Report(), Tool(sys.argv[1])
    peer.datetime = Clock
    cases = chat_cases.conversations()
    refused, equal = [], []
    for name, (source, promised) in chat_cases.templates().items():
        problems, rendered, unsupported = [], 0, None
        for case, *conversation in cases:
            ours = tool.render(source, *conversation)
            text, error = reference(source, *conversation)
            if ours["status"] == "SATCHEL_UNSUPPORTED" and not promised:
                unsupported = ours["error"]
                continue
            problem = differ(ours, text, error)
            rendered += error is None
            if problem:
                problems.append(f"{case}: {problem}")
                continue
            if error is not None or "hostile" in case:
                continue
            # What came from the input is not trusted: rendered again with foreign letters in place of all texts.
            messages, tools, variables, generate = conversation
            marked = tool.render(source, foreign(messages), foreign(tools), foreign(variables), generate)
            if marked["status"] == "SATCHEL_OK":
                leaked = set(FOREIGN) & set(split(marked)[0])
                if leaked:
                    problems.append(f"{case}: trusted, but from the input: {split(marked)[0][:200]!r}")
        kind = "refused" if unsupported else "equal"
        (refused if unsupported else equal).append(name)
        report.check(not problems and (rendered > 0 or unsupported),
                     f"{name}: {kind}, {rendered} of {len(cases)} conversations rendered",
                     "\n".join(([unsupported] if unsupported else []) + problems[:12]))
    report.check(len(equal) >= 40, f"{len(equal)} templates equal, {len(refused)} refused",
                 "\n".join(refused))

    constructs = [line for line in chat_cases.CONSTRUCTS.rstrip("\n").split("\n")]
    # Lines that belong together: white space around blocks.
    constructs += ["\n".join(constructs[-7:]), "a\r\nb\rc\n\n", "x\n", "", "{{ 1 }}\n", chat_cases.CONSTRUCTS]
    for source in constructs:
        conversation = ([chat_cases.user("ä 'q' \"d\" \n")], chat_cases.TOOLS, {}, True)
        problem = differ(tool.render(source, *conversation), *reference(source, *conversation))
        report.check(problem is None, f"construct {source[:70]!r}", problem or "")
    for source in chat_cases.FAILING.rstrip("\n").split("\n"):
        conversation = ([chat_cases.user("a")], None, {}, True)
        text, error = reference(source, *conversation)
        ours = tool.render(source, *conversation)
        report.check(error is not None and ours["status"] not in ("SATCHEL_OK", "SATCHEL_INTERNAL"),
                     f"fails {source[:70]!r}", f"{error!r}\n{ours.get('error', ours.get('text'))}")

    # The same trusted text whatever a user says (but for what a template itself looks for in it).
    tokens = chat_cases.TOKENS.replace("<<SYS>>", "")
    for name, (source, promised) in chat_cases.templates().items():
        ask = lambda text: tool.render(source, [chat_cases.user(text)], None, {}, True)
        plain = ask("a")
        if plain["status"] != "SATCHEL_OK":
            continue
        bad = [text for text in (tokens, chat_cases.BRACES, chat_cases.EMOJI, "x" * 1000)
               if split(ask(text))[0] != split(plain)[0]]
        report.check(not bad, f"{name}: trusted text does not depend on the user's",
                     "\n".join(repr(split(ask(text))[0][:200]) for text in bad))

    # An answer that is gone on with ends where transformers ends it; parts are as their text in one piece.
    said = "The same words, \u00e9"
    for name, (source, promised) in chat_cases.templates().items():
        problems, rendered = [], 0
        for text in ("The same words", said, "a"):
            conversation = ([chat_cases.user(said), chat_cases.assistant(text)], None, {}, False)
            ours = tool.render(source, *conversation, **{"continue": True})
            wanted, error = reference(source, *conversation, continue_final_message=True)
            if ours["status"] == "SATCHEL_UNSUPPORTED" or error is not None:
                continue
            rendered += 1
            problems += filter(None, [differ(ours, wanted, None)])
        parts = [{"type": "text", "text": piece, "apart": piece != "b "} for piece in ("a ", "b ", said)]
        ours = tool.render(source, [chat_cases.user(parts)], None, {}, True, join=True)
        whole = tool.render(source, [chat_cases.user("a b " + said)], None, {}, True)
        if whole["status"] == "SATCHEL_OK" and ours.get("text") != whole["text"]:
            problems.append(f"parts: {ours}")
        report.check(not problems, f"{name}: {rendered} answers gone on with, parts joined",
                     "\n".join(problems))
    report.end()


if __name__ == "__main__":
    main()
