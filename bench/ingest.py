#!/usr/bin/env python3
"""How fast a folder is indexed, and where the time goes.

    bench/ingest.py FOLDER [--model GGUF] [--limit FILES]

Copies nothing: the folder is synced into a store in a temporary folder, once cold, then once more
with nothing changed, then once after one file in a hundred was touched with new content (in a copy
made of links, so that FOLDER itself is never written).
"""
import argparse
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bindings", "python"))
import satchel  # noqa: E402


def sync(store, folder):
    start = time.time()
    done = None
    for event in store.sync(folder, root="bench"):
        if isinstance(event, satchel.SyncDoneEvent):
            done = event
    return time.time() - start, done


def report(name, seconds, done):
    print("%-22s %7.2f s  %8.1f files/s  %7.2f MB/s   added %d changed %d unchanged %d failed %d skipped %d"
          % (name, seconds, (done.added + done.changed + done.unchanged) / seconds,
             done.bytes / 1e6 / seconds, done.added, done.changed, done.unchanged, done.failed,
             done.skipped))
    print("    chunks %d (embedded %d, reused %d); read %.2f s, keywords %.2f s, embed %.2f s, write %.2f s"
          % (done.chunks, done.chunks_embedded, done.chunks_reused, done.read_ms / 1e3,
             done.keyword_ms / 1e3, done.embed_ms / 1e3, done.write_ms / 1e3), flush=True)


def mirror(folder, target, limit):
    """Regular text files of `folder` under `target`, as copies; returns their paths."""
    paths = []
    for base, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            source = os.path.join(base, name)
            if name.rsplit(".", 1)[-1].lower() not in ("txt", "md", "html", "htm", "rst", "pod"):
                continue
            if os.path.islink(source) or not os.path.isfile(source):
                continue
            path = os.path.join(target, os.path.relpath(source, folder))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copyfile(source, path)
            paths.append(path)
            if len(paths) == limit:
                return paths
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    cache = os.environ.get("SATCHEL_CACHE", os.path.expanduser("~/.cache/satchel"))
    parser.add_argument("--model", default=os.path.join(cache, "all-minilm-l6-v2-q8_0.gguf"))
    parser.add_argument("--limit", type=int, default=0, help="at most this many files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        paths = mirror(arguments.folder, os.path.join(work, "files"), arguments.limit)
        size = sum(os.path.getsize(p) for p in paths)
        print("%d files, %.1f MB" % (len(paths), size / 1e6))
        for name, model in (("keywords only", None), ("with vectors", satchel.Model(arguments.model))):
            store = satchel.Store(os.path.join(work, name.replace(" ", "-") + ".satchel"), embedder=model)
            folder = os.path.join(work, "files")
            report(name + ", cold", *sync(store, folder))
            report(name + ", unchanged", *sync(store, folder))
            for path in paths[::100]:
                with open(path, "a", encoding="utf-8") as out:
                    out.write("\nOne more line, written by hand.\n")
            report(name + ", 1 % edited", *sync(store, folder))
            store.close()


if __name__ == "__main__":
    main()
