"""Our tokenizers beside llama.cpp on the vocabulary files that come with its source, on copies with other
keys, and on a Unigram vocabulary made here with SentencePiece; WordPiece beside the original.

    test_tokenizers.py TOKENIZE_TOOL

SATCHEL_STRINGS: random and hostile strings for each vocabulary (default 300; 20,000 is the whole, and takes long).
"""
import os
import random
import re
import sys
import tempfile
import unicodedata

import hostile
from peers import Report
from texts import WORDS
from vocabularies import (LlamaVocabulary, Tokenizer, pieces_of, rewrite, vectors, vocabulary,
                          write)

COUNT = int(os.environ.get("SATCHEL_STRINGS", "300"))
SPECIAL_TYPES = (2, 3, 4)  # unknown, control, user-defined
FILES = ["llama-spm", "phi-3", "baichuan", "gpt-2", "llama-bpe", "qwen2", "qwen35", "starcoder", "refact",
         "command-r", "falcon", "mpt", "gpt-neox", "aquila", "deepseek-llm", "deepseek-coder", "gemma-4",
         "nomic-bert-moe"]
# Pretokenizers without a file of their own: another file's vocabulary, cut by them.
RENAMED = [("smollm", "starcoder"), ("deepseek-v3", "deepseek-llm"), ("deepseek-r1-qwen", "qwen2"),
           ("default", "gpt-2"), ("tekken", "llama-bpe"), ("gpt-4o", "llama-bpe")]
# llama.cpp takes any letter beyond ASCII for both capital and small, and no mark for a part of a word;
# the models' own expressions, and ours, know the case of all letters.
CASED = ("tekken", "gpt-4o")


def is_marker(text):
    return len(text) > 2 and text[0] in "<[" and text[-1] in ">]"


def has_cased_letters(text):
    return any(ord(c) > 127 and unicodedata.category(c) in ("Lu", "Ll", "Lt", "Mn", "Mc", "Me")
               for c in text)


def difference(pieces, text, ours, theirs):
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b),
              min(len(ours), len(theirs)))
    show = [[pieces[i][0].decode(errors="replace") for i in ids[max(0, at - 1):at + 3]]
            for ids in (ours, theirs)]
    return f"{text[:60]!r}: ours {show[0]}, theirs {show[1]}"


def beside_llama(report, program, name, path, leave=None):
    """All vectors, then COUNT strings as a user's, and some of them as a template's."""
    ours, peer, pieces = Tokenizer(program, path), LlamaVocabulary(path), pieces_of(path)
    known = vectors(name)
    if known:
        found = ours.encode([text for text, _ in known])
        wrong = [text for (text, ids), got in zip(known, found) if ids != got]
        report.check(not wrong, f"{name}: the {len(known)} vectors of the file",
                     "\n".join(repr(text) for text in wrong[:5]))
    specials = [text.decode(errors="replace") for text, kind in pieces if kind in SPECIAL_TYPES]
    # A user-defined token that is spelt as a marker is text in a user's text; llama.cpp takes it all
    # the same.
    markers = [text.decode(errors="replace") for text, kind in pieces if kind == 4]
    markers = [text for text in markers if is_marker(text)]
    marker = re.compile("|".join(map(re.escape, markers)) or "(?!)")
    texts = [text for text in hostile.strings(4 * COUNT, specials) if not (leave and leave(text))]
    plain = [text for text in texts if not marker.search(text)][:COUNT]
    for some, options, special in ((plain, (), False),
                                   (texts[-COUNT // 4:], ("trusted", "around"), True)):
        wrong = []
        for text, got in zip(some, ours.encode([text.encode() for text in some], *options)):
            ids = peer.encode(text.encode(), special, special)
            if ids != got:
                wrong.append(difference(pieces, text, got, ids))
        whose = "a template's text" if special else "a user's text"
        report.check(not wrong and some, f"{name}: {len(some)} strings of {whose} as in llama.cpp",
                     "\n".join(wrong[:5]) + (f"\n{len(wrong)} differ" if wrong else ""))
    broken = hostile.invalid(COUNT // 20)
    replaced = [text.decode(errors="replace").encode() for text in broken]
    report.check(ours.encode(broken) == [peer.encode(text) for text in replaced],
                 f"{name}: {len(broken)} strings that are not UTF-8, each bad part as U+FFFD")
    report.check([int(word) for word in ours.info()["ends"].split()] == peer.ends(),
                 f"{name}: the tokens that end a turn")
    peer.close()
    return ours, plain


def comes_back(report, ours, name, texts, expect=lambda text: text):
    coded = [text.encode() for text in texts]
    found = ours.back(ours.encode(coded))
    wrong = [(a, b) for a, b in zip(found, map(expect, coded)) if a != b]
    report.check(not wrong, f"{name}: {len(texts)} strings come back",
                 "\n".join(f"{a[:60]!r} for {b[:60]!r}" for a, b in wrong[:3]))


def files(report, program):
    for name in FILES:
        ours, texts = beside_llama(report, program, name, vocabulary(name))
        texts = texts[:2000]
        if name in ("llama-spm", "phi-3", "baichuan", "gemma-4"):
            comes_back(report, ours, name, texts,
                       lambda text: text.replace("\u2581".encode(), b" "))
        elif name in ("starcoder", "refact", "falcon"):
            pass  # these lack some of the 256 bytes
        elif name != "nomic-bert-moe":
            comes_back(report, ours, name, texts)


def renamed(report, program, folder):
    for pre, name in RENAMED:
        path = rewrite(vocabulary(name), f"{folder}/{pre}.gguf",
                       strings={"tokenizer.ggml.pre": pre})
        beside_llama(report, program, f"{pre} on {name}", path,
                     has_cased_letters if pre in CASED else None)


def spm_scores(report, program, folder):
    """Gemma 3 has this vocabulary with scores for merges; here the scores are made up, with ties."""
    rng = random.Random(3)
    path = rewrite(vocabulary("gemma-4"), f"{folder}/gemma-3.gguf",
                   strings={"tokenizer.ggml.model": "llama"}, drop=("tokenizer.ggml.merges",),
                   bools={"tokenizer.ggml.add_space_prefix": False},
                   scores=lambda tokens: [-float(rng.randrange(len(tokens) // 4)) for _ in tokens])
    beside_llama(report, program, "gemma-3 with made-up scores", path)


# ---------------------------------------------------------------- Unigram


def fields(data):
    """The fields of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(tag & 7)
        size = varint() if size is None else size
        yield tag >> 3, data[at:at + size]
        at += size


def unigram(report, program, folder):
    import io
    import struct

    import sentencepiece

    rng = random.Random(4)
    words = sum((text.split(" ") for text in WORDS.values()), [])
    lines = [" ".join(rng.choice(words) for _ in range(rng.randrange(3, 20))) for _ in range(4000)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=450, model_type="unigram",
        character_coverage=0.98, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1,
        minloglevel=2)
    tokens, scores, types, charsmap = [], [], [], b""
    for number, value in fields(model.getvalue()):
        if number == 1:
            piece = dict(fields(value))
            tokens.append(piece[1])
            scores.append(struct.unpack("<f", piece[2])[0])
            types.append(piece.get(3, 1))
        elif number == 3:
            charsmap = dict(fields(value))[2]
    path = write(f"{folder}/t5.gguf", "t5", tokens, scores, types, charsmap=charsmap,
                 bools={"tokenizer.ggml.add_space_prefix": True,
                        "tokenizer.ggml.remove_extra_whitespaces": True})
    ours, texts = beside_llama(report, program, "t5", path)
    original = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    wrong = [text for text, ids in zip(texts, ours.encode([text.encode() for text in texts]))
             if ids != original.encode(text)]
    report.check(not wrong, f"t5: {len(texts)} strings as in SentencePiece",
                 "\n".join(repr(text) for text in wrong[:5]))


# ---------------------------------------------------------------- Tekken, GPT-4o


def cased(report, program, folder):
    """The pretokenizers that llama.cpp only comes near to, beside their own expressions in HuggingFace's
    tokenizers, on every letter there is."""
    import gguf
    from tokenizers import Regex
    from tokenizers import Tokenizer as Original
    from tokenizers import models, pre_tokenizers

    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    suffix = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    path = vocabulary("llama-bpe")
    merges = gguf.GGUFReader(path).fields["tokenizer.ggml.merges"]
    merges = [tuple(bytes(merges.parts[i]).decode().split(" ")) for i in merges.data]
    ids = {text.decode(): i for i, (text, _) in enumerate(pieces_of(path))}
    texts = [text for text in hostile.strings(COUNT, seed=5)
             if not any(unicodedata.category(c) == "Cn" for c in text)]
    for pre, digits, end in (("tekken", "{1}", ""), ("gpt-4o", "{1,3}", suffix)):
        words = (rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{end}|"
                 rf"[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{end}|\p{{N}}{digits}|"
                 r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
        whole = pre == "tekken"
        original = Original(models.BPE(ids, merges, ignore_merges=whole))
        original.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        ours = Tokenizer(program, f"{folder}/{pre}.gguf")
        wrong = [text for text, got in zip(texts, ours.encode([t.encode() for t in texts]))
                 if got != original.encode(text).ids]
        report.check(not wrong, f"{pre}: {len(texts)} strings as by its own expression",
                     "\n".join(repr(text[:60]) for text in wrong[:5]))


# ---------------------------------------------------------------- WordPiece


def wordpiece(report, program):
    """llama.cpp's own normalising differs from the original's; ours is held to the original's."""
    from tokenizers import Tokenizer as Original
    from tokenizers import models, normalizers, pre_tokenizers

    name = "bert-bge"
    known, ours = vectors(name), Tokenizer(program, vocabulary(name))
    found = ours.encode([text for text, _ in known])
    wrong = [text for (text, ids), got in zip(known, found) if ids != got]
    report.check(not wrong, f"{name}: the {len(known)} vectors of the file",
                 "\n".join(repr(text) for text in wrong[:5]))
    ids = {}
    for i, (text, kind) in enumerate(pieces_of(vocabulary(name))):
        text = text.decode()
        spelt = text if kind == 3 else text[1:] if text[0] == "\u2581" else "##" + text
        ids[spelt] = i
    original = Original(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    original.normalizer = normalizers.BertNormalizer(lowercase=True)
    original.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Letters and marks that Unicode got after the original's tables are split otherwise.
    texts = [text for text in hostile.strings(COUNT, ["[CLS]"])
             if all(ord(c) < 0x3000 or unicodedata.category(c) == "Lo" for c in text)]
    wrong = [(text, got) for text, got in zip(texts, ours.encode([t.encode() for t in texts]))
             if got != original.encode(text).ids]
    report.check(len(wrong) <= len(texts) // 100, f"{name}: {len(texts)} strings as in the original",
                 f"{len(wrong)} differ, by later Unicode\n" +
                 "\n".join(repr(text[:60]) for text, _ in wrong[:5]))


def main():
    program = sys.argv[1]
    report = Report()
    if not vocabulary("gpt-2").exists():
        print("1..0 # SKIP no vocabulary files: scripts/setup --peers")
        return
    with tempfile.TemporaryDirectory() as folder:
        unigram(report, program, folder)
        wordpiece(report, program)
        renamed(report, program, folder)
        cased(report, program, folder)
        spm_scores(report, program, folder)
        files(report, program)
    report.end()


main()
