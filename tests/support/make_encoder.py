"""Makes text encoders with random weights, real in form, for tests.

    make_encoder.py NAME OUT.gguf [TYPE]      NAME: one of SPECS; TYPE: f32 (default), q4_k, ...
    make_encoder.py --list

Keys and tensor names are those of llama.cpp's converter, so that llama.cpp loads the files. Same
bytes on every run.
"""
import string
import sys

import gguf
import numpy as np

import making
from make_model import Maker

# What a model is; the rest are defaults in spec(). Widths are multiples of 256 where any weight
# type must fit.
SPECS = {
    "bert": dict(arch="bert", heads=4, pooling=2, epsilon=1e-12),
    # XLM-RoBERTa: one token type, a Unigram vocabulary
    "xlm-roberta": dict(arch="bert", heads=8, vocabulary="unigram", types=1, epsilon=1e-5),
    # heads and widths that no block fits
    "bert-odd": dict(arch="bert", heads=3, dimension=90, ffn=77, layers=3, epsilon=1e-12),
    "nomic": dict(arch="nomic-bert", heads=4, base=1000.0, fused=True, biases=False, epsilon=1e-12),
    # Q, K and V apart
    "nomic-split": dict(arch="nomic-bert", heads=2, base=1000.0, biases=False, layers=3,
                        epsilon=1e-12),
    "modern": dict(arch="modern-bert", layers=5, heads=4, base=160000.0, base_window=10000.0,
                   vocabulary="bytes", window=16, fused=True, biases=False, pooling=2,
                   epsilon=1e-5),
    # Granite's kind: SiLU, another pattern of windows
    "modern-silu": dict(arch="modern-bert", layers=4, heads=8, base=80000.0, base_window=10000.0,
                        vocabulary="bytes", window=34, pattern=2, activation="silu", fused=True,
                        biases=False, epsilon=1e-5),
    "gemma": dict(arch="gemma-embedding", layers=8, heads=3, kv_heads=1, head=128, base=1000000.0,
                  vocabulary="pieces", window=24, dense=(512, 256), biases=False, epsilon=1e-6),
    "gemma-bare": dict(arch="gemma-embedding", layers=6, heads=4, kv_heads=2, head=64,
                       base=1000000.0, vocabulary="pieces", window=8, biases=False, pooling=3,
                       epsilon=1e-6),
}
LETTERS = string.ascii_lowercase + string.digits + ".,:|-_?"
WORDS = ("the a of in is and to where when who what how lease flat ends march bread flour water salt "
         "train night vienna title none text task search result query document").split()


def spec(name):
    made = dict(layers=2, dimension=256, ffn=512, context=256, kv_heads=0, head=0, base=0.0,
                base_window=0.0, window=0, pattern=0, vocabulary="words", types=2, fused=False,
                biases=True, dense=None, pooling=1, activation=None)
    made.update(SPECS[name])
    made["head"] = made["head"] or made["dimension"] // made["heads"]
    made["kv_heads"] = made["kv_heads"] or made["heads"]
    return made


# ------------------------------------------------------------------ vocabularies

def pieces_of(words):
    """Letters, and the beginnings of words, so that pieces merge step by step."""
    heads = [word[:n] for word in words for n in range(2, len(word) + 1)]
    return list(dict.fromkeys(heads))


def add_words(writer):
    """WordPiece, in llama.cpp's spelling."""
    controls = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = controls + ["\u2581" + c for c in LETTERS] + list(LETTERS)
    tokens += ["\u2581" + word for word in WORDS if len(word) > 1]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(controls) + [1] * (len(tokens) - len(controls)))
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_uint32("tokenizer.ggml.cls_token_id", 2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    return len(tokens)


def add_unigram(writer):
    """Unigram, as XLM-RoBERTa orders its special tokens."""
    controls = ["<s>", "<pad>", "</s>", "<unk>"]
    plain = ["\u2581"] + list(LETTERS) + ["\u2581" + piece for piece in pieces_of(WORDS)]
    tokens = controls + plain + ["<mask>"]
    scores = [0.0] * 4 + [-3.0 - 0.02 * i for i in range(len(plain))] + [0.0]
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types([3, 3, 3, 2] + [1] * len(plain) + [3])
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    writer.add_bos_token_id(0)
    writer.add_pad_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_sep_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    return len(tokens)


def byte_alphabet():
    """GPT-2's spelling of bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


def add_bytes(writer):
    """Byte-level BPE with ModernBERT's special tokens."""
    tokens = [byte_alphabet()[byte] for byte in range(256)]
    merges = []
    for word in WORDS:
        whole = "\u0120" + word
        for n in range(2, len(whole) + 1):
            if whole[:n] not in tokens:
                tokens.append(whole[:n])
                merges.append(f"{whole[:n - 1]} {whole[n - 1]}")
    controls = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    first = len(tokens)
    tokens += controls
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("modern-bert")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * first + [3] * len(controls))
    writer.add_token_merges(merges)
    writer.add_unk_token_id(first)
    writer.add_bos_token_id(first + 1)
    writer.add_eos_token_id(first + 2)
    writer.add_sep_token_id(first + 2)
    writer.add_pad_token_id(first + 3)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_sep_token(True)
    return len(tokens)


def add_pieces(writer):
    """SentencePiece BPE as Gemma's: no space before a text, byte fallback."""
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<0x{i:02X}>" for i in range(256)]
    plain = ["\u2581"] + list(LETTERS) + pieces_of(["\u2581" + word for word in WORDS])
    types = [3, 3, 3, 2] + [6] * 256 + [1] * len(plain)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens + plain)
    writer.add_token_scores([0.0] * 260 + [-float(i) for i in range(len(plain))])
    writer.add_token_types(types)
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_space_prefix(False)
    return len(types)


VOCABULARIES = {"words": add_words, "unigram": add_unigram, "bytes": add_bytes,
                "pieces": add_pieces}


# ------------------------------------------------------------------ tensors

class EncoderMaker(Maker):
    def __init__(self, writer, made, kind, seed):
        super().__init__(writer, made | {"large": False}, kind, seed)

    def linear(self, name, rows, columns, gain=1.0):
        self.matrix(name + ".weight", rows, columns, gain)
        if self.made["biases"]:
            self.vector(name + ".bias", rows, spread=0.2)

    def layer_norm(self, name):
        """BERT's norms have a bias where its products have none, too."""
        self.norm(name, self.made["dimension"])
        self.vector(name + ".bias", self.made["dimension"])

    def attention(self, at):
        m = self.made
        d, q, kv = m["dimension"], m["heads"] * m["head"], m["kv_heads"] * m["head"]
        if m["fused"]:
            self.linear(at + "attn_qkv", q + 2 * kv, d, 1.5)
        else:
            for part, rows in (("q", q), ("k", kv), ("v", kv)):
                self.linear(at + f"attn_{part}", rows, d, 1.5)
        self.linear(at + "attn_output", d, q)

    def layer(self, i):
        m, at = self.made, f"blk.{i}."
        d, ffn, arch = m["dimension"], m["ffn"], m["arch"]
        before = arch in ("modern-bert", "gemma-embedding")
        if before and not (arch == "modern-bert" and i == 0):
            self.norm(at + "attn_norm", d)
        self.attention(at)
        if arch == "gemma-embedding":
            self.norm(at + "attn_q_norm", m["head"], 1.5)
            self.norm(at + "attn_k_norm", m["head"])
            self.norm(at + "post_attention_norm", d)
            self.norm(at + "post_ffw_norm", d)
        if before:
            self.norm(at + "ffn_norm", d)
        else:
            self.layer_norm(at + "attn_output_norm")
            self.layer_norm(at + "layer_output_norm")
        if arch in ("nomic-bert", "gemma-embedding"):
            self.linear(at + "ffn_gate", ffn, d)
        self.linear(at + "ffn_up", 2 * ffn if arch == "modern-bert" else ffn, d)
        self.linear(at + "ffn_down", d, ffn, 2.0)

    def tensors(self, vocabulary):
        m = self.made
        d, arch = m["dimension"], m["arch"]
        self.matrix("token_embd.weight", vocabulary, d, np.sqrt(d) if m["arch"] != "gemma-embedding"
                    else 1.0)
        if arch == "bert":
            self.matrix("position_embd.weight", m["context"], d, 0.3 * np.sqrt(d),
                        gguf.GGMLQuantizationType.F32)
        if arch in ("bert", "nomic-bert"):
            self.matrix("token_types.weight", m["types"], d, 0.3 * np.sqrt(d),
                        gguf.GGMLQuantizationType.F32)
            self.layer_norm("token_embd_norm")
        elif arch == "modern-bert":
            self.norm("token_embd_norm", d)
        if arch in ("modern-bert", "gemma-embedding"):
            self.norm("output_norm", d)
        width = d
        for name, rows in zip(("dense_2", "dense_3"), m["dense"] or ()):
            self.matrix(name + ".weight", rows, width)
            width = rows
        for i in range(m["layers"]):
            self.layer(i)


def add_keys(writer, m):
    making.add_sizes(writer, m)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType(m["pooling"]))
    if m["arch"] == "gemma-embedding":
        writer.add_head_count_kv(m["kv_heads"])
        writer.add_key_length(m["head"])
        writer.add_value_length(m["head"])
        writer.add_layer_norm_rms_eps(m["epsilon"])
    else:
        writer.add_layer_norm_eps(m["epsilon"])
    if m["base"]:
        writer.add_rope_freq_base(m["base"])
    if m["base_window"]:
        writer.add_float32(f"{m['arch']}.rope.freq_base_swa", m["base_window"])
    if m["window"]:
        writer.add_sliding_window(m["window"])
    if m["pattern"]:
        writer.add_uint32(f"{m['arch']}.attention.sliding_window_pattern", m["pattern"])
    if m["activation"]:
        writer.add_string(f"{m['arch']}.hidden_activation", m["activation"])
    if m["arch"] in ("bert", "nomic-bert"):
        writer.add_token_type_count(m["types"])
    if m["dense"]:
        writer.add_uint32(f"{m['arch']}.dense_2_feat_in", m["dimension"])
        writer.add_uint32(f"{m['arch']}.dense_2_feat_out", m["dense"][0])
        writer.add_uint32(f"{m['arch']}.dense_3_feat_in", m["dense"][0])
        writer.add_uint32(f"{m['arch']}.dense_3_feat_out", m["dense"][1])


def make(name, path, kind="f32", seed=20240608, **changes):
    """Writes the model `name` of SPECS, with other values for some of its fields."""
    m = spec(name)
    m.update(changes)
    writer = gguf.GGUFWriter(str(path), m["arch"])
    add_keys(writer, m)
    vocabulary = VOCABULARIES[m["vocabulary"]](writer)
    EncoderMaker(writer, m, gguf.GGMLQuantizationType[kind.upper()], seed).tensors(vocabulary)
    making.finish(writer)
    return m


if __name__ == "__main__":
    sys.exit(making.run(__doc__, SPECS, make))
