"""llama.cpp through llama-cpp-python's low-level interface: logits or vectors of given tokens, and tokens of
texts."""
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


def embeddings(path, rows, capacity):
    """Vectors of length 1 of texts given as ids, one at a time: (texts, dimension)."""
    options = api.llama_model_default_params()
    options.n_gpu_layers = 0
    model = api.llama_model_load_from_file(str(path).encode(), options)
    if not model:
        raise RuntimeError(f"llama.cpp does not load {path}")
    options = api.llama_context_default_params()
    options.n_ctx = options.n_batch = options.n_ubatch = capacity
    options.embeddings = True
    options.flash_attn_type = 0
    options.n_threads = options.n_threads_batch = 1
    context = api.llama_init_from_model(model, options)
    if not context:
        raise RuntimeError(f"llama.cpp makes no context for {path}")
    out = []
    for ids in rows:
        batch = api.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i] = int(token), i
            batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = 1, 0, 1
        if api.llama_encode(context, batch):
            raise RuntimeError("llama_encode failed")
        api.llama_batch_free(batch)
        found = api.llama_get_embeddings_seq(context, 0)
        vector = np.ctypeslib.as_array(found, (api.llama_model_n_embd(model),)).astype(np.float64)
        out.append(vector / np.linalg.norm(vector))
    api.llama_free(context)
    api.llama_model_free(model)
    return np.stack(out)


def tokens(path, texts):
    """Ids of texts, special tokens around them, none in them."""
    options = api.llama_model_default_params()
    options.vocab_only = True
    model = api.llama_model_load_from_file(str(path).encode(), options)
    vocabulary, out = api.llama_model_get_vocab(model), []
    for text in texts:
        data = text.encode()
        ids = (api.llama_token * (len(data) + 8))()
        count = api.llama_tokenize(vocabulary, data, len(data), ids, len(ids), True, False)
        out.append(list(ids[:count]))
    api.llama_model_free(model)
    return out
