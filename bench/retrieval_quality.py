#!/usr/bin/env python3
"""Retrieval quality of Satchel on public test collections: nDCG@10, extractive answers, refusals.

    bench/retrieval_quality.py DATA [--model GGUF] [--only cranfield,npl,xquad-en,...] [--dump FILE]

DATA holds cranfield/, npl/ and xquad/ as their publishers give them. Everything goes through the
public Python binding, as an application would: documents are added with add_text and found with
search and ask. nDCG@10 uses the collections' own judgements; a document counts once, at the
rank of its best chunk.
"""
import argparse
import json
import math
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bindings", "python"))
import satchel  # noqa: E402


def read_cranfield(folder):
    def items(name, tag):
        text = open(os.path.join(folder, name), encoding="utf-8").read()
        return re.findall(r'<%s id="(\d+)">(.*?)</%s>' % (tag, tag), text, re.S)

    documents = {i: t.strip() for i, t in items("cran.doc.1400.xml", "doc")}
    queries = {i: t.strip() for i, t in items("cran.query.225.xml", "query")}
    judged = {i: set(t.split()) for i, t in items("cran.res.225.xml", "res")}
    return documents, queries, judged


def read_npl(folder):
    def items(name, pattern):
        text = open(os.path.join(folder, name), encoding="utf-8").read()
        return {i: " ".join(t.split()) for i, t in re.findall(pattern, text, re.S)}

    documents = items("doc-text.trec", r"<DOCNO>(\d+)</DOCNO>(.*?)</DOC>")
    queries = items("query-text.trec", r"<num>(\d+)</num><title>(.*?)</title>")
    judged = {}
    for line in open(os.path.join(folder, "qrels")):
        query, _, document, relevant = line.split()
        if int(relevant) > 0:
            judged.setdefault(query, set()).add(document)
    return documents, queries, judged


def read_xquad(path):
    """Passages, and questions as (text, passage id, answers)."""
    passages, questions = {}, {}
    for article in json.load(open(path, encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            name = "p%03d" % len(passages)
            passages[name] = paragraph["context"]
            for qa in paragraph["qas"]:
                questions[qa["id"]] = (qa["question"], name, [a["text"] for a in qa["answers"]])
    return passages, questions


def ndcg10(ranked, relevant):
    gain = sum(1 / math.log2(r + 2) for r, d in enumerate(ranked[:10]) if d in relevant)
    ideal = sum(1 / math.log2(r + 2) for r in range(min(10, len(relevant))))
    return gain / ideal if ideal else 0.0


def ranked_documents(store, query, mode):
    seen = []
    for hit in store.search(query, k=60, mode=mode):
        if hit.document_id not in seen:
            seen.append(hit.document_id)
    return seen


def build(folder, name, documents, model):
    store = satchel.Store(os.path.join(folder, name + ".satchel"), embedder=model)
    start = time.time()
    for identifier, text in documents.items():
        store.add_text(identifier, text, defer_embedding=True)
    keywords = time.time() - start
    store.maintain()
    print("%-12s %6d documents, keywords %.1f s, vectors %.1f s"
          % (name, len(documents), keywords, time.time() - start - keywords), flush=True)
    return store


def measure_ranking(store, queries, judged, dump):
    row = {}
    for mode in ("keyword", "vector", "hybrid"):
        total = 0.0
        for query, text in queries.items():
            ranked = ranked_documents(store, text, mode)
            value = ndcg10(ranked, judged.get(query, ()))
            total += value
            dump.append({"query": query, "mode": mode, "ndcg10": value, "ranked": ranked[:10]})
        row[mode] = total / len(queries)
    return row


def ask(store, question, **options):
    """The quoted sentences, best first, and the confidence."""
    quotes, confidence, refused = [], 0.0, False
    answer = b""
    for event in store.ask(question, **options):
        if isinstance(event, satchel.TokenEvent):
            answer += event.text.encode("utf-8")
        elif isinstance(event, satchel.CitationEvent):
            quotes.append((event.score, event.document_id,
                           answer[event.answer.start:event.answer.end].decode("utf-8")))
        elif isinstance(event, satchel.RefusalEvent):
            refused = True
        elif isinstance(event, satchel.DoneEvent):
            confidence = event.confidence
    quotes.sort(key=lambda q: -q[0])
    return [(d, t) for _, d, t in quotes], confidence, refused


def measure_answers(store, passages, questions, dump):
    best1 = best2 = answered = refused = 0
    for identifier, (question, gold, answers) in questions.items():
        quotes, confidence, _ = ask(store, question, max_sentences=2, refusal_threshold=-1.0)
        hit1 = any(a in t for _, t in quotes[:1] for a in answers)
        hit2 = any(a in t for _, t in quotes[:2] for a in answers)
        best1 += hit1
        best2 += hit2
        with_gold = not ask(store, question)[2]
        answered += with_gold
        without, weak, was_refused = ask(
            store, question, filter=json.dumps({"not": {"path": gold}}))
        refused += was_refused
        dump.append({"question": identifier, "best1": hit1, "best2": hit2, "confidence": confidence,
                     "confidence_without_gold": weak, "quotes": quotes[:2]})
    n = len(questions)
    return {"best 1": best1 / n, "best 2": best2 / n, "answered": answered / n,
            "refused without the passage": refused / n}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    cache = os.environ.get("SATCHEL_CACHE", os.path.expanduser("~/.cache/satchel"))
    parser.add_argument("--model", default=os.path.join(cache, "all-minilm-l6-v2-f32.gguf"))
    parser.add_argument("--only", default="cranfield,npl,xquad-en,xquad-de,xquad-zh")
    parser.add_argument("--dump", help="write per-query values as JSON lines")
    arguments = parser.parse_args()

    model = satchel.Model(arguments.model)
    dump = []
    rankings, answers = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only.split(","):
            if name.startswith("xquad-"):
                passages, questions = read_xquad(
                    os.path.join(arguments.data, "xquad", "xquad.%s.json" % name[6:]))
                store = build(folder, name, passages, model)
                rankings[name] = measure_ranking(
                    store, {i: q for i, (q, _, _) in questions.items()},
                    {i: {g} for i, (_, g, _) in questions.items()}, dump)
                answers[name] = measure_answers(store, passages, questions, dump)
            else:
                reader = {"cranfield": read_cranfield, "npl": read_npl}[name]
                documents, queries, judged = reader(os.path.join(arguments.data, name))
                store = build(folder, name, documents, model)
                rankings[name] = measure_ranking(store, queries, judged, dump)
            store.close()
    print("\nnDCG@10        keyword  vector  hybrid")
    for name, row in rankings.items():
        print("%-14s %7.3f %7.3f %7.3f" % (name, row["keyword"], row["vector"], row["hybrid"]))
    if answers:
        print("\nanswers        best 1  best 2  answered  refused without the passage")
        for name, row in answers.items():
            print("%-14s %6.3f %7.3f %9.3f %12.3f" % (name, *row.values()))
    if arguments.dump:
        with open(arguments.dump, "w", encoding="utf-8") as out:
            for line in dump:
                out.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
