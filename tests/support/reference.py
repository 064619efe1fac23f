"""What the float64 models share: a GGUF file's keys and dequantized tensors, products, attention.

Written plainly from the models' papers and llama.cpp's key and tensor conventions; they share no
code with the engine. Weights are what dequantization gives, everything after is double precision.
"""
import gguf
import numpy as np


def silu(x):
    return x / (1 + np.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


class Reference:
    def __init__(self, path):
        reader = gguf.GGUFReader(str(path))
        self.keys = {name: field.contents() for name, field in reader.fields.items()}
        self.tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64)
                        .reshape(tuple(int(n) for n in reversed(t.shape))) for t in reader.tensors}
        self.arch = self.keys["general.architecture"]
        self.heads = self.key("attention.head_count")
        self.kv_heads = self.key("attention.head_count_kv", self.heads)
        self.dimension = self.key("embedding_length")
        self.head = self.key("attention.key_length", self.dimension // self.heads)

    def key(self, name, otherwise=None):
        return self.keys.get(f"{self.arch}.{name}", otherwise)

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors.get(name + ".bias", 0)

    def project(self, x, at):
        """Queries, keys and values, (tokens, heads, head) each."""
        q_size, kv_size = self.heads * self.head, self.kv_heads * self.head
        if at + "attn_qkv.weight" in self.tensors:
            parts = np.split(self.linear(x, at + "attn_qkv"), [q_size, q_size + kv_size], axis=1)
        else:
            parts = [self.linear(x, at + "attn_" + part) for part in "qkv"]
        return [part.reshape(len(x), -1, self.head) for part in parts]

    def attend(self, q, k, v, hidden, at):
        """hidden (tokens, tokens): the keys that a query does not see; or None."""
        group = self.heads // self.kv_heads
        k, v = k.repeat(group, axis=1), v.repeat(group, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(self.head)
        if hidden is not None:
            scores[:, hidden] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        return self.linear(np.einsum("hqk,khd->qhd", scores, v).reshape(len(q), -1),
                           at + "attn_output")
