"""A decoder in float64, read from a GGUF file: what the engine's logits are measured against."""
import gguf
import numpy as np

from reference import Reference, gelu_tanh, silu

GEMMA_PATTERN = 6


def nmse(values, truth):
    values, truth = np.asarray(values, np.float64), np.asarray(truth, np.float64)
    return float(((values - truth) ** 2).sum() / (truth ** 2).sum())


class Model(Reference):
    def __init__(self, path, adapter=None, adapter_scale=1.0):
        super().__init__(path)
        self.layers = self.key("block_count")
        self.epsilon = self.key("attention.layer_norm_rms_epsilon")
        self.rotated = self.key("rope.dimension_count", self.head)
        self.embedding_pair = None
        if adapter:
            self.apply(adapter, adapter_scale)

    def apply(self, path, scale):
        """Merges a LoRA adapter: W + scale · alpha / rank · B A (Hu et al. 2021)."""
        reader = gguf.GGUFReader(str(path))
        alpha = reader.fields["adapter.lora.alpha"].contents()
        parts = {t.name: np.asarray(t.data, np.float64) for t in reader.tensors}
        for name in [n[:-7] for n in parts if n.endswith(".lora_a")]:
            a, b = parts[name + ".lora_a"], parts[name + ".lora_b"]
            rank = a.shape[1] if name == "token_embd.weight" else a.shape[0]
            factor = scale * alpha / rank if alpha else scale
            if name == "token_embd.weight":  # only where tokens are looked up, not in a tied head
                self.embedding_pair = factor * a @ b.T
            else:
                self.tensors[name] = self.tensors[name] + factor * b @ a

    # -------------------------------------------------------------- parts

    def norm(self, x, name):
        scale = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x * scale * self.tensors[name + ".weight"]

    def window(self, layer):
        size = self.key("attention.sliding_window", 0)
        if self.arch != "gemma3" or size == 0:  # llama.cpp reads phi3's and does not use it
            return None
        return size if (layer + 1) % GEMMA_PATTERN else None

    def angles(self, positions, layer, capacity):
        """(tokens, rotated / 2) angles and the factor on cosine and sine."""
        local = self.window(layer) is not None
        base = (self.key("rope.freq_base_swa", 10000.0) if local
                else self.key("rope.freq_base", 10000.0))
        n = self.rotated
        frequency = float(base) ** -(np.arange(0, n, 2) / n)
        original = self.key("rope.scaling.original_context_length", self.key("context_length"))
        factors = self.tensors.get("rope_freqs.weight")
        if factors is None:
            long = capacity > original
            factors = self.tensors.get(f"rope_factors_{'long' if long else 'short'}.weight")
        if factors is not None:
            frequency = frequency / factors
        magnitude = self.key("rope.scaling.attn_factor", 1.0)
        factor = self.key("rope.scaling.factor", 1.0)
        kind = self.key("rope.scaling.type", "linear" if factor != 1 else "none")
        if local:
            factor = 1.0
        if kind == "linear":
            frequency = frequency / factor
        elif kind == "yarn":  # Peng et al. 2023, by a dimension's turns in the original context
            def turns(count):
                return n * np.log(original / (count * 2 * np.pi)) / (2 * np.log(base))
            low, high = max(0, np.floor(turns(32))), min(n - 1, np.ceil(turns(1)))
            ramp = np.clip((np.arange(n // 2) - low) / max(0.001, high - low), 0, 1)
            frequency = frequency / factor * ramp + frequency * (1 - ramp)
            magnitude = magnitude * (1 + 0.1 * np.log(factor))
        return positions[:, None] * frequency, magnitude

    def rope(self, x, angles, magnitude):
        """x (tokens, heads, head)"""
        cos, sin = (f(angles)[:, None, :] * magnitude for f in (np.cos, np.sin))
        n, out = self.rotated, x.copy()
        if self.arch in ("llama", "smollm3"):  # neighbours are a pair
            first, second = slice(0, n, 2), slice(1, n, 2)
        else:  # the two halves are
            first, second = slice(0, n // 2), slice(n // 2, n)
        a, b = x[..., first], x[..., second]
        out[..., first], out[..., second] = a * cos - b * sin, a * sin + b * cos
        return out

    def attention(self, x, layer, positions, capacity):
        at = f"blk.{layer}."
        q, k, v = self.project(x, at)
        if at + "attn_q_norm.weight" in self.tensors:
            q, k = self.norm(q, at + "attn_q_norm"), self.norm(k, at + "attn_k_norm")
        if self.arch != "smollm3" or (layer + 1) % 4:
            angles, magnitude = self.angles(positions, layer, capacity)
            q, k = self.rope(q, angles, magnitude), self.rope(k, angles, magnitude)
        apart = positions[:, None] - positions[None, :]
        hidden = apart < 0
        window = self.window(layer)
        if window:
            hidden |= apart >= window
        return self.attend(q, k, v, hidden, at)

    def feed_forward(self, x, layer):
        at = f"blk.{layer}."
        if at + "ffn_gate.weight" in self.tensors:
            gate, up = self.linear(x, at + "ffn_gate"), self.linear(x, at + "ffn_up")
        else:
            gate, up = np.split(self.linear(x, at + "ffn_up"), 2, axis=1)
        gate = gelu_tanh(gate) if self.arch == "gemma3" else silu(gate)
        return self.linear(gate * up, at + "ffn_down")

    def logits(self, tokens, capacity=0):
        """(tokens, vocabulary); capacity: the room of the context, which chooses long rope
        factors."""
        tokens = np.asarray(tokens)
        positions = np.arange(len(tokens), dtype=np.float64)
        x = self.tensors["token_embd.weight"][tokens]
        if self.embedding_pair is not None:
            x = x + self.embedding_pair[tokens]
        if self.arch == "gemma3":
            x = x * np.sqrt(self.dimension)
        post = self.arch == "gemma3"
        for layer in range(self.layers):
            at = f"blk.{layer}."
            y = self.attention(self.norm(x, at + "attn_norm"), layer, positions, capacity)
            x = x + (self.norm(y, at + "post_attention_norm") if post else y)
            y = self.feed_forward(self.norm(x, at + "ffn_norm"), layer)
            x = x + (self.norm(y, at + "post_ffw_norm") if post else y)
        x = self.norm(x, "output_norm")
        head = "output" if "output.weight" in self.tensors else "token_embd"
        return self.linear(x, head)
