"""all-MiniLM-L6-v2 in our three files against the original in sentence-transformers, and against
llama.cpp reading the same files.

    test_minilm.py EMBED_TOOL
"""
import ctypes
import sys

import numpy as np

from peers import KINDS, ORIGINAL, Report, Tool, cosines, model, worst
from texts import make

# The least cosine to the original's float vectors.
LEAST = {"f32": 0.99999, "f16": 0.9999, "q8_0": 0.998}
# llama.cpp takes GELU from a table of halves and rounds rows for Q8_0 as well, so it is itself off the
# original: 0.99999 (F32, F16) and 0.9977 (Q8_0) at worst.
LEAST_LLAMA = {"f32": 0.9999, "f16": 0.9999, "q8_0": 0.997}


def original(texts):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(2)
    peer = SentenceTransformer(str(ORIGINAL), device="cpu")
    # Satchel never lets text become a special token; the original can be told not to, too.
    peer.tokenizer.split_special_tokens = True
    vectors = peer.encode(texts, batch_size=16, normalize_embeddings=True, show_progress_bar=False)
    ids = [peer.tokenizer(text, truncation=False, padding=False)["input_ids"] for text in texts]
    return vectors, ids


def llama(path, ids):
    """Vectors of token ids, text by text, through llama.cpp's C interface."""
    import llama_cpp

    quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    peer = llama_cpp.Llama(str(path), embedding=True, n_ctx=512, n_batch=512, n_ubatch=512,
                           n_threads=2, n_threads_batch=2, verbose=False)
    out = []
    for row in ids:
        batch = llama_cpp.llama_batch_init(len(row), 0, 1)
        batch.n_tokens = len(row)
        for i, token in enumerate(row):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, 1
        if llama_cpp.llama_encode(peer.ctx, batch):
            raise RuntimeError("llama_encode failed")
        found = llama_cpp.llama_get_embeddings_seq(peer.ctx, 0)
        out.append(np.array(found[:peer.n_embd()], np.float32))
        llama_cpp.llama_batch_free(batch)
    plain = ["hello world", "Unaffable naïve cafés, 1,000 of them!", "今天 天气 很好", "größere Städte"]
    tokens = [peer.tokenize(text.encode(), add_bos=True, special=False) for text in plain]
    peer.close()
    return np.stack(out), plain, tokens


def main():
    program = sys.argv[1]
    report = Report()
    texts = make()
    report.check(len(texts) >= 200, f"{len(texts)} texts")
    expected, peer_ids = original(texts)

    ids = Tool(program, model("f32")).tokens(texts)
    wrong = [text for text, ours, theirs in zip(texts, ids, peer_ids) if ours != theirs]
    report.check(not wrong, "tokens are the original's", "\n".join(repr(t[:60]) for t in wrong[:5]))

    for kind in KINDS:
        tool = Tool(program, model(kind))
        vectors = tool.embed(texts)
        found = cosines(vectors, expected)
        report.check(found.min() >= LEAST[kind],
                     f"{kind}: vectors are the original's, cosine >= {LEAST[kind]}",
                     f"least {found.min():.7f}, mean {found.mean():.7f}\n" + worst(found, texts))
        off = np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max()
        report.check(off < 1e-6, f"{kind}: vectors have length 1")
        limit = int(tool.info()["max_tokens"])
        cut = [row if len(row) <= limit else row[:limit - 1] + row[-1:] for row in ids]
        peer, plain, tokens = llama(model(kind), cut)
        found = cosines(vectors, peer)
        report.check(found.min() >= LEAST_LLAMA[kind],
                     f"{kind}: llama.cpp's vectors agree, cosine >= {LEAST_LLAMA[kind]}",
                     f"least {found.min():.7f}, mean {found.mean():.7f}; llama.cpp to the original: "
                     f"{cosines(peer, expected).min():.7f}\n" + worst(found, texts))
        report.check(tool.tokens(plain) == tokens, f"{kind}: llama.cpp's tokens agree")
    report.end()


main()
