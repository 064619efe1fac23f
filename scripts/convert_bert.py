#!/usr/bin/env python3
"""Converts a BERT-family text encoder (a Hugging Face folder) to GGUF.

    convert_bert.py FOLDER --out NAME-{type}.gguf [--type f32 --type f16 --type q8_0]
                    [--query-prefix TEXT] [--document-prefix TEXT] [--name NAME]

MiniLM, BGE, E5 and other models with `BertModel` inside: learned positions, GELU by the error
function, WordPiece. Needs Python 3.9 and NumPy; reads model.safetensors, or pytorch_model.bin without
running what is in it.

Keys, tensor names and tokens are those of llama.cpp for the architecture `bert`. Keys beyond it:

    satchel.max_seq_length          u32     tokens the model was made for, [CLS] and [SEP] included
    satchel.prefix.query            string  what goes before a query; absent: nothing
    satchel.prefix.document         string  what goes before a document; absent: nothing
    satchel.normalize               bool    whether vectors are scaled to length 1
    satchel.tokenizer.split_chinese bool    whether every CJK ideograph is a word
"""

import argparse
import json
import math
import os
import pickle
import re
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

ALIGNMENT = 32
# GGUF's numbers: value types, tensor types, file types, token types, pooling.
U32, I32, F32_VALUE, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_TYPES = {"f32": 0, "f16": 1, "q8_0": 8}
FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7}
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
POOLING = {"mean": 1, "cls": 2}

TENSOR_NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
BLOCK_NAMES = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
# Parts of a checkpoint that play no role in an embedding.
IGNORED = re.compile(r"embeddings\.position_ids|pooler\.|cls\.|classifier\.|lm_head\.")


class Refused(Exception):
    """The folder holds something this converter does not convert."""


def read_json(path, default=None):
    if not path.is_file():
        if default is None:
            raise Refused(f"{path} is missing")
        return default
    return json.loads(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------- checkpoints


def widen_bf16(raw):
    return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")


def read_safetensors(path):
    """Yields (name, array): a length, a JSON header, raw little-endian rows."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        start = 8 + length
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, last = entry["data_offsets"]
            file.seek(start + first)
            raw = file.read(last - first)
            if entry["dtype"] == "BF16":
                data = widen_bf16(raw)
            elif entry["dtype"] in ("F32", "F16"):
                data = np.frombuffer(raw, "<f4" if entry["dtype"] == "F32" else "<f2")
            else:
                if not IGNORED.match(name.removeprefix("bert.")):
                    raise Refused(f"{path}: tensor {name} has type {entry['dtype']}")
                continue
            yield name, data.reshape(entry["shape"])


class CheckpointUnpickler(pickle.Unpickler):
    """Reads the pickle of a PyTorch checkpoint; whatever is not a plain tensor is refused."""

    STORAGES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bf16", "LongStorage": "<i8"}

    def __init__(self, file, archive, root):
        super().__init__(file)
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.rebuild
        if module == "torch" and name in self.STORAGES:
            return self.STORAGES[name]
        raise Refused(f"the checkpoint refers to {module}.{name}, which is no plain tensor")

    def persistent_load(self, identifier):
        kind, storage, key, _device, _count = identifier
        if kind != "storage":
            raise Refused(f"the checkpoint refers to {kind!r}")
        raw = self.archive.read(f"{self.root}/data/{key}")
        return widen_bf16(raw) if storage == "bf16" else np.frombuffer(raw, storage)

    @staticmethod
    def rebuild(storage, offset, shape, stride, *_rest):
        count = math.prod(shape)
        contiguous = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
        if count and tuple(stride) != contiguous:
            raise Refused("the checkpoint holds a tensor that is not contiguous")
        return storage[offset : offset + count].reshape(shape)


def read_pytorch(path):
    if not zipfile.is_zipfile(path):
        raise Refused(f"{path} has PyTorch's old format (before 1.6); save it again as safetensors")
    with zipfile.ZipFile(path) as archive:
        member = next((n for n in archive.namelist() if n.endswith("/data.pkl")), None)
        if member is None:
            raise Refused(f"{path} holds no data.pkl")
        with archive.open(member) as file:
            state = CheckpointUnpickler(file, archive, member.removesuffix("/data.pkl")).load()
    yield from state.items()


def read_tensors(folder):
    """{GGUF name: float32 array}, everything an encoder needs and nothing else."""
    if (folder / "model.safetensors").is_file():
        source = read_safetensors(folder / "model.safetensors")
    elif (folder / "pytorch_model.bin").is_file():
        source = read_pytorch(folder / "pytorch_model.bin")
    else:
        raise Refused(f"{folder} holds neither model.safetensors nor pytorch_model.bin")
    tensors = {}
    for name, data in source:
        name = name.removeprefix("bert.")
        if IGNORED.match(name):
            continue
        stem, _, kind = name.rpartition(".")
        kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)  # names of old checkpoints
        block = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", stem)
        if block and block[2] in BLOCK_NAMES:
            stem = f"blk.{block[1]}.{BLOCK_NAMES[block[2]]}"
        elif stem in TENSOR_NAMES:
            stem = TENSOR_NAMES[stem]
        else:
            raise Refused(f"unknown tensor {name}: this is no plain BERT encoder")
        tensors[f"{stem}.{kind}"] = np.ascontiguousarray(data, dtype=np.float32)
    return tensors


def check_tensors(tensors, config):
    dim, ff = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "token_embd.weight": (config["vocab_size"], dim),
        "position_embd.weight": (config["max_position_embeddings"], dim),
        "token_types.weight": (config.get("type_vocab_size", 2), dim),
        "token_embd_norm.weight": (dim,),
        "token_embd_norm.bias": (dim,),
    }
    for block in range(config["num_hidden_layers"]):
        for part in BLOCK_NAMES.values():
            rows = ff if part == "ffn_up" else dim
            columns = ff if part == "ffn_down" else dim
            shapes[f"blk.{block}.{part}.bias"] = (rows,)
            shapes[f"blk.{block}.{part}.weight"] = (rows,) if "norm" in part else (rows, columns)
    for name, shape in shapes.items():
        if name not in tensors:
            raise Refused(f"tensor {name} is missing")
        if tensors[name].shape != shape:
            raise Refused(f"tensor {name} has shape {tensors[name].shape}, config.json implies {shape}")
    for name in tensors.keys() - shapes.keys():
        raise Refused(f"tensor {name} is more than config.json tells of")
    return {name: tensors[name] for name in shapes}  # in this order, whatever the checkpoint's


# ---------------------------------------------------------------- tokenizer


def token_text(token):
    return token["content"] if isinstance(token, dict) else token


def read_tokenizer(folder, vocab_size):
    """Metadata entries of the WordPiece vocabulary, tokens in llama.cpp's spelling: a piece that
    starts a word carries U+2581, one that continues a word loses its ##."""
    settings = read_json(folder / "tokenizer_config.json", {})
    special = read_json(folder / "special_tokens_map.json", {})
    whole = read_json(folder / "tokenizer.json", {})
    normalizer = {
        "lowercase": settings.get("do_lower_case", True),
        "strip_accents": settings.get("strip_accents"),
        "handle_chinese_chars": settings.get("tokenize_chinese_chars", True),
    }
    added = {}
    if whole:
        model = whole["model"]
        if model.get("type", "WordPiece") != "WordPiece":
            raise Refused(f"the tokenizer is {model['type']}, not WordPiece")
        if model.get("continuing_subword_prefix", "##") != "##":
            raise Refused("pieces inside a word are not marked with ##")
        if model.get("max_input_chars_per_word", 100) != 100:
            raise Refused("the longest word is not 100 characters, as in BERT")
        if (whole.get("normalizer") or {}).get("type") != "BertNormalizer":
            raise Refused("the tokenizer's normalizer is not BERT's")
        normalizer.update({k: v for k, v in whole["normalizer"].items() if k in normalizer})
        vocabulary = model["vocab"]
        for token in whole.get("added_tokens", []):
            vocabulary.setdefault(token["content"], token["id"])
            added[token["id"]] = CONTROL if token["special"] else USER_DEFINED
    else:
        if not (folder / "vocab.txt").is_file():
            raise Refused(f"{folder} holds neither tokenizer.json nor vocab.txt")
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        vocabulary = {line.rstrip("\r"): i for i, line in enumerate(lines)}
    if max(vocabulary.values()) >= vocab_size:
        raise Refused("the vocabulary is larger than config.json says")

    ids = {}
    for role, default in [("cls", "[CLS]"), ("sep", "[SEP]"), ("unk", "[UNK]"), ("pad", "[PAD]"), ("mask", "[MASK]")]:
        token = token_text(special.get(f"{role}_token") or settings.get(f"{role}_token") or default)
        if token in vocabulary:
            ids[role] = vocabulary[token]
            added.setdefault(ids[role], CONTROL)
        elif role not in ("pad", "mask"):
            raise Refused(f"the {role} token {token!r} is not in the vocabulary")

    by_id = {i: token for token, i in vocabulary.items()}
    tokens, types = [], []
    for i in range(vocab_size):
        token, kind = by_id.get(i), added.get(i, NORMAL)
        if token is None:
            token, kind = f"[PAD{i}]", UNUSED
        if kind != CONTROL:
            token = token[2:] if token.startswith("##") else "\u2581" + token
        tokens.append(token)
        types.append(kind)

    strip = normalizer["strip_accents"]
    strip = bool(normalizer["lowercase"]) if strip is None else bool(strip)
    entries = [
        ("tokenizer.ggml.model", STRING, "bert"),
        ("tokenizer.ggml.pre", STRING, "jina-v2-en"),  # llama.cpp's name for BERT's own splitting
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, types)),
        ("tokenizer.ggml.bos_token_id", U32, ids["cls"]),
        ("tokenizer.ggml.eos_token_id", U32, ids["sep"]),
        ("tokenizer.ggml.unknown_token_id", U32, ids["unk"]),
        ("tokenizer.ggml.seperator_token_id", U32, ids["sep"]),  # spelt so in the format
        ("tokenizer.ggml.cls_token_id", U32, ids["cls"]),  # read by older versions of llama.cpp
        ("tokenizer.ggml.add_bos_token", BOOL, True),
        ("tokenizer.ggml.add_eos_token", BOOL, True),
        ("tokenizer.ggml.add_sep_token", BOOL, False),
        ("tokenizer.ggml.normalizer.lowercase", BOOL, bool(normalizer["lowercase"])),
        ("tokenizer.ggml.normalizer.strip_accents", BOOL, strip),
        ("satchel.tokenizer.split_chinese", BOOL, bool(normalizer["handle_chinese_chars"])),
    ]
    for role, key in [("pad", "padding"), ("mask", "mask")]:
        if role in ids:
            entries.append((f"tokenizer.ggml.{key}_token_id", U32, ids[role]))
    return entries


# ---------------------------------------------------------------- configuration


def read_pooling(folder):
    """(pooling number, whether vectors are normalised), from the sentence-transformers modules.
    A folder without them is a plain encoder: mean, normalised."""
    modules = read_json(folder / "modules.json", [])
    pooling, normalize = POOLING["mean"], not modules
    for module in modules:
        kind = module["type"].rpartition(".")[2]
        if kind == "Pooling":
            settings = read_json(folder / module["path"] / "config.json")
            modes = [k for k, v in settings.items() if k.startswith("pooling_mode_") and v]
            names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
            mode = settings.get("pooling_mode")
            if mode is None and len(modes) == 1:
                mode = names.get(modes[0], modes[0])
            if mode not in POOLING:
                raise Refused(f"pooling is {mode or modes}; mean and cls are known")
            pooling = POOLING[mode]
        elif kind == "Normalize":
            normalize = True
        elif kind != "Transformer":
            raise Refused(f"the model has a {kind} module after the encoder")
    return pooling, normalize


def find_license(folder):
    path = folder / "README.md"
    head = path.read_text(encoding="utf-8").split("\n---", 1)[0] if path.is_file() else ""
    match = re.search(r"^license: *(\S+)", head, re.M)
    return match[1] if match else None


def read_model(folder, options):
    """(metadata entries, tensors). Entries without the file type, which differs by file."""
    config = read_json(folder / "config.json")
    if config.get("model_type") != "bert":
        raise Refused(f"model_type is {config.get('model_type')!r}; only 'bert' is converted")
    if config.get("hidden_act", "gelu") != "gelu":
        raise Refused(f"the activation is {config['hidden_act']!r}; only 'gelu' (by erf) is converted")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise Refused("positions are not learned absolute ones")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise Refused("hidden_size is no multiple of num_attention_heads")
    pooling, normalize = read_pooling(folder)
    sentence = read_json(folder / "sentence_bert_config.json", {})
    positions = config["max_position_embeddings"]
    limit = min(sentence.get("max_seq_length") or positions, positions)

    prompts = read_json(folder / "config_sentence_transformers.json", {}).get("prompts") or {}
    query, document = options.query_prefix, options.document_prefix
    if query is None:
        query = prompts.get("query", "")
    if document is None:
        document = prompts.get("document", prompts.get("passage", ""))

    name = options.name or Path(config.get("_name_or_path") or "").name or folder.resolve().name
    entries = [
        ("general.architecture", STRING, "bert"),
        ("general.type", STRING, "model"),
        ("general.name", STRING, name),
    ]
    if license_name := find_license(folder):
        entries.append(("general.license", STRING, license_name))
    entries += [
        ("general.quantization_version", U32, 2),
        ("bert.block_count", U32, config["num_hidden_layers"]),
        ("bert.context_length", U32, positions),
        ("bert.embedding_length", U32, config["hidden_size"]),
        ("bert.feed_forward_length", U32, config["intermediate_size"]),
        ("bert.attention.head_count", U32, config["num_attention_heads"]),
        ("bert.attention.layer_norm_epsilon", F32_VALUE, config.get("layer_norm_eps", 1e-12)),
        ("bert.attention.causal", BOOL, False),
        ("bert.pooling_type", U32, pooling),
        ("tokenizer.ggml.token_type_count", U32, config.get("type_vocab_size", 2)),
        *read_tokenizer(folder, config["vocab_size"]),
        ("satchel.max_seq_length", U32, limit),
        ("satchel.normalize", BOOL, normalize),
    ]
    if query:
        entries.append(("satchel.prefix.query", STRING, query))
    if document:
        entries.append(("satchel.prefix.document", STRING, document))
    return entries, check_tensors(read_tensors(folder), config)


# ---------------------------------------------------------------- writing


def quantize_q8_0(data):
    """Blocks of 32: a half-precision scale, then 32 signed bytes, rounded half away from zero.
    Single precision throughout, as in llama.cpp, so that the bytes are the same."""
    blocks = data.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore"):
        inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale)
    scaled = blocks * inverse
    size = np.abs(scaled)
    whole = np.floor(size)
    rounded = np.copysign(whole + np.floor(2 * (size - whole)), scaled)
    out = np.empty((len(blocks), 34), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8)
    out[:, 2:] = rounded.astype(np.int8).view(np.uint8)
    return out


def stored_type(name, data, wanted):
    """As llama.cpp stores it: vectors, norms, positions and token types stay F32."""
    if data.ndim < 2 or name in ("position_embd.weight", "token_types.weight"):
        return "f32"
    return "f16" if wanted == "q8_0" and data.shape[-1] % 32 else wanted


def encode_tensor(data, kind):
    if kind == "q8_0":
        return quantize_q8_0(data).tobytes()
    return data.astype("<f4" if kind == "f32" else "<f2").tobytes()


def encode_string(text):
    raw = text.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw


def encode_value(kind, value):
    if kind == STRING:
        return encode_string(value)
    if kind == ARRAY:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(encode_value(inner, item) for item in items)
    return struct.pack({U32: "<I", I32: "<i", F32_VALUE: "<f", BOOL: "<?"}[kind], value)


def write_gguf(path, entries, tensors, wanted):
    entries = entries[:3] + [("general.file_type", U32, FILE_TYPES[wanted])] + entries[3:]
    infos, payload, offset = [], [], 0
    for name, data in tensors.items():
        kind = stored_type(name, data, wanted)
        raw = encode_tensor(data, kind)
        shape = data.shape[::-1]  # GGUF counts from the fastest dimension
        infos.append(
            encode_string(name)
            + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, TENSOR_TYPES[kind], offset)
        )
        payload += [raw, bytes(-len(raw) % ALIGNMENT)]
        offset += len(raw) + -len(raw) % ALIGNMENT
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    for key, kind, value in entries:
        head += encode_string(key) + struct.pack("<I", kind) + encode_value(kind, value)
    head += b"".join(infos)
    # A reader never sees half a file: write beside it, then rename.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with open(partial, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        file.writelines(payload)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    print(f"{path}: {wanted.upper()}, {path.stat().st_size / 1e6:.1f} MB")


def main():
    parser = argparse.ArgumentParser(description="Converts a BERT-family text encoder to GGUF.")
    parser.add_argument("folder", type=Path, help="folder with config.json, weights and tokenizer")
    parser.add_argument("--out", required=True, help="output path; {type} stands for the weight type")
    parser.add_argument("--type", action="append", choices=list(TENSOR_TYPES), help="weight type; may be repeated")
    parser.add_argument("--name", help="the model's name (default: as config.json says)")
    parser.add_argument("--query-prefix", help='text before queries, such as "query: " for E5')
    parser.add_argument("--document-prefix", help='text before documents, such as "passage: " for E5')
    options = parser.parse_args()
    types = options.type or ["f32", "f16", "q8_0"]
    if len(types) > 1 and "{type}" not in options.out:
        parser.error("several types need {type} in --out")
    try:
        entries, tensors = read_model(options.folder, options)
        for wanted in types:
            write_gguf(Path(options.out.replace("{type}", wanted)), entries, tensors, wanted)
    except (Refused, OSError) as error:
        print(f"convert_bert: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
