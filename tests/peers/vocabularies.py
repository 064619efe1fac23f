"""Vocabulary files for the tokenizer tests: those that come with llama.cpp's source, and copies of them
with other keys, written to a folder that goes away."""
import ctypes
import struct
import subprocess

from peers import CACHE

MODELS = CACHE / "peers" / "llama.cpp" / "models"


def vocabulary(name):
    return MODELS / f"ggml-vocab-{name}.gguf"


def vectors(name):
    """The texts and token ids that come with a vocabulary file; empty if none do."""
    inp, out = (vocabulary(name).with_suffix(f".gguf.{end}") for end in ("inp", "out"))
    if not inp.exists():
        return []
    texts = inp.read_bytes().split(b"\n__ggml_vocab_test__\n")
    ids = [[int(word) for word in line.split()] for line in out.read_text().splitlines()]
    return list(zip(texts, ids))


def pieces_of(path):
    """The pieces of a file: (bytes, type)."""
    import gguf

    keys = gguf.GGUFReader(path).fields
    tokens, types = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    return [(bytes(tokens.parts[i]), int(types.parts[j][0]))
            for i, j in zip(tokens.data, types.data)]


def rewrite(source, target, strings=None, drop=(), scores=None, bools=None):
    """A copy of a vocabulary file with other keys. strings, bools: key -> value; drop: keys left out;
    scores: a function of the list of tokens that gives their scores."""
    import gguf

    reader = gguf.GGUFReader(source)
    strings, bools = dict(strings or {}), dict(bools or {})
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    changed = {"general.architecture", *strings, *bools, *drop}
    if scores:
        changed.add("tokenizer.ggml.scores")
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in changed:
            continue
        kind, *element = field.types
        writer.add_key_value(key, field.contents() if kind != gguf.GGUFValueType.ARRAY
                             else [field.contents(i) for i in range(len(field.data))],
                             kind, sub_type=element[0] if element else None)
    for key, value in strings.items():
        writer.add_string(key, value)
    for key, value in bools.items():
        writer.add_bool(key, value)
    if scores:
        field = reader.fields["tokenizer.ggml.tokens"]
        tokens = [bytes(field.parts[i]) for i in field.data]
        writer.add_token_scores(scores(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return target


def write(target, model, tokens, scores, types, bools=None, charsmap=None):
    """A new vocabulary file of pieces (bytes)."""
    import gguf

    writer = gguf.GGUFWriter(target, "t5")
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    for key, value in (bools or {}).items():
        writer.add_bool(key, value)
    if charsmap:
        writer.add_precompiled_charsmap(charsmap)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return target


class Tokenizer:
    """Ours, through tests/support/tokenize_tool."""

    def __init__(self, program, path):
        self.program, self.path = program, str(path)

    def run(self, mode, blocks, *options):
        data = b"".join(struct.pack("=I", len(block)) + block for block in blocks)
        out = subprocess.run([self.program, mode, self.path, *options], input=data,
                             stdout=subprocess.PIPE, check=True).stdout
        return out

    def encode(self, texts, *options):
        out, found, at = self.run("encode", texts, *options), [], 0
        for _ in texts:
            count = struct.unpack_from("=I", out, at)[0]
            found.append(list(struct.unpack_from(f"={count}i", out, at + 4)))
            at += 4 + 4 * count
        return found

    def back(self, lists, *options):
        blocks = [struct.pack(f"={len(ids)}i", *ids) for ids in lists]
        out, found, at = self.run("back", blocks, *options), [], 0
        for _ in lists:
            length = struct.unpack_from("=I", out, at)[0]
            found.append(out[at + 4:at + 4 + length])
            at += 4 + length
        return found

    def info(self):
        return dict(line.split(" ", 1) for line in self.run("info", []).decode().splitlines())


class LlamaVocabulary:
    """The same file in llama.cpp, without its weights."""

    def __init__(self, path):
        import llama_cpp

        self.api = llama_cpp
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        options = llama_cpp.llama_model_default_params()
        options.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot read {path}")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.room = (llama_cpp.llama_token * (1 << 20))()

    def encode(self, text, special=False, around=False):
        count = self.api.llama_tokenize(self.vocab, text, len(text), self.room, len(self.room),
                                        around, special)
        if count < 0:
            raise RuntimeError("the text has too many tokens")
        return self.room[:count]

    def ends(self):
        size = self.api.llama_vocab_n_tokens(self.vocab)
        return [i for i in range(size) if self.api.llama_vocab_is_eog(self.vocab, i)]

    def close(self):
        self.api.llama_model_free(self.model)
