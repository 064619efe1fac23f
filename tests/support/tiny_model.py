#!/usr/bin/env python3
"""Makes a tiny text encoder for tests: real in form, random in weights, 100 kB.

    tiny_model.py CONVERTER OUT.gguf [f32|f16|q8_0]

The weights of the layers are small beside the word embeddings, so that texts that share words have
vectors that lie near each other. Same bytes on every run. CONVERTER is scripts/convert_bert.py.
"""
import json
import string
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HIDDEN, LAYERS, HEADS, WIDE, POSITIONS = 32, 2, 2, 64, 64
WORDS = ("the a of in is and to where when who what how lease flat ends march bread flour water "
         "salt train night vienna satchel answers documents question model file store").split()


def vocabulary():
    letters = string.ascii_lowercase + string.digits
    return (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(".,?!'-") + list(letters)
            + ["##" + letter for letter in letters]
            + [word for word in WORDS if len(word) > 1])


def tensors(size):
    random = np.random.default_rng(20240229)

    def normal(scale, *shape):
        return (random.standard_normal(shape) * scale).astype("<f4")

    yield "embeddings.word_embeddings.weight", normal(1.0, size, HIDDEN)
    yield "embeddings.position_embeddings.weight", normal(0.05, POSITIONS, HIDDEN)
    yield "embeddings.token_type_embeddings.weight", normal(0.05, 2, HIDDEN)
    yield "embeddings.LayerNorm.weight", np.ones(HIDDEN, "<f4")
    yield "embeddings.LayerNorm.bias", np.zeros(HIDDEN, "<f4")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        for part, rows, columns in (("attention.self.query", HIDDEN, HIDDEN),
                                    ("attention.self.key", HIDDEN, HIDDEN),
                                    ("attention.self.value", HIDDEN, HIDDEN),
                                    ("attention.output.dense", HIDDEN, HIDDEN),
                                    ("intermediate.dense", WIDE, HIDDEN),
                                    ("output.dense", HIDDEN, WIDE)):
            yield f"{at}{part}.weight", normal(0.05, rows, columns)
            yield f"{at}{part}.bias", normal(0.01, rows)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            yield f"{at}{part}.weight", np.ones(HIDDEN, "<f4")
            yield f"{at}{part}.bias", np.zeros(HIDDEN, "<f4")


def write_safetensors(path, named):
    header, body = {}, b""
    for name, data in named:
        raw = data.tobytes()
        header[name] = {"dtype": "F32", "shape": list(data.shape),
                        "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def main():
    converter, out = sys.argv[1:3]
    kind = sys.argv[3] if len(sys.argv) > 3 else "f32"
    words = vocabulary()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
        (folder / "config.json").write_text(json.dumps({
            "model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "intermediate_size": WIDE, "max_position_embeddings": POSITIONS,
            "type_vocab_size": 2, "vocab_size": len(words), "layer_norm_eps": 1e-12}))
        write_safetensors(folder / "model.safetensors", tensors(len(words)))
        subprocess.run([sys.executable, "-B", converter, str(folder), "--name", "tiny",
                        "--out", out, "--type", kind], check=True,
                       stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
