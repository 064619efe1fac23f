"""BERT-family shapes beyond MiniLM, with random weights, against a plain model in double precision.

    test_shapes.py EMBED_TOOL CONVERTER

Each model is written as a Hugging Face folder, converted by scripts/convert_bert.py, and read by the
gguf package, so that converter, file format, tokenizer and encoder are checked together: BGE's shape (CLS
pooling, 512 positions, heads of 64), E5's (prefixes, mean), and odd ones.
"""
import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

from peers import ORIGINAL, Report, Tool, cosines

SHAPES = {
    "bge": dict(hidden=768, heads=12, wide=3072, layers=2, positions=512, pooling="cls", limit=512),
    "bge-small": dict(hidden=384, heads=12, wide=1536, layers=3, positions=512, pooling="cls",
                      limit=512),
    "e5": dict(hidden=384, heads=6, wide=1536, layers=2, positions=512, pooling="mean", limit=512,
               query="query: ", document="passage: "),
    "wide heads": dict(hidden=256, heads=2, wide=512, layers=2, positions=128, pooling="mean",
                       limit=100),
    "narrow": dict(hidden=96, heads=6, wide=160, layers=4, positions=64, pooling="mean", limit=64),
}
# Least cosine to the double model. It reads the file's own weights, so for F32 and F16 only the
# arithmetic differs; for Q8_0 it is the rounding of the rows as well.
LEAST = {"f32": 0.999999, "f16": 0.999999, "q8_0": 0.9995}


def erf(x):
    return np.vectorize(math.erf, otypes=[float])(x)


class Model:
    """BERT as in the paper, on the tensors of a GGUF file, in float64."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.tensors = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float64)
                        for t in reader.tensors}
        value = lambda key: reader.get_field(key).contents()
        self.layers, self.heads = value("bert.block_count"), value("bert.attention.head_count")
        self.epsilon = value("bert.attention.layer_norm_epsilon")
        self.cls = value("bert.pooling_type") == 2

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + self.epsilon)
        return x * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def embed(self, ids):
        tensors, rows = self.tensors, len(ids)
        x = self.norm(tensors["token_embd.weight"][ids] + tensors["position_embd.weight"][:rows]
                      + tensors["token_types.weight"][0], "token_embd_norm")
        for layer in range(self.layers):
            at = f"blk.{layer}."
            q, k, v = (self.linear(x, at + part).reshape(rows, self.heads, -1).swapaxes(0, 1)
                       for part in ("attn_q", "attn_k", "attn_v"))
            scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            mixed = (scores @ v).swapaxes(0, 1).reshape(rows, -1)
            x = self.norm(x + self.linear(mixed, at + "attn_output"), at + "attn_output_norm")
            wide = self.linear(x, at + "ffn_up")
            wide = wide * (1 + erf(wide / math.sqrt(2))) / 2
            x = self.norm(x + self.linear(wide, at + "ffn_down"), at + "layer_output_norm")
        return x[0] if self.cls else x.mean(0)


def write_folder(folder, shape, vocabulary, seed):
    """A Hugging Face folder with random weights, some columns of the norms as large as in trained
    models."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    hidden, wide = shape["hidden"], shape["wide"]
    normal = lambda scale, *size: (rng.standard_normal(size) * scale).astype(np.float32)
    tensors = {}

    def linear(name, rows, columns):
        tensors[name + ".weight"] = normal(0.8 / math.sqrt(columns), rows, columns)
        tensors[name + ".bias"] = normal(0.1, rows)

    def norm(name):
        weight = 1 + normal(0.1, hidden)
        weight[rng.integers(0, hidden, 2)] *= 5
        tensors[name + ".weight"], tensors[name + ".bias"] = weight, normal(0.1, hidden)

    tensors["embeddings.word_embeddings.weight"] = normal(1, len(vocabulary), hidden)
    tensors["embeddings.position_embeddings.weight"] = normal(0.3, shape["positions"], hidden)
    tensors["embeddings.token_type_embeddings.weight"] = normal(0.3, 2, hidden)
    norm("embeddings.LayerNorm")
    for layer in range(shape["layers"]):
        at = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            linear(f"{at}attention.self.{part}", hidden, hidden)
        linear(at + "attention.output.dense", hidden, hidden)
        norm(at + "attention.output.LayerNorm")
        linear(at + "intermediate.dense", wide, hidden)
        linear(at + "output.dense", hidden, wide)
        norm(at + "output.LayerNorm")
    save_file(tensors, folder / "model.safetensors")
    put = lambda name, value: (folder / name).write_text(json.dumps(value), encoding="utf-8")
    put("config.json", {
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": hidden,
        "num_hidden_layers": shape["layers"], "num_attention_heads": shape["heads"],
        "intermediate_size": wide, "max_position_embeddings": shape["positions"],
        "type_vocab_size": 2, "vocab_size": len(vocabulary), "layer_norm_eps": 1e-12})
    put("tokenizer_config.json", {"do_lower_case": True})
    put("sentence_bert_config.json", {"max_seq_length": shape["limit"]})
    put("modules.json", [{"type": "sentence_transformers.models.Transformer", "path": ""},
                         {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
                         {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}])
    (folder / "1_Pooling").mkdir()
    put("1_Pooling/config.json", {"pooling_mode_cls_token": shape["pooling"] == "cls",
                                  "pooling_mode_mean_tokens": shape["pooling"] == "mean"})
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")


def make_vocabulary():
    """The special tokens, letters, and words of the original."""
    lines = (ORIGINAL / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return [w for w in lines[:3000] if not w.startswith("[unused")] + lines[10000:10400]


def make_texts(vocabulary, limit):
    rng = random.Random(3)
    words = [word for word in vocabulary if word.isalpha()]
    return ["", "?", rng.choice(words)] + [" ".join(rng.choices(words, k=k))
                                           for k in (2, 5, 9, 17, 40, limit - 2, limit + 30)]


def check(report, program, converter, name, shape, vocabulary):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        folder.mkdir()
        write_folder(folder, shape, vocabulary, len(name))
        command = [sys.executable, converter, str(folder), "--out", f"{place}/{{type}}.gguf"]
        for role in ("query", "document"):
            if role in shape:
                command += [f"--{role}-prefix", shape[role]]
        for kind in LEAST:
            command += ["--type", kind]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for kind, least in LEAST.items():
            path = f"{place}/{kind}.gguf"
            tool, model, worst = Tool(program, path), Model(path), 1.0
            texts = make_texts(vocabulary, shape["limit"])
            for role in ("query", "document"):
                full = [shape.get(role, "") + text for text in texts]
                ids = [row if len(row) <= shape["limit"] else row[:shape["limit"] - 1] + row[-1:]
                       for row in tool.tokens(full)]
                expected = np.stack([model.embed(row) for row in ids])
                found = cosines(tool.embed(texts, role=role), expected)
                worst = min(worst, found.min())
            report.check(worst >= least, f"{name} {kind}: cosine >= {least}", f"least {worst:.8f}")


def main():
    program, converter = sys.argv[1:3]
    report, vocabulary = Report(), make_vocabulary()
    for name, shape in SHAPES.items():
        check(report, program, converter, name, shape, vocabulary)
    report.end()


main()
