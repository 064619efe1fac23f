#!/usr/bin/env python3
"""Retrieval quality of Satchel on public test collections: nDCG@10, extractive answers, refusals.

    bench/retrieval_quality.py DATA [--model GGUF | --keywords] [--only cranfield,npl,xquad-en,...]
                               [--dump FILE]

DATA holds cranfield/, npl/ and xquad/ as their publishers give them. Everything goes through the
public Python binding, as an application would: documents are added with add_text and found with
search and ask.

nDCG@10 uses the collections' own judgements, binary; a document counts once, at the rank of its best
passage. An answer is right if a quoted sentence comes from the gold passage and holds the gold answer. For the
refusals each gold passage is removed from the store, its questions are asked, and it is added again:
a filter would leave the collection's statistics as if it were still there.
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

ALL = "cranfield,npl,xquad-en,xquad-de,xquad-zh"
#: What the answers aim at, and what a ranking must reach.
LEAST_NDCG = {"cranfield": .56, "npl": .49, "xquad-en": .978, "xquad-de": .94, "xquad-zh": .95}
LEAST_ANSWERS = {"xquad-en": (.77, .87, .95, .75), "xquad-de": (.62, .73, None, None),
                 "xquad-zh": (.64, .77, None, None)}
ANSWERED = 0.95  # share of the answerable questions at which collections are compared


# ---------------------------------------------------------------- collections


def squeeze(text):
    return " ".join(text.split())


def read_cranfield(folder):
    def items(name, tag):
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return re.findall(r'<%s id="(\d+)">(.*?)</%s>' % (tag, tag), file.read(), re.S)

    documents = {i: squeeze(t) for i, t in items("cran.doc.1400.xml", "doc")}
    queries = {i: squeeze(t) for i, t in items("cran.query.225.xml", "query")}
    judged = {i: set(t.split()) for i, t in items("cran.res.225.xml", "res")}
    return documents, queries, judged


def read_npl(folder):
    def items(name, pattern):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return {i: squeeze(t) for i, t in re.findall(pattern, file.read(), re.S)}

    documents = items("doc-text.trec", r"<DOCNO>(\d+)</DOCNO>(.*?)</DOC>")
    queries = items("query-text.trec", r"<num>(\d+)</num><title>(.*?)</title>")
    judged = {}
    with open(os.path.join(folder, "qrels"), encoding="utf-8") as file:
        for line in file:
            query, _, document, relevant = line.split()
            if int(relevant) > 0:
                judged.setdefault(query, set()).add(document)
    return documents, queries, judged


def read_xquad(folder, language):
    """Passages, and questions as id: (text, id of the gold passage, answers)."""
    passages, questions = {}, {}
    with open(os.path.join(folder, "xquad.%s.json" % language), encoding="utf-8") as file:
        articles = json.load(file)["data"]
    for article in articles:
        for paragraph in article["paragraphs"]:
            name = "p%03d" % len(passages)
            passages[name] = paragraph["context"]
            for qa in paragraph["qas"]:
                answers = [a["text"] for a in qa["answers"]]
                questions[qa["id"]] = (qa["question"].strip(), name, answers)
    return passages, questions


# ---------------------------------------------------------------- measures


def mean(values):
    return sum(values) / len(values)


def quantile(values, share):
    """Between the two values nearest to the share, as most programs do it."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def ndcg10(ranked, relevant):
    gain = sum(1 / math.log2(r + 2) for r, d in enumerate(ranked[:10]) if d in relevant)
    return gain / sum(1 / math.log2(r + 2) for r in range(min(10, len(relevant))))


def build(folder, name, documents, model):
    store = satchel.Store(os.path.join(folder, name + ".satchel"), embedder=model)
    start = time.time()
    for identifier, text in documents.items():
        store.add_text(identifier, text, defer=True)
    keywords = time.time() - start
    if model:
        store.maintain()
    print("%-10s %6d documents, %6d passages; keywords %.1f s, vectors %.1f s"
          % (name, len(documents), store.stats().chunks, keywords, time.time() - start - keywords),
          flush=True)
    return store


def measure_ranking(name, store, queries, judged, modes, dump):
    row = {}
    start = time.time()
    for mode in modes:
        values = []
        for query, text in queries.items():
            if query not in judged:
                continue
            hits = store.search(text, k=50, mode=mode)
            ranked = list(dict.fromkeys(hit.document_id for hit in hits))
            values.append(ndcg10(ranked, judged[query]))
            dump({"collection": name, "query": query, "mode": mode, "ndcg10": values[-1],
                  "hits": [[h.document_id, h.score, h.keyword_score, h.vector_score]
                           for h in hits[:20]]})
        row[mode] = mean(values)
    print("%-10s %s  (%.1f ms a search)"
          % (name, "  ".join("%s %.4f" % item for item in row.items()),
             (time.time() - start) * 1e3 / len(modes) / len(queries)), flush=True)
    return row


def measure_answers(name, store, passages, questions, dump):
    best1, best2, with_gold, without, threshold = [], [], {}, {}, None
    start = time.time()
    for identifier, (question, gold, answers) in questions.items():
        answer = store.ask(question, max_sentences=2, refusal_threshold=-1.0).collect()
        quotes = [(c.document_id, answer.text.encode()[c.answer.start:c.answer.end].decode(),
                   c.score, c.verified) for c in answer.citations]
        right = [q[0] == gold and any(a in q[1] for a in answers) for q in quotes]
        best1.append(any(right[:1]))
        best2.append(any(right[:2]))
        with_gold[identifier] = answer.done.confidence
        dump({"collection": name, "question": identifier, "best1": best1[-1], "best2": best2[-1],
              "confidence": answer.done.confidence, "quotes": quotes})
    seconds = time.time() - start
    for gold, text in passages.items():
        asked = [i for i, q in questions.items() if q[1] == gold]
        store.remove(gold)
        for identifier in asked:
            answer = store.ask(questions[identifier][0]).collect()
            without[identifier] = answer.done.confidence
            if answer.refusal:
                threshold = answer.refusal.threshold
            dump({"collection": name, "question": identifier, "removed": gold,
                  "confidence": answer.done.confidence, "refused": answer.refusal is not None})
        store.add_text(gold, text)
    given, taken = list(with_gold.values()), list(without.values())
    own = quantile(given, 1 - ANSWERED)
    row = {"best": mean(best1), "best two": mean(best2), "threshold": threshold,
           "answered": mean([c >= threshold for c in given]),
           "refused": mean([c < threshold for c in taken]),
           "own": own, "own refused": mean([c < own for c in taken])}
    print("%-10s %s  (%.1f ms an answer)" % (
        name, "  ".join("%s %.3f" % item for item in row.items()),
        seconds * 1e3 / len(questions)), flush=True)
    return row


# ---------------------------------------------------------------- report


def mark(value, least):
    return "%.3f%s" % (value, "" if least is None or value >= least else " < %.3f!" % least)


def report(rankings, answers, modes):
    print("\nnDCG@10     " + "".join("%10s" % m for m in modes) + "   at least")
    for name, row in rankings.items():
        print("%-12s" % name + "".join("%10.4f" % row[m] for m in modes)
              + "%11.3f" % LEAST_NDCG[name])
    if answers:
        print("\nanswers     gold answer in best / best two   at the shipped threshold:      "
              "with %.0f %% answered:\n%41s answered, refused*               refused* (threshold)"
              % (100 * ANSWERED, ""))
        for name, row in answers.items():
            least = LEAST_ANSWERS[name]
            print("%-12s %-32s %-30s %.3f (%.3f)" % (
                name, mark(row["best"], least[0]) + " / " + mark(row["best two"], least[1]),
                mark(row["answered"], least[2]) + ", " + mark(row["refused"], least[3]),
                row["own refused"], row["own"]))
        print("* of the questions whose passage was removed")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    cache = os.environ.get("SATCHEL_CACHE", os.path.expanduser("~/.cache/satchel"))
    parser.add_argument("--model", default=os.path.join(cache, "all-minilm-l6-v2-f32.gguf"))
    parser.add_argument("--keywords", action="store_true", help="no model")
    parser.add_argument("--only", default=ALL)
    parser.add_argument("--ranking", action="store_true", help="no answers")
    parser.add_argument("--dump", help="write per-query values as JSON lines")
    arguments = parser.parse_args()

    model = None if arguments.keywords else satchel.Model(arguments.model)
    modes = ["keyword"] if arguments.keywords else ["keyword", "vector", "hybrid"]
    out = open(arguments.dump, "w", encoding="utf-8") if arguments.dump else None

    def dump(row):
        if out:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")

    rankings, answers = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only.split(","):
            if name.startswith("xquad-"):
                documents, questions = read_xquad(os.path.join(arguments.data, "xquad"), name[6:])
                queries = {i: q for i, (q, _, _) in questions.items()}
                judged = {i: {g} for i, (_, g, _) in questions.items()}
            else:
                reader = {"cranfield": read_cranfield, "npl": read_npl}[name]
                documents, queries, judged = reader(os.path.join(arguments.data, name))
                questions = {}
            store = build(folder, name, documents, model)
            rankings[name] = measure_ranking(name, store, queries, judged, modes, dump)
            if questions and not arguments.ranking:
                answers[name] = measure_answers(name, store, documents, questions, dump)
            store.close()
    report(rankings, answers, modes)
    if out:
        out.close()


if __name__ == "__main__":
    main()
