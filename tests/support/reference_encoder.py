"""Text encoders in float64, read from a GGUF file: what the engine's vectors are measured against."""
import math

import numpy as np

from reference import Reference, gelu_tanh, silu

WINDOWED = {"modern-bert": 3, "gemma-embedding": 6}  # every n-th layer sees everything


def erf(x):
    return np.vectorize(math.erf, otypes=[float])(x)


def activation(x, kind):
    if kind == "silu":
        return silu(x)
    if kind == "gelu_tanh":
        return gelu_tanh(x)
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


class Encoder(Reference):
    def __init__(self, path):
        super().__init__(path)
        self.rms = "gemma" in self.arch
        self.epsilon = self.key("attention.layer_norm_rms_epsilon" if self.rms
                                else "attention.layer_norm_epsilon")

    # -------------------------------------------------------------- parts

    def norm(self, x, name):
        """x itself where the model has no such norm."""
        if name + ".weight" not in self.tensors:
            return x
        if not self.rms:
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x * self.tensors[name + ".weight"] + self.tensors.get(name + ".bias", 0)

    def window(self, layer):
        size = self.key("attention.sliding_window", 0)
        if self.arch not in WINDOWED or size == 0:
            return None
        every = self.key("attention.sliding_window_pattern", WINDOWED[self.arch])
        full = layer % every == (0 if self.arch == "modern-bert" else every - 1)
        return None if full else size

    def rope(self, x, layer):
        """x (tokens, heads, head)"""
        if self.arch == "bert":
            return x
        base = (self.key("rope.freq_base", 10000.0) if self.window(layer) is None
                else self.key("rope.freq_base_swa", 10000.0))
        half = self.head // 2
        angles = np.arange(len(x))[:, None] * float(base) ** -(np.arange(half) / half)
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, a * sin + b * cos], -1)

    def attention(self, x, layer):
        at, hidden = f"blk.{layer}.", None
        q, k, v = self.project(x, at)
        q = self.rope(self.norm(q, at + "attn_q_norm"), layer)
        k = self.rope(self.norm(k, at + "attn_k_norm"), layer)
        window = self.window(layer)
        if window:
            places = np.arange(len(x))
            hidden = np.abs(places[:, None] - places[None, :]) > window // 2
        return self.attend(q, k, v, hidden, at)

    def feed_forward(self, x, layer):
        at = f"blk.{layer}."
        if self.arch == "bert":
            return self.linear(activation(self.linear(x, at + "ffn_up"), "gelu"), at + "ffn_down")
        if self.arch == "modern-bert":
            gate, up = np.split(self.linear(x, at + "ffn_up"), 2, axis=1)
        else:
            gate, up = self.linear(x, at + "ffn_gate"), self.linear(x, at + "ffn_up")
        kind = {"nomic-bert": "silu", "gemma-embedding": "gelu_tanh"}.get(
            self.arch, self.key("hidden_activation", "gelu"))
        return self.linear(activation(gate, kind) * up, at + "ffn_down")

    # -------------------------------------------------------------- vectors

    def embed(self, ids, dimension=None):
        """The vector of one text's ids, special tokens included: (dimension), of length 1."""
        x = self.tensors["token_embd.weight"][ids]
        if self.rms:
            x = x * np.sqrt(self.dimension)
        if "position_embd.weight" in self.tensors:
            x = x + self.tensors["position_embd.weight"][:len(ids)]
        if "token_types.weight" in self.tensors:
            x = x + self.tensors["token_types.weight"][0]
        x = self.norm(x, "token_embd_norm")
        for layer in range(self.key("block_count")):
            at = f"blk.{layer}."
            y = self.attention(self.norm(x, at + "attn_norm"), layer)
            x = self.norm(x + self.norm(y, at + "post_attention_norm"), at + "attn_output_norm")
            y = self.feed_forward(self.norm(x, at + "ffn_norm"), layer)
            x = self.norm(x + self.norm(y, at + "post_ffw_norm"), at + "layer_output_norm")
        x = self.norm(x, "output_norm")
        pooled = {1: x.mean(0), 2: x[0], 3: x[-1]}[self.key("pooling_type", 1)]
        for name in ("dense_2", "dense_3"):
            if name + ".weight" in self.tensors:
                pooled = self.linear(pooled, name)
        pooled = pooled[:dimension]
        return pooled / np.linalg.norm(pooled)
