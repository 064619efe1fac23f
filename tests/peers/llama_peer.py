"""llama.cpp through llama-cpp-python's low-level interface: logits of given tokens, and nothing else."""
import ctypes

import numpy as np
from llama_cpp import llama_cpp as api

F32, F16 = 0, 1


@api.llama_log_callback
def silent(level, text, user):
    pass


api.llama_log_set(silent, None)


class Peer:
    """A model and a context on it: F32 or F16 keys and values, no flash attention, one thread."""

    def __init__(self, path, capacity, kv=F32, adapter=None, scale=1.0, threads=1):
        options = api.llama_model_default_params()
        options.n_gpu_layers = 0
        self.model = api.llama_model_load_from_file(str(path).encode(), options)
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        options = api.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = capacity
        options.type_k = options.type_v = kv
        options.flash_attn_type = 0
        options.n_threads = options.n_threads_batch = threads
        self.context = api.llama_init_from_model(self.model, options)
        if not self.context:
            raise RuntimeError(f"llama.cpp makes no context for {path}")
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))
        self.length = 0
        if adapter:
            lora = api.llama_adapter_lora_init(self.model, str(adapter).encode())
            adapters = (api.llama_adapter_lora_p_ctypes * 1)(lora)
            scales = (ctypes.c_float * 1)(scale)
            if not lora or api.llama_set_adapters_lora(self.context, adapters, 1, scales):
                raise RuntimeError(f"llama.cpp does not take {adapter}")

    def feed(self, tokens):
        """Logits (tokens, vocabulary) of more tokens."""
        count = len(tokens)
        batch = api.llama_batch_init(count, 0, 1)
        batch.n_tokens = count
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i] = int(token), self.length + i
            batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = 1, 0, 1
        status = api.llama_decode(self.context, batch)
        api.llama_batch_free(batch)
        if status:
            raise RuntimeError(f"llama_decode: {status}")
        self.length += count
        at = api.llama_get_logits(self.context)
        return np.ctypeslib.as_array(at, (count, self.vocabulary)).copy()

    def close(self):
        api.llama_free(self.context)
        api.llama_model_free(self.model)


def logits(path, tokens, capacity, **options):
    peer = Peer(path, capacity, **options)
    out = peer.feed(tokens)
    peer.close()
    return out


def greedy(path, tokens, count, capacity):
    """The `count` likeliest tokens one after the other, and the logits they were chosen by."""
    peer = Peer(path, capacity)
    rows = [peer.feed(tokens)[-1]]
    chosen = [int(rows[0].argmax())]
    while len(chosen) < count:
        rows.append(peer.feed(chosen[-1:])[-1])
        chosen.append(int(rows[-1].argmax()))
    peer.close()
    return chosen, np.array(rows)
