"""Constrained output: random tokens under the mask always give what the `jsonschema` package accepts, and GBNF
takes what llama.cpp's own grammar takes.

    test_schema.py GRAMMAR_TOOL
"""
import json
import os
import random
import struct
import subprocess
import sys

from peers import Report
from schemas import REFUSED, SCHEMAS
from vocabularies import MODELS, vocabulary

COUNT = int(os.environ.get("SATCHEL_ANSWERS", "10"))


def run(program, arguments, blocks):
    data = b"".join(struct.pack("=I", len(block)) + block for block in blocks)
    out = subprocess.run([program, *map(str, arguments)], input=data, stdout=subprocess.PIPE,
                         check=True).stdout
    found, at = [], 0
    while at < len(out):
        length = struct.unpack_from("=I", out, at)[0]
        found.append(out[at + 4:at + 4 + length])
        at += 4 + length
    return found


def answers_validate(report, program, name, path, budget):
    import jsonschema

    texts = [json.dumps(schema, ensure_ascii=False).encode() for schema in SCHEMAS]
    found = run(program, ["sample", "schema", path, COUNT, budget, 1], texts)
    wrong, different = [], set()
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    at = 0
    for schema in SCHEMAS:
        message = found[at].decode()
        at += 1
        if message:
            wrong.append(f"{json.dumps(schema)[:80]}: {message}")
            continue
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        for answer in found[at:at + COUNT]:
            different.add(answer)
            try:
                validator.validate(json.loads(answer.decode()))
            except (ValueError, jsonschema.ValidationError) as problem:
                wrong.append(f"{json.dumps(schema)[:80]}: {answer[:120]!r}: {str(problem)[:120]}")
        at += COUNT
    report.check(not wrong and len(different) > COUNT * len(SCHEMAS) // 2,
                 f"{name}, {budget} tokens: {len(SCHEMAS)} schemas, {COUNT} random answers to each: "
                 "all validate", "\n".join(wrong[:5]) + f"\n{len(different)} different answers")


def refused(report, program):
    for pointer, schema in REFUSED.items():
        message = run(program, ["sample", "schema", "bytes", 1, 1, 1],
                      [json.dumps(schema).encode()])[0].decode()
        report.check(f"#{pointer}:" in message, f"{pointer} is refused by name", message)


class LlamaGrammar:
    """llama.cpp's grammar sampler over single bytes: the SPM vocabulary has a token for each."""

    def __init__(self, path):
        import ctypes

        import llama_cpp

        self.api, self.ctypes = llama_cpp, ctypes
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        options = llama_cpp.llama_model_default_params()
        options.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.end = llama_cpp.llama_vocab_eos(self.vocab)

    def allows(self, sampler, token):
        api = self.api
        data = (api.llama_token_data * 1)(api.llama_token_data(id=token, logit=1.0, p=0.0))
        array = api.llama_token_data_array(data=data, size=1, selected=-1, sorted=False)
        api.llama_sampler_apply(sampler, self.ctypes.byref(array))
        return data[0].logit > 0

    def match(self, grammar, texts):
        """Per text "1", "p" or "0", as grammar_tool says."""
        api, out = self.api, []
        for text in texts:
            sampler = api.llama_sampler_init_grammar(self.vocab, grammar.encode(), b"root")
            if not sampler:
                return None
            taken = True
            for byte in text:
                token = byte + 3  # <0x00> follows <unk>, <s>, </s>
                taken = self.allows(sampler, token)
                if not taken:
                    break
                api.llama_sampler_accept(sampler, token)
            out.append("0" if not taken else "1" if self.allows(sampler, self.end) else "p")
            api.llama_sampler_free(sampler)
        return out


OWN = {
    "repetitions": r'root ::= "a"{2} "b"{1,3} "c"{2,} ("d" | "e"?){0,2} "f"+',
    "classes": r'root ::= [^\n"x-z] [\x41-\x43\]\[] [\u00e9\U0001F600-\U0001F64F]? "\x42"',
    "recursion": 'root ::= value\nvalue ::= "(" (value ("," value)*)? ")" | [0-9]+ # numbers\n',
    "lines": 'root ::= (\n  "a" # one\n  | "b"\n) |\n  other\nother ::= "c" .',
    "empty": 'root ::= "" | "a" root',
}


def mutated(rng, text):
    text = bytearray(text)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(3)
        if kind == 0:
            text[at:at] = bytes([rng.choice(b'abcdef()[]{}",:0123456789 \n\\xe+-.')])
        elif kind == 1 and text:
            del text[at - 1:at]
        elif text:
            text[at - 1:at] = bytes([rng.choice(b'abcdef()[]{}",: 0123456789\n+-.')])
    return bytes(text)


def beside_llama(report, program):
    peer, rng = LlamaGrammar(vocabulary("llama-spm")), random.Random(5)
    grammars = dict(OWN)
    for path in sorted((MODELS.parent / "grammars").glob("*.gbnf")):
        grammars[path.name] = path.read_text()
    for name, grammar in grammars.items():
        coded = grammar.encode()
        found = run(program, ["sample", "gbnf", "bytes", 60, 120, 3], [coded])
        if found[0]:
            report.check(False, f"GBNF: {name}", found[0].decode())
            continue
        # Of a negated class llama.cpp refuses the first byte of a character when some character with that
        # byte is not in the class, overlong forms included: those of list.gbnf's line ends.
        found = [text for text in found[1:] if not set(b"\xc2\xe0\xe2\xf0") & set(text)][:12]
        texts = found + [mutated(rng, text) for text in found for _ in range(3)]
        ours = [answer.decode() for answer in run(program, ["match", "gbnf"], [coded, *texts])]
        theirs = peer.match(grammar, texts)
        wrong = [f"{text[:80]!r}: ours {a}, theirs {b}"
                 for text, a, b in zip(texts, ours, theirs or []) if a != b]
        report.check(theirs is not None and not wrong and found and set(ours[:len(found)]) == {"1"},
                     f"GBNF: {name}: {len(texts)} texts as in llama.cpp", "\n".join(wrong[:5]))


def main():
    report, program = Report(), sys.argv[1]
    for budget in (40, 200):
        answers_validate(report, program, "single bytes", "bytes", 3 * budget)
        for name in ("qwen2", "llama-spm"):
            answers_validate(report, program, name, vocabulary(name), budget)
    refused(report, program)
    beside_llama(report, program)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
