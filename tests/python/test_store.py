"""Stores: documents in, passages and answers out, and what goes wrong on the way."""
import copy
import datetime
import gc
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import unittest
import unittest.mock
from contextlib import closing

import support
import satchel


class WithStore(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.embedder = support.HashEmbedder()
        self.store = satchel.Store(self.store_path, embedder=self.embedder)
        self.addCleanup(self.store.close)


class Documents(WithStore):
    def test_add_search_remove(self):
        self.store.add_text("bread", "Bread needs flour and salt.")
        self.store.add_text("lease", "The lease ends in March.", title="Flat")
        hits = self.store.search("When does the lease end?", k=1)
        self.assertEqual(len(hits), 1)
        hit = hits[0]
        self.assertEqual(hit.document_id, "lease")
        self.assertEqual(hit.title, "Flat")
        self.assertEqual(hit.text, "The lease ends in March.")
        self.assertEqual((hit.start, hit.end), (0, 24))
        self.assertIsInstance(hit.score, float)
        self.store.remove("lease")
        self.assertNotIn("lease", [h.document_id for h in self.store.search("lease")])
        with self.assertRaises(satchel.NotFound):
            self.store.remove("lease")

    def test_offsets_in_all_three_units(self):
        before = "# Häuser 🏠🏠\n\nDie Miete ist fällig. 😀\n\n# Ende\n\n"
        text = before + "Der Mietvertrag für die Wohnung endet im März. 🏠\n"
        self.store.add_text("flat", text, media_type="text/markdown")
        stored = self.store.text("flat")
        hits = self.store.search("Mietvertrag Wohnung März")
        self.assertTrue(hits)
        for hit in hits:
            self.assertEqual(stored.encode()[hit.start:hit.end].decode(), hit.text)
            utf16 = stored.encode("utf-16-le")
            self.assertEqual(utf16[2 * hit.start_utf16:2 * hit.end_utf16].decode("utf-16-le"),
                             hit.text)
            self.assertEqual(stored[hit.start_char:hit.end_char], hit.text)
            snippet = hit.snippet_range
            self.assertEqual(stored.encode()[snippet.start:snippet.end].decode(), hit.snippet)
            for match in hit.matches:
                self.assertLess(match.start, match.end)
                self.assertGreaterEqual(match.start, hit.start)
        best = hits[0]
        words = {stored.encode()[m.start:m.end].decode() for m in best.matches}
        self.assertIn("März", words)

    def test_what_a_hit_reads_later_outlives_the_store(self):
        self.store.add_text("a", "Bread, and more bread.", metadata={"k": ["v"]})
        hits = self.store.search("bread")
        again = self.store.search("bread")[0]
        asked = [event for event in self.store.ask("bread?") if event.kind == "hits"][0].hits[0]
        self.store.close()
        copies = [copy.copy(hits[0]), copy.deepcopy(hits[0]), pickle.loads(pickle.dumps(hits[0]))]
        del hits
        gc.collect()
        for hit in (again, asked, *copies):
            self.assertEqual([hit.text[m.start:m.end].lower() for m in hit.matches], ["bread"] * 2)
            self.assertEqual(hit.metadata, {"k": ["v"]})
            self.assertIs(hit.metadata, hit.metadata)
            self.assertEqual(hit.snippet, hit.text)
            self.assertIn("matches=(Range", repr(hit))
        self.assertEqual(copies[0], again)
        with self.assertRaises(AttributeError):
            again.nothing
        with self.assertRaises(AttributeError):
            again.matches = ()

    def test_results_are_freed_with_the_last_hit(self):
        self.store.add_text("a", "Bread.")
        self.store.search("bread")  # what the store itself then keeps
        before = self.store._context.memory()[0]
        hits = self.store.search("bread")
        last = hits[0]
        del hits
        self.assertGreater(self.store._context.memory()[0], before)
        del last
        self.assertEqual(self.store._context.memory()[0], before)

    def test_text_is_kept_as_given(self):
        for text in ("a\0b", "\ufefftext", "line\r\n  end ", "e\u0301", "日本語テキスト"):
            self.store.add_text("t", text)
            self.assertEqual(self.store.text("t"), text)
        with self.assertRaises(satchel.InvalidText):
            self.store.add_text("t", "\ud800")
        with self.assertRaises(satchel.NotFound):
            self.store.text("none")

    def test_metadata_filters_and_listing(self):
        when = datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)
        self.store.add_text("notes/a", "The lease ends.", metadata={"author": "Ada", "year": 1843})
        self.store.add_text("notes/b", "The lease begins.",
                            metadata={"author": "Bob", "tags": ["x"]}, modified=when)
        self.store.add_text("other/c", "The lease is long.")
        ids = [d.id for d in self.store.documents()]
        self.assertEqual(ids, ["notes/a", "notes/b", "other/c"])
        listed = self.store.documents({"path": "notes/*"})
        self.assertEqual([d.id for d in listed], ["notes/a", "notes/b"])
        self.assertEqual(listed[0].metadata, {"author": "Ada", "year": 1843})
        self.assertEqual(listed[1].metadata["tags"], ["x"])
        self.assertEqual(listed[1].modified_ms, 1709164800000)
        self.assertEqual([d.id for d in self.store.documents(limit=1, offset=1)], ["notes/b"])
        found = self.store.search("lease", filter={"meta.author": "Ada"})
        self.assertEqual([h.document_id for h in found], ["notes/a"])
        self.assertEqual(found[0].metadata["author"], "Ada")
        self.assertEqual(len(self.store.search("lease", filter='{"path":"notes/*"}')), 2)
        with self.assertRaises(satchel.InvalidFilter):
            self.store.search("lease", filter={"nonsense": 1})
        with self.assertRaises(satchel.InvalidMetadata):
            self.store.add_text("x", "text", metadata={"deep": {"er": 1}})

    def test_bytes_in_several_encodings(self):
        text = "Der Vertrag endet im März."
        for name, data in (("utf8.txt", text.encode()), ("utf16.txt", text.encode("utf-16")),
                           ("latin.txt", text.encode("latin-1"))):
            self.store.add_bytes(name, data)
            self.assertEqual(self.store.text(name), text)
        self.store.add_bytes("view.txt", memoryview(bytearray(text.encode()))[4:])
        self.assertEqual(self.store.text("view.txt"), text[4:])
        self.store.add_bytes("empty.txt", b"")
        self.assertEqual(self.store.text("empty.txt"), "")

    def test_descriptor(self):
        path = self.folder / "file.bin"
        path.write_bytes(b"....The lease ends....")
        with open(path, "rb") as file:
            self.store.add_fd("part", file.fileno(), 4, 14, media_type="text/plain")
            self.assertEqual(self.store.text("part"), "The lease ends")

    def test_must_be_new_and_ids(self):
        self.store.add_text("a", "one")
        with self.assertRaises(satchel.Exists):
            self.store.add_text("a", "two", must_be_new=True)
        for bad in ("", "a\nb", "x" * 1025):
            with self.assertRaises(satchel.SatchelError):
                self.store.add_text(bad, "text")
        with self.assertRaises(ValueError):
            self.store.add_text("nul\0", "text")

    def test_deferred_embedding(self):
        self.store.add_text("a", "The lease ends.", defer=True)
        self.assertEqual(self.store.stats().chunks_pending, 1)
        self.assertEqual(self.store.search("lease", mode="keyword")[0].document_id, "a")
        self.assertEqual(self.store.maintain(), 0)
        stats = self.store.stats()
        self.assertEqual((stats.chunks_pending, stats.chunks_embedded), (0, 1))
        self.assertTrue(stats.has_model)
        self.assertEqual(stats.dimension, 64)

    def test_maintain_goes_on_after_the_embedding(self):
        words = " ".join(f"word{i}" for i in range(700_000))
        self.store.add_text("gone", words, defer=True)
        self.store.remove("gone")
        self.store.add_text("a", "The lease ends.")

        def free_pages():
            with closing(sqlite3.connect(self.store_path)) as file:
                return file.execute("PRAGMA freelist_count").fetchone()[0]
        self.assertGreater(free_pages(), 1000)
        with unittest.mock.patch("satchel._store._SLICE_MS", 1):
            self.assertEqual(self.store.maintain(), 0)
        self.assertLess(free_pages(), 500)  # so few are kept for the next text

    def test_verify_and_backup(self):
        self.store.add_text("a", "The lease ends.")
        self.assertEqual(self.store.verify(), [])
        copy = self.folder / "copy.satchel"
        self.store.backup(copy)
        with satchel.Store(copy, must_exist=True, read_only=True) as other:
            self.assertEqual([d.id for d in other.documents()], ["a"])
            with self.assertRaises(satchel.ReadOnly):
                other.add_text("b", "text")
        with self.assertRaises(satchel.Exists):
            self.store.backup(copy)

    def test_reopened(self):
        self.store.add_text("a", "The lease ends.")
        self.store.close()
        with satchel.Store(self.store_path, embedder=self.embedder) as again:
            self.assertEqual(again.search("lease")[0].document_id, "a")
            self.assertEqual(again.stats().chunks_embedded, 1)
        with self.assertRaises(satchel.NotFound):
            satchel.Store(self.folder / "none.satchel", must_exist=True)
        (self.folder / "junk").write_text("no database, but long enough to look like a file" * 30)
        with self.assertRaises(satchel.NotAStore):
            satchel.Store(self.folder / "junk")

    def test_without_an_embedder(self):
        with satchel.Store(self.folder / "plain.satchel") as store:
            store.add_text("a", "The lease ends.")
            self.assertEqual(store.search("lease", mode="hybrid")[0].document_id, "a")
            self.assertIsNone(store.model)
            with self.assertRaises(satchel.NoModel):
                store.search("lease", mode="vector")
        with self.assertRaises(TypeError):
            satchel.Store(self.folder / "x.satchel", embedder=42)

    def test_the_model_s_context_is_the_store_s(self):
        context = satchel.Context(threads=1)
        model = satchel.Model.from_embedder(self.embedder, context=context)
        held = context.memory()[0]
        with satchel.Store(self.folder / "c.satchel", embedder=model) as store:
            store.add_text("a", "The lease ends.")
            self.assertGreater(context.memory()[0], held)
            context.close()  # the store keeps it open
            self.assertEqual(store.search("lease")[0].document_id, "a")

    @unittest.skipUnless(support.TINY_MODEL, "SATCHEL_TEST_MODEL is not set")
    def test_with_a_model_by_path(self):
        with satchel.Store(self.folder / "m.satchel", embedder=support.TINY_MODEL) as store:
            store.add_text("bread", "bread flour water salt")
            store.add_text("lease", "lease flat ends march")
            hits = store.search("lease flat", mode="vector")
            self.assertEqual(hits[0].document_id, "lease")
            self.assertIsNotNone(hits[0].vector_score)
            self.assertEqual(store.model.dimension, 32)


class Folders(WithStore):
    def test_add_path(self):
        notes = self.write_notes()
        seen = []
        summary = self.store.add_path(notes, progress=seen.append)
        self.assertEqual((summary.added, summary.failed), (3, 0))
        self.assertGreater(summary.chunks_embedded, 0)
        self.assertTrue(all(isinstance(event, satchel.ProgressEvent) for event in seen))
        self.assertTrue(seen)
        self.assertEqual([d.id for d in self.store.documents()],
                         ["notes/bread.txt", "notes/lease.md", "notes/train.txt"])
        hit = self.store.search("deposit paid back")[0]
        self.assertEqual(hit.document_id, "notes/lease.md")
        self.assertTrue(hit.heading.startswith("Flat"))
        again = self.store.add_path(notes)
        self.assertEqual((again.added, again.changed, again.unchanged), (0, 0, 3))
        (notes / "bread.txt").write_text("Bread needs yeast.\n")
        (notes / "train.txt").unlink()
        third = self.store.add_path(notes, allow_removals=True)
        self.assertEqual((third.changed, third.removed, third.unchanged), (1, 1, 1))
        self.assertEqual([(r.name, r.documents) for r in self.store.roots()], [("notes", 2)])
        self.assertEqual(self.store.roots()[0].path, str(notes))

    def test_one_file(self):
        notes = self.write_notes()
        self.assertEqual(self.store.add_path(notes / "bread.txt").added, 1)
        self.assertEqual(len(self.store.documents()), 1)

    def test_sync_events(self):
        notes = self.write_notes()
        (notes / "blob.bin").write_bytes(bytes(range(256)) * 8)
        events = list(self.store.sync(notes, "my-notes"))
        self.assertIsInstance(events[-1], satchel.SyncDoneEvent)
        self.assertEqual(events[-1].kind, "done")
        files = [e for e in events if isinstance(e, satchel.FileEvent)]
        changes = {f.document_id: f.change for f in files}
        self.assertEqual(changes["my-notes/bread.txt"], "added")
        self.assertEqual(changes["my-notes/blob.bin"], "skipped")
        self.assertEqual(self.store.roots()[0].name, "my-notes")

    def test_many_removals_ask_first(self):
        notes = self.write_notes()
        for i in range(10):
            (notes / f"{i}.txt").write_text(f"Note number {i}.")
        self.store.add_path(notes)
        for path in notes.glob("?.txt"):
            path.unlink()
        with self.assertRaises(satchel.ConfirmRemovals):
            self.store.add_path(notes)
        self.assertEqual(len(self.store.documents()), 13)
        self.assertEqual(self.store.add_path(notes, keep_missing=True).removed, 0)
        self.assertEqual(self.store.add_path(notes, allow_removals=True).removed, 10)

    def test_leaving_early_and_going_on(self):
        notes = self.write_notes()
        for event in self.store.sync(notes):
            break
        gc.collect()
        self.assertEqual(self.store.add_path(notes).failed, 0)
        self.assertEqual(len(self.store.documents()), 3)
        self.assertEqual(self.store.verify(), [])

    def test_exceptions_in_progress_end_the_sync(self):
        notes = self.write_notes()

        def progress(event):
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.store.add_path(notes, progress=progress)
        self.assertEqual(self.store.add_path(notes).failed, 0)  # the writer's place is free
        self.assertEqual(len(self.store.documents()), 3)

    def test_ctrl_c_leaves_cleanly(self):
        folder = self.folder / "many"
        folder.mkdir()
        for i in range(2000):
            (folder / f"{i}.txt").write_text(f"Note number {i} about leases and bread.\n" * 40)
        program = ("import satchel, sys\n"
                   "store = satchel.Store(sys.argv[1])\n"
                   "try:\n"
                   "    store.add_path(sys.argv[2], progress=lambda p: print(p.phase, flush=True))\n"
                   "except KeyboardInterrupt:\n"
                   "    store.close()\n"
                   "    sys.exit(7)\n")
        path = self.folder / "many.satchel"
        child = subprocess.Popen([sys.executable, "-c", program, str(path), str(folder)],
                                 stdout=subprocess.PIPE, bufsize=0,
                                 env={**os.environ, "PYTHONPATH": str(support.ROOT / "bindings"
                                                                      / "python")})
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        self.assertEqual(child.returncode, 7)
        with satchel.Store(path) as store:
            self.assertEqual(store.verify(), [])
            summary = store.add_path(folder)
            self.assertEqual(summary.added + summary.unchanged, 2000)

    def test_cancel(self):
        notes = self.write_notes()
        cancel = satchel.Cancel()
        cancel.fire()
        with self.assertRaises(satchel.Cancelled):
            self.store.add_path(notes, cancel=cancel)
        self.assertEqual(self.store.add_path(notes).added + self.store.add_path(notes).unchanged, 6)

    def test_missing_folder(self):
        with self.assertRaises(satchel.SatchelError):
            self.store.add_path(self.folder / "nowhere")


class Answers(WithStore):
    def setUp(self):
        super().setUp()
        self.store.add_path(self.write_notes())

    def test_events(self):
        events = list(self.store.ask("When does the lease of the flat end?"))
        self.assertIsInstance(events[0], satchel.ModeEvent)
        self.assertEqual(events[0].mode, "extractive")
        self.assertEqual(events[0].reason, "no_generator")
        self.assertIsInstance(events[1], satchel.HitsEvent)
        self.assertTrue(events[1].hits)
        self.assertIsInstance(events[-1], satchel.DoneEvent)
        self.assertEqual([e.kind for e in events[:2]], ["mode", "hits"])
        text = "".join(e.text for e in events if isinstance(e, satchel.TokenEvent))
        self.assertIn("The lease of the flat ends in March.", text)
        citations = [e for e in events if isinstance(e, satchel.CitationEvent)]
        self.assertTrue(citations)
        for citation in citations:
            self.assertTrue(citation.verified)
            quoted = text.encode()[citation.answer.start:citation.answer.end]
            source = self.store.text(citation.document_id).encode()
            self.assertEqual(quoted, source[citation.source.start:citation.source.end])
            self.assertEqual(events[1].hits[citation.hit].document_id, citation.document_id)

    def test_collect(self):
        answer = self.store.ask("When does the lease of the flat end?").collect()
        self.assertIsNone(answer.refusal)
        self.assertIn("March", answer.text)
        self.assertEqual(answer.mode.mode, "extractive")
        self.assertGreater(answer.done.hits, 0)

    def test_refusal(self):
        answer = self.store.ask("zyzzyva quokka xylograph?").collect()
        self.assertIsNotNone(answer.refusal)
        self.assertEqual(answer.text, "")
        self.assertIn(answer.refusal.reason, ("no_evidence", "weak_evidence"))

    def test_empty_store(self):
        with satchel.Store(self.folder / "empty.satchel") as store:
            answer = store.ask("Anything?").collect()
            self.assertEqual(answer.refusal.reason, "empty_store")

    def test_generated_needs_a_generator(self):
        with self.assertRaises(satchel.NoModel):
            self.store.ask("When?", mode="generated")

    def test_iterators_close_themselves(self):
        stream = self.store.ask("When does the lease end?")
        self.assertFalse(stream.closed)
        list(stream)
        self.assertTrue(stream.closed)
        self.assertEqual(list(stream), [])
        with self.store.ask("When does the lease end?") as left:
            next(left)
        self.assertTrue(left.closed)
        with self.assertRaises(StopIteration):
            next(left)

    def test_events_outlive_everything(self):
        events = list(self.store.ask("When does the lease end?"))
        self.store.close()
        gc.collect()
        self.assertTrue(events[1].hits[0].text)

    def test_a_stream_outlives_its_store(self):
        stream = self.store.ask("When does the lease of the flat end?")
        self.store.close()
        self.assertIn("March", stream.collect().text)


class Readers(WithStore):
    def test_pages_and_headings(self):
        class Pages:
            id = "pages"
            media_types = ["application/x-pages"]
            extensions = "pages"

            def read(self, data, media_type):
                yield satchel.Title("The book")
                for number, page in enumerate(data.decode().split("|"), 1):
                    yield satchel.Page(number)
                    yield page + "\n\n"

        self.store.add_reader(Pages())
        self.store.add_bytes("book.pages",
                             b"All about bread and its flour.|All about the night trains.")
        self.assertEqual(self.store.documents()[0].title, "The book")
        self.assertIn("trains", self.store.text("book.pages"))
        self.assertEqual(self.store.search("bread flour")[0].page, 1)

    def test_a_failing_reader_is_reported(self):
        class Broken:
            id, media_types, extensions = "broken", ("application/x-broken",), ("broken",)

            def read(self, data, media_type):
                raise ValueError("page 3 is torn")

        self.store.add_reader(Broken())
        with self.assertRaises(satchel.SatchelError) as caught:
            self.store.add_bytes("a.broken", b"x")
        self.assertIn("page 3 is torn", str(caught.exception))
        folder = self.folder / "files"
        folder.mkdir()
        (folder / "a.broken").write_bytes(b"x")
        (folder / "b.txt").write_text("Bread.")
        summary = self.store.add_path(folder)
        self.assertEqual((summary.added, summary.failed), (1, 1))
        self.assertIn("page 3 is torn", summary.problems[0].message)

    def test_interrupts_in_a_reader_pass_through(self):
        class Interrupted:
            id, media_types, extensions = "i", ("application/x-i",), ("interrupt",)

            def read(self, data, media_type):
                raise KeyboardInterrupt

        self.store.add_reader(Interrupted())
        with self.assertRaises(KeyboardInterrupt):
            self.store.add_bytes("a.interrupt", b"x")


class Guards(WithStore):
    def test_calling_back_is_busy(self):
        store, problems = self.store, []
        original = self.embedder.embed

        def embed(texts):
            for call in (lambda: store.search("x"), store.stats, lambda: store.add_text("b", "b")):
                try:
                    call()
                except satchel.Busy as problem:
                    problems.append(problem)
            try:
                store.close()
            except satchel.Busy as problem:
                problems.append(problem)
            return original(texts)

        self.embedder.embed = embed
        with satchel.Store(self.folder / "b.satchel", embedder=self.embedder) as store:
            store.add_text("a", "some text")
        self.assertEqual(len(problems) % 4, 0)
        self.assertGreaterEqual(len(problems), 4)

    def test_close_waits_for_calls(self):
        entered, leave = threading.Event(), threading.Event()

        class Slow(support.HashEmbedder):
            def embed(self, texts):
                entered.set()
                leave.wait(10)
                return super().embed(texts)

        store = satchel.Store(self.folder / "slow.satchel", embedder=Slow())
        adding = threading.Thread(target=store.add_text, args=("a", "some text"))
        adding.start()
        self.assertTrue(entered.wait(10))
        closing = threading.Thread(target=store.close)
        closing.start()
        closing.join(0.05)
        self.assertTrue(closing.is_alive())
        leave.set()
        adding.join(10)
        closing.join(10)
        self.assertFalse(closing.is_alive())
        self.assertTrue(store.closed)
        with self.assertRaises(satchel.Closed):
            store.stats()

    def test_an_embedder_s_failure_keeps_the_document(self):
        self.embedder.embed = None

        class Broken(support.HashEmbedder):
            def embed(self, texts):
                raise RuntimeError("no power")

        with satchel.Store(self.folder / "f.satchel", embedder=Broken()) as store:
            with self.assertRaises(satchel.CallbackFailed) as caught:
                store.add_text("a", "The lease ends.")
            self.assertIsInstance(caught.exception.__cause__, RuntimeError)
            self.assertEqual(store.search("lease", mode="keyword")[0].document_id, "a")

    def test_many_threads(self):
        for i in range(20):
            self.store.add_text(f"d{i}", f"Document number {i} about bread and leases.")
        problems = []

        def work(number):
            try:
                for i in range(15):
                    if number == 0:
                        self.store.add_text(f"new{i}", f"New text {i} about trains.")
                    elif not self.store.search("bread", k=5):
                        problems.append("nothing found")
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        self.assertEqual(len(self.store.documents()), 35)

    def test_forgotten_objects_close_themselves(self):
        from satchel import _callbacks
        gc.collect()
        before = len(_callbacks._bridges)
        store = satchel.Store(self.folder / "g.satchel", embedder=support.HashEmbedder())
        store.add_text("a", "text")
        stream = store.ask("text?")
        next(stream)
        del store, stream
        gc.collect()
        self.assertEqual(len(_callbacks._bridges), before)


if __name__ == "__main__":
    unittest.main()
