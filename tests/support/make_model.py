"""Makes decoders with random weights, real in form, for tests and benches.

    make_model.py NAME OUT.gguf [TYPE]        NAME: one of SPECS; TYPE: f32 (default), q4_k, ...
    make_model.py --list

Keys and tensor names are those of llama.cpp's converter, so that llama.cpp loads the files. What
the `gguf` package cannot quantize is quantized by llama.cpp's own library. Same bytes on every run.
"""
import ctypes
import sys
from pathlib import Path

import gguf
import numpy as np

import making

# What a model is; the rest are defaults in spec(). Shapes keep to real proportions: head sizes 64
# to 256, queries per key head 1 to 8, tied and untied heads. Widths are multiples of 256 where any
# weight type must fit.
SPECS = {
    # Llama 3.x: a table of frequency factors, 4:1
    "llama": dict(arch="llama", heads=4, kv_heads=1, head=64, base=500000.0, rope_freqs=True),
    # Mistral: 1:1, untied
    "mistral": dict(arch="llama", heads=4, kv_heads=4, head=64, context=128),
    # TinyLlama: 8:1
    "tinyllama": dict(arch="llama", dimension=512, heads=8, kv_heads=1, head=64),
    # SmolLM2: 3:1, tied; 192 is no multiple of 256, as its 576 is not
    "smollm2": dict(arch="llama", dimension=192, heads=3, kv_heads=1, head=64, tied=True),
    # Rope stretched linearly, a head size of its own
    "llama-linear": dict(arch="llama", heads=2, kv_heads=2, head=128, key_length=True,
                         scaling=("linear", 4.0)),
    "llama-bias": dict(arch="llama", heads=4, kv_heads=2, head=64, output_bias=True, ffn_bias=True,
                       qkv_bias=True),
    "qwen2": dict(arch="qwen2", dimension=448, heads=7, kv_heads=1, head=64, tied=True,
                  qkv_bias=True, base=1000000.0),
    "qwen2-yarn": dict(arch="qwen2", heads=4, kv_heads=2, head=64, qkv_bias=True, base=1000000.0,
                       scaling=("yarn", 4.0), original=32),
    "qwen3": dict(arch="qwen3", heads=4, kv_heads=2, head=128, tied=True, key_length=True,
                  qk_norm=True, base=1000000.0),
    "qwen3-untied": dict(arch="qwen3", heads=8, kv_heads=1, head=128, key_length=True,
                         qk_norm=True, base=1000000.0),
    "gemma3": dict(arch="gemma3", layers=8, heads=4, kv_heads=1, head=256, tied=True,
                   key_length=True, qk_norm=True, post_norms=True, window=16, base=1000000.0),
    "gemma3-linear": dict(arch="gemma3", layers=7, heads=2, kv_heads=1, head=128, tied=True,
                          key_length=True, qk_norm=True, post_norms=True, window=33,
                          base=1000000.0, scaling=("linear", 8.0)),
    "smollm3": dict(arch="smollm3", layers=5, dimension=512, heads=4, kv_heads=1, head=128,
                    tied=True, base=5000000.0),
    "phi3": dict(arch="phi3", dimension=768, heads=8, kv_heads=8, head=96, fused=True),
    "phi3-long": dict(arch="phi3", heads=4, kv_heads=2, head=64, fused=True, long_factors=True,
                      original=48, context=512, attn_factor=1.19),
    # True shapes for speed; few layers of them are not made smaller, so the files are large.
    "qwen3-0.6b": dict(arch="qwen3", layers=28, dimension=1024, heads=16, kv_heads=8, head=128,
                       ffn=3072, vocabulary=151936, tied=True, key_length=True, qk_norm=True,
                       base=1000000.0, context=40960, large=True),
}
WINDOW_PATTERN = 6  # every sixth layer of gemma3 sees everything


def spec(name):
    made = dict(layers=2, dimension=256, ffn=512, vocabulary=320, context=256, base=10000.0,
                epsilon=1e-6, tied=False, key_length=False, qk_norm=False, post_norms=False,
                qkv_bias=False, output_bias=False, ffn_bias=False, fused=False, rope_freqs=False,
                long_factors=False, window=0, scaling=None, original=0, attn_factor=0.0,
                large=False)
    made.update(SPECS[name])
    return made


# ------------------------------------------------------------------ weight types

def by_ggml(values, kind):
    """Quantizes rows with llama.cpp's library; for the types the package only reads."""
    import llama_cpp
    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows, columns = values.shape
    out = np.zeros((rows, columns // block * size), np.uint8)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
                                            ctypes.c_void_p]
    library.ggml_quantize_init.argtypes = [ctypes.c_int]
    library.ggml_quantize_init(int(kind))
    values = np.ascontiguousarray(values, np.float32)
    done = library.ggml_quantize_chunk(int(kind), values.ctypes.data, out.ctypes.data, 0, rows,
                                       columns, None)
    if done != out.size:
        raise ValueError(f"{kind.name}: {done} bytes of {out.size}")
    return out


def quantize(values, kind):
    if kind == gguf.GGMLQuantizationType.F32:
        return values.astype(np.float32)
    if kind == gguf.GGMLQuantizationType.F16:
        return values.astype(np.float16)
    try:
        return gguf.quants.quantize(values, kind)
    except NotImplementedError:
        return by_ggml(values, kind)


def fits(columns, kind):
    return columns % gguf.GGML_QUANT_SIZES[kind][0] == 0


# ------------------------------------------------------------------ the file

def mixed_kind(kind, name, layers):
    """The type llama-quantize gives a tensor in a file of this type (Q4_K: a Q4_K_M file)."""
    types = gguf.GGMLQuantizationType
    if kind not in (types.Q4_0, types.Q4_K):
        return kind
    if not name.startswith("blk."):  # a tied table of tokens, or the head
        return types.Q6_K
    layer, part = int(name.split(".")[1]), name.split(".")[2]
    eighth = layers // 8
    more = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    wanted = kind == types.Q4_K and more and part in ("attn_v", "ffn_down")
    return types.Q6_K if wanted else kind


class Maker:
    def __init__(self, writer, made, kind, seed, mixed=False):
        self.writer, self.made, self.kind, self.mixed = writer, made, kind, mixed
        self.random = np.random.default_rng(seed)

    def normal(self, shape, scale):
        return (self.random.standard_normal(shape, np.float32) * np.float32(scale))

    def matrix(self, name, rows, columns, gain=1.0, kind=None):
        """Outputs of about `gain` for inputs of 1. A type whose blocks do not fit falls back to
        Q8_0."""
        kind = self.kind if kind is None else kind
        if self.mixed:
            kind = mixed_kind(kind, name, self.made["layers"])
        if not fits(columns, kind):
            kind = gguf.GGMLQuantizationType.Q8_0
        if self.made["large"]:  # one block of rows again and again: values do not matter, time does
            part = self.normal((min(rows, 512), columns), gain / np.sqrt(columns))
            data = quantize(part, kind)
            data = np.concatenate([data] * (rows // len(data) + 1))[:rows]
        else:
            data = quantize(self.normal((rows, columns), gain / np.sqrt(columns)), kind)
        self.writer.add_tensor(name, np.ascontiguousarray(data), raw_dtype=kind)

    def vector(self, name, size, mean=0.0, spread=0.1):
        self.writer.add_tensor(name, mean + self.normal(size, spread))

    def norm(self, name, size, mean=1.0):
        self.vector(name + ".weight", size, mean, 0.2)

    def layer(self, i):
        m, at = self.made, f"blk.{i}."
        d, head, ffn = m["dimension"], m["head"], m["ffn"]
        q, kv = m["heads"] * head, m["kv_heads"] * head
        self.norm(at + "attn_norm", d)
        if m["fused"]:
            self.matrix(at + "attn_qkv.weight", q + 2 * kv, d, 1.5)
        else:
            for part, rows in (("q", q), ("k", kv), ("v", kv)):
                self.matrix(at + f"attn_{part}.weight", rows, d, 1.5)
                if m["qkv_bias"]:
                    self.vector(at + f"attn_{part}.bias", rows, spread=0.5)
        if m["qk_norm"]:
            self.norm(at + "attn_q_norm", head, 1.5)
            self.norm(at + "attn_k_norm", head)
        self.matrix(at + "attn_output.weight", d, q)
        if m["output_bias"]:
            self.vector(at + "attn_output.bias", d)
        if m["post_norms"]:
            self.norm(at + "post_attention_norm", d)
        self.norm(at + "ffn_norm", d)
        if m["fused"]:
            self.matrix(at + "ffn_up.weight", 2 * ffn, d)
        else:
            self.matrix(at + "ffn_gate.weight", ffn, d)
            self.matrix(at + "ffn_up.weight", ffn, d)
        self.matrix(at + "ffn_down.weight", d, ffn, 2.0)
        if m["ffn_bias"]:
            for part, size in (("gate", ffn), ("up", ffn), ("down", d)):
                self.vector(at + f"ffn_{part}.bias", size)
        if m["post_norms"]:
            self.norm(at + "post_ffw_norm", d)

    def tensors(self):
        m = self.made
        d = m["dimension"]
        # A tied table is the head too, and would make large logits of large embeddings.
        self.matrix("token_embd.weight", m["vocabulary"], d, 1.0 if m["tied"] else np.sqrt(d))
        self.norm("output_norm", d)
        if not m["tied"]:
            self.matrix("output.weight", m["vocabulary"], d, 2.0)
        if m["rope_freqs"]:
            self.writer.add_tensor("rope_freqs.weight", frequency_factors(m))
        if m["long_factors"]:
            half = m["head"] // 2
            self.writer.add_tensor("rope_factors_long.weight",
                                   np.linspace(1, 24, half, dtype=np.float32))
            self.writer.add_tensor("rope_factors_short.weight",
                                   np.linspace(1, 1.4, half, dtype=np.float32))
        for i in range(m["layers"]):
            self.layer(i)


def frequency_factors(m):
    """Llama 3.1's: low frequencies slowed 8 times, high ones kept, a ramp between."""
    frequency = m["base"] ** -(np.arange(0, m["head"], 2) / m["head"])
    wavelength = 2 * np.pi / frequency
    smooth = np.clip((8192 / wavelength - 1.0) / (4.0 - 1.0), 0, 1)
    return (1 / ((1 - smooth) / 8 + smooth)).astype(np.float32)


def add_tokenizer(writer, m):
    """A SentencePiece vocabulary: controls, bytes, then words that mean nothing."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    types = [2, 3, 3] + [6] * 256
    for i in range(m["vocabulary"] - len(tokens)):
        tokens.append(f"\u2581w{i}")
        types.append(1)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(len(tokens) - 259)])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def add_keys(writer, m):
    making.add_sizes(writer, m)
    writer.add_head_count_kv(m["kv_heads"])
    writer.add_layer_norm_rms_eps(m["epsilon"])
    writer.add_rope_freq_base(m["base"])
    if m["key_length"]:
        writer.add_key_length(m["head"])
        writer.add_value_length(m["head"])
    else:
        assert m["dimension"] == m["heads"] * m["head"]
        writer.add_rope_dimension_count(m["head"])
    if m["window"]:
        writer.add_sliding_window(m["window"])
    if m["scaling"]:
        writer.add_rope_scaling_type(gguf.RopeScalingType(m["scaling"][0]))
        writer.add_rope_scaling_factor(m["scaling"][1])
    if m["original"]:
        writer.add_rope_scaling_orig_ctx_len(m["original"])
    if m["attn_factor"]:
        writer.add_rope_scaling_attn_factors(m["attn_factor"])


def make(name, path, kind="f32", seed=20240607, parts=1, mixed=False, **changes):
    """Writes the model `name` of SPECS, with other values for some of its fields. With more parts
    files "<path>-00001-of-0000N.gguf" are written. mixed: types as llama-quantize mixes them."""
    m = spec(name)
    m.update(changes)
    kind = gguf.GGMLQuantizationType[kind.upper()]
    each = (2 + 9 * m["layers"]) // parts + 1 if parts > 1 else 0
    writer = gguf.GGUFWriter(str(path), m["arch"], split_max_tensors=each)
    add_keys(writer, m)
    add_tokenizer(writer, m)
    Maker(writer, m, kind, seed, mixed).tensors()
    making.finish(writer)
    return m


def make_adapter(name, path, model_seed=7, rank=8, alpha=16.0, layers=None, embedding=False):
    """A LoRA adapter for make(name): every matrix of the layers, and the head where there is
    one."""
    m = spec(name)
    random = np.random.default_rng(model_seed)
    writer = gguf.GGUFWriter(str(path), m["arch"])
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)

    def pair(weight, rows, columns):
        a = random.standard_normal((rank, columns)).astype(np.float32) / np.sqrt(columns)
        b = random.standard_normal((rows, rank)).astype(np.float32) / np.sqrt(rank) * 0.3
        writer.add_tensor(weight + ".lora_a", a.astype(np.float32))
        writer.add_tensor(weight + ".lora_b", b.astype(np.float32))

    d, ffn = m["dimension"], m["ffn"]
    q, kv = m["heads"] * m["head"], m["kv_heads"] * m["head"]
    for i in range(m["layers"]) if layers is None else layers:
        at = f"blk.{i}."
        if m["fused"]:
            pair(at + "attn_qkv.weight", q + 2 * kv, d)
            pair(at + "ffn_up.weight", 2 * ffn, d)
        else:
            for part, rows in (("attn_q", q), ("attn_k", kv), ("attn_v", kv), ("ffn_gate", ffn),
                               ("ffn_up", ffn)):
                pair(at + part + ".weight", rows, d)
        pair(at + "attn_output.weight", d, q)
        pair(at + "ffn_down.weight", d, ffn)
    if not m["tied"]:
        pair("output.weight", m["vocabulary"], d)
    if embedding:  # a looks up by token, b projects: stored the other way round
        writer.add_tensor("token_embd.weight.lora_a",
                          random.standard_normal((m["vocabulary"], rank)).astype(np.float32) * 0.3)
        writer.add_tensor("token_embd.weight.lora_b",
                          random.standard_normal((d, rank)).astype(np.float32) * 0.3)
    making.finish(writer)


if __name__ == "__main__":
    sys.exit(making.run(__doc__, SPECS, make))
