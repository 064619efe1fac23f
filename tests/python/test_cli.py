"""The satchel tool, run as people and programs run it."""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
import unittest

import support


class Tool(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.store = str(self.store_path)
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("SATCHEL_MODEL", "SATCHEL_CACHE", "NO_COLOR")}
        self.environment.update(SATCHEL_CACHE=str(self.folder / "no-cache"),
                                TERM="xterm", LC_ALL="C.UTF-8")

    def run_tool(self, *arguments, expect=0, stdin=None, **environment):
        run = subprocess.run([support.TOOL, *map(str, arguments)], input=stdin,
                             capture_output=True, timeout=120,
                             env={**self.environment, **environment})
        self.assertEqual(run.returncode, expect,
                         run.stdout.decode() + "\n" + run.stderr.decode())
        return run

    def out(self, *arguments, **options):
        return self.run_tool(*arguments, **options).stdout.decode()

    def objects(self, *arguments, **options):
        lines = self.out(*arguments, "--json", **options).splitlines()
        return [json.loads(line) for line in lines]

    def index_notes(self, *options):
        notes = self.write_notes()
        self.run_tool("index", self.store, notes, *options)
        return notes


class Json(Tool):
    """Every command, its JSON read by a parser."""

    def test_index(self):
        objects = self.objects("index", self.store, self.write_notes())
        files = [o for o in objects if o["type"] == "file"]
        self.assertEqual(sorted(f["document_id"] for f in files),
                         ["notes/bread.txt", "notes/lease.md", "notes/train.txt"])
        self.assertEqual({f["change"] for f in files}, {"added"})
        done = objects[-1]
        self.assertEqual((done["type"], done["added"], done["failed"]), ("done", 3, 0))
        again = self.objects("index", self.store, self.folder / "notes")[-1]
        self.assertEqual((again["added"], again["unchanged"]), (0, 3))

    def test_search(self):
        self.index_notes()
        hits = self.objects("search", self.store, "deposit", "paid", "-k", "2")
        self.assertEqual(hits[0]["type"], "hit")
        self.assertEqual(hits[0]["mode"], "keyword")
        self.assertEqual(hits[0]["document_id"], "notes/lease.md")
        self.assertTrue(hits[0]["heading"].startswith("Flat"))
        text = self.out("text", self.store, "notes/lease.md").encode()
        self.assertEqual(text[hits[0]["start"]:hits[0]["end"]].decode(), hits[0]["text"])
        for match in hits[0]["matches"]:
            self.assertIn(text[match["start"]:match["end"]].decode().lower(), ("deposit", "paid"))
        self.assertEqual(self.objects("search", self.store, "zyzzyva", expect=1), [])

    def test_ask(self):
        self.index_notes()
        objects = self.objects("ask", self.store, "When does the lease of the flat end?")
        kinds = [o["type"] for o in objects]
        self.assertEqual(kinds[:2], ["mode", "hits"])
        self.assertEqual(kinds[-1], "done")
        answer = "".join(o["text"] for o in objects if o["type"] == "token").encode()
        self.assertIn("The lease of the flat ends in March.", answer.decode())
        citation = next(o for o in objects if o["type"] == "citation")
        source = self.out("text", self.store, citation["document_id"]).encode()
        quote = answer[citation["answer"]["start"]:citation["answer"]["end"]]
        self.assertEqual(quote, source[citation["source"]["start"]:citation["source"]["end"]])
        self.assertIs(citation["verified"], True)

    def test_ask_refuses(self):
        self.index_notes()
        objects = self.objects("ask", self.store, "zyzzyva xylograph?", expect=1)
        refusal = next(o for o in objects if o["type"] == "refusal")
        self.assertIn(refusal["reason"], ("no_evidence", "weak_evidence"))

    @unittest.skipUnless(support.TINY_MODEL, "SATCHEL_TEST_MODEL is not set")
    def test_cluster(self):
        self.index_notes("--model", support.TINY_MODEL)
        model = {"SATCHEL_MODEL": support.TINY_MODEL}
        *topics, done = self.objects("cluster", self.store, "-k", "2", **model)
        self.assertEqual((done["type"], done["topics"], done["pending"]), ("topics", 2, 0))
        self.assertEqual({topic["type"] for topic in topics}, {"topic"})
        self.assertEqual(sum(topic["chunks"] for topic in topics), done["chunks"])
        self.assertAlmostEqual(sum(topic["share"] for topic in topics), 1, places=3)
        self.assertGreaterEqual(topics[0]["chunks"], topics[1]["chunks"])
        self.assertEqual({d["id"] for topic in topics for d in topic["documents"]},
                         {"notes/bread.txt", "notes/lease.md", "notes/train.txt"})
        for topic in topics:
            self.assertEqual(topic["label"], ", ".join(topic["words"]))
            self.assertGreater(len(topic["sentences"]), 0)
            for sentence in topic["sentences"]:
                text = self.out("text", self.store, sentence["document_id"]).encode()
                self.assertEqual(text[sentence["start"]:sentence["end"]].decode(),
                                 sentence["text"])
        again = self.objects("cluster", self.store, "-k2", "--seed", "0", "-t1", **model)
        self.assertEqual(again, [*topics, done])
        one = self.objects("cluster", self.store, "-k", "1", "--representatives", "1", "--fast",
                           "--iterations", "3", "--filter", '{"path":"*/bread.txt"}', **model)
        self.assertEqual((len(one), one[0]["share"], len(one[0]["sentences"])), (2, 1, 1))
        text = self.out("cluster", self.store, "-k", "2", **model)
        self.assertIn("2 topics in", text)
        self.assertIn(topics[0]["label"], text)
        self.assertIn(f"{topics[0]['chunks']} passages", text)

    @unittest.skipUnless(support.TINY_MODEL, "SATCHEL_TEST_MODEL is not set")
    def test_cluster_says_what_is_missing(self):
        self.index_notes()
        run = self.run_tool("cluster", self.store, expect=3)
        self.assertIn(b"needs an embedding model", run.stderr)
        model = {"SATCHEL_MODEL": support.TINY_MODEL}
        run = self.run_tool("cluster", self.store, expect=1, **model)
        self.assertIn(b"Nothing to group", run.stdout)
        self.assertRegex(run.stderr, rb"none of the \d+ passages is embedded")
        self.run_tool("sync", self.store, **model)
        (self.folder / "notes" / "new.txt").write_text("New words are here. And others.\n")
        self.run_tool("sync", self.store, "--defer", **model)
        run = self.run_tool("cluster", self.store, **model)
        self.assertRegex(run.stderr, rb"1 of \d+ passages are not embedded yet")
        empty = self.run_tool("cluster", self.store, "--filter", '{"path":"none/*"}', "--json",
                              expect=1, **model)
        self.assertEqual(json.loads(empty.stdout)["chunks"], 0)
        self.run_tool("cluster", self.store, "-k", "1001", expect=2, **model)

    def test_list_filter_remove_stats_verify_backup(self):
        self.index_notes()
        ids = [o["id"] for o in self.objects("list", self.store)]
        self.assertEqual(ids, ["notes/bread.txt", "notes/lease.md", "notes/train.txt"])
        some = self.objects("list", self.store, "--filter", '{"path":"*/lease.md"}')
        self.assertEqual([o["id"] for o in some], ["notes/lease.md"])
        self.assertEqual(len(self.objects("list", self.store, "-n", "2")), 2)
        removed = self.objects("remove", self.store, "notes/bread.txt")
        self.assertEqual(removed, [{"type": "removed", "id": "notes/bread.txt"}])
        stats, root = self.objects("stats", self.store)
        self.assertEqual((stats["type"], stats["documents"]), ("stats", 2))
        self.assertEqual((root["type"], root["name"], root["documents"]), ("root", "notes", 2))
        self.assertEqual(self.objects("verify", self.store), [{"type": "verified", "problems": 0}])
        copy = str(self.folder / "copy.satchel")
        self.assertEqual(self.objects("backup", self.store, copy)[0]["path"], copy)
        self.assertEqual(len(self.objects("list", copy)), 2)
        text = self.objects("text", self.store, "notes/train.txt")[0]
        self.assertEqual(text["text"], support.NOTES["train.txt"])

    def test_errors_are_objects_too(self):
        objects = self.objects("search", self.folder / "none.satchel", "x", expect=3)
        self.assertEqual((objects[0]["type"], objects[0]["code"]), ("error", "SATCHEL_NOT_FOUND"))
        self.index_notes()
        objects = self.objects("list", self.store, "--filter", "{", expect=2)
        self.assertEqual(objects[0]["code"], "SATCHEL_INVALID_FILTER")

    def test_odd_names_and_texts_stay_valid_json(self):
        odd = self.folder / "odd"
        odd.mkdir()
        name = b'q"uote\\ \x1b[31mred\xc2\x9b \xf0\x9f\x8f\xa0.txt'
        path = os.path.join(os.fsencode(odd), name)
        with open(path, "wb") as file:
            file.write("tab\there \u0085next\x7f \"quoted\" \x1b]0;title\x07 lease".encode())
        # Control characters are no part of an id, so the file is refused by name, not the sync.
        objects = self.objects("index", self.store, odd, expect=5)
        failed = next(o for o in objects if o["type"] == "file")
        self.assertEqual(failed["change"], "failed")
        os.rename(path, os.path.join(os.fsencode(odd), b'q"uote\\ \xf0\x9f\x8f\xa0.txt'))
        self.objects("index", self.store, odd)
        raw = self.run_tool("search", self.store, "lease", "--json").stdout
        self.assertNotIn(b"\x1b", raw)
        self.assertNotIn(b"\xc2\x85", raw)
        hit = json.loads(raw)
        self.assertEqual(hit["document_id"], 'odd/q"uote\\ 🏠.txt')
        self.assertIn("\x1b]0;title\x07", hit["text"])


class Usage(Tool):
    def test_help(self):
        for arguments in (["--help"], ["-h"], ["help"]):
            self.assertIn("satchel ask notes.satchel", self.out(*arguments))
        for name in ("index", "sync", "ask", "search", "cluster", "list", "text", "remove", "stats", "verify",
                     "backup", "embed"):
            text = self.out(name, "--help")
            self.assertIn("Examples:", text)
            self.assertIn(f"satchel {name}", text)
            self.assertEqual(self.out("help", name), text)
        self.run_tool(expect=2)

    def test_version(self):
        self.assertRegex(self.out("--version"), r"^satchel \d+\.\d+\.\d+\n$")
        self.assertRegex(json.loads(self.out("--version", "--json"))["version"], r"^\d+\.\d+\.\d+$")

    def test_wrong_command_lines(self):
        for arguments in (["nonsense"], ["index"], ["search", "s"], ["search", "s", "q", "--nope"],
                          ["search", "s", "q", "-k"], ["search", "s", "q", "-k", "zero"],
                          ["search", "s", "q", "-k", "0"], ["search", "s", "q", "--mode", "fast"],
                          ["list", "s", "--json=yes"], ["list", "s", "extra"],
                          ["list", "s", "-k", "5"], ["--nope"]):
            run = self.run_tool(*arguments, expect=2)
            self.assertTrue(run.stderr.startswith(b"satchel: "), run.stderr)
            self.assertEqual(run.stdout, b"")

    def test_options_in_all_forms(self):
        self.index_notes()
        for form in (["-k", "1"], ["-k1"], ["--count", "1"], ["--count=1"], ["-jk1"], ["-qk", "1"]):
            self.assertEqual(len(self.objects("search", self.store, "the", "is", *form)), 1, form)
        # After -- nothing is an option.
        self.run_tool("search", self.store, "--", "--mode", "lease")

    def test_exit_codes(self):
        self.run_tool("list", self.folder / "none.satchel", expect=3)
        junk = self.folder / "junk"
        junk.write_text("this is no database at all\n" * 100)
        self.run_tool("list", junk, expect=4)
        self.index_notes()
        self.run_tool("text", self.store, "no/such", expect=1)
        self.run_tool("remove", self.store, "no/such", expect=1)
        self.run_tool("search", self.store, "zyzzyva", expect=1)
        self.run_tool("sync", self.store, "no-such-root", expect=1)
        self.run_tool("index", self.store, self.folder / "nowhere", expect=3)
        self.run_tool("embed", "text", expect=3)  # no model anywhere
        self.run_tool("search", self.store, "lease", "--mode", "vector", expect=3)
        self.run_tool("backup", self.store, self.store, expect=3)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full here")
    def test_output_that_cannot_be_written_is_a_failure(self):
        self.index_notes()
        with open("/dev/full", "wb") as full:
            run = subprocess.run([support.TOOL, "list", self.store], stdout=full,
                                 stderr=subprocess.PIPE, env=self.environment, timeout=60)
        self.assertEqual(run.returncode, 3)
        self.assertIn(b"cannot write", run.stderr)


class Folders(Tool):
    def test_sync_goes_over_known_roots(self):
        notes = self.index_notes()
        (notes / "new.txt").write_text("A new note about trams.")
        done = self.objects("sync", self.store)[-1]
        self.assertEqual((done["root"], done["added"], done["unchanged"]), ("notes", 1, 3))
        done = self.objects("sync", self.store, "notes")[-1]
        self.assertEqual(done["unchanged"], 4)

    def test_two_folders_of_one_name_do_not_fight(self):
        self.index_notes()
        other = self.folder / "elsewhere" / "notes"
        other.mkdir(parents=True)
        (other / "z.txt").write_text("Zebras have stripes.")
        run = self.run_tool("index", self.store, other, expect=2)
        self.assertIn(b"--root", run.stderr)
        self.assertEqual(len(self.objects("list", self.store)), 3)
        self.run_tool("index", self.store, other, "--root", "more")
        self.assertEqual(len(self.objects("list", self.store)), 4)

    def test_removals_are_confirmed(self):
        notes = self.write_notes()
        for i in range(10):
            (notes / f"{i}.txt").write_text(f"Note number {i}.")
        self.run_tool("index", self.store, notes)
        for path in notes.iterdir():
            path.unlink()
        run = self.run_tool("sync", self.store, expect=3)
        self.assertIn(b"--allow-removals", run.stderr)
        self.assertEqual(len(self.objects("list", self.store)), 13)
        self.run_tool("sync", self.store, "--allow-removals")
        self.run_tool("list", self.store, expect=1)

    def test_a_bad_file_does_not_stop_the_rest(self):
        notes = self.write_notes()
        bad = notes / "locked.txt"
        bad.symlink_to(self.folder / "nowhere")
        (notes / "blob.bin").write_bytes(bytes(range(256)) * 4)
        done = self.objects("index", self.store, notes)[-1]
        self.assertEqual(done["added"], 3)

    def test_the_current_folder(self):
        notes = self.write_notes()
        run = subprocess.run([support.TOOL, "index", self.store, "."], cwd=notes,
                             env=self.environment, capture_output=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.objects("list", self.store)[0]["id"], "notes/bread.txt")

    def test_interrupt_ends_cleanly(self):
        big = self.folder / "big"
        big.mkdir()
        for i in range(3000):
            (big / f"{i}.txt").write_text(f"Note number {i} about leases and bread.\n" * 40)
        tool = subprocess.Popen([support.TOOL, "index", self.store, str(big), "--json"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.environment, bufsize=0)
        tool.stdout.readline()  # it has begun
        tool.send_signal(signal.SIGINT)
        out, err = tool.communicate(timeout=60)
        self.assertEqual(tool.returncode, 130, err.decode())
        for line in out.splitlines():
            json.loads(line)
        self.run_tool("verify", self.store)
        done = self.objects("index", self.store, big)[-1]
        self.assertEqual(done["added"] + done["unchanged"], 3000)


@unittest.skipUnless(support.TINY_MODEL, "SATCHEL_TEST_MODEL is not set")
class WithModel(Tool):
    def test_embed(self):
        lines = self.out("embed", "--model", support.TINY_MODEL, "bread", "lease").splitlines()
        self.assertEqual(len(lines), 2)
        vector = [float(word) for word in lines[0].split()]
        self.assertEqual(len(vector), 32)
        self.assertAlmostEqual(sum(x * x for x in vector), 1, places=4)
        objects = self.objects("embed", stdin=b"bread\nlease\n\nlast",
                               SATCHEL_MODEL=support.TINY_MODEL)
        self.assertEqual([o["text"] for o in objects], ["bread", "lease", "", "last"])
        for mine, theirs in zip(objects[0]["embedding"], vector):
            self.assertAlmostEqual(mine, theirs, places=5)

    def test_the_cached_model_is_found(self):
        cache = self.folder / "cache"
        cache.mkdir()
        shutil.copy(support.TINY_MODEL, cache / "all-minilm-l6-v2-q8_0.gguf")
        notes = self.write_notes()
        run = self.run_tool("index", self.store, notes, SATCHEL_CACHE=str(cache))
        self.assertNotIn(b"no embedding model", run.stderr)
        stats = self.objects("stats", self.store, SATCHEL_CACHE=str(cache))[0]
        self.assertEqual(stats["chunks_pending"], 0)
        self.assertGreater(stats["chunks_embedded"], 0)
        self.assertEqual(stats["dimension"], 32)
        hit = self.objects("search", self.store, "lease", SATCHEL_CACHE=str(cache))[0]
        self.assertEqual(hit["mode"], "hybrid")
        self.assertIsNotNone(hit["vector_score"])

    def test_without_one_it_says_so(self):
        run = self.run_tool("index", self.store, self.write_notes())
        self.assertIn(b"keywords alone", run.stderr)
        quiet = self.run_tool("search", self.store, "lease", "--no-model")
        self.assertEqual(quiet.stderr, b"")
        deferred = self.run_tool("index", self.store, self.folder / "notes", "--defer", "--model",
                                 support.TINY_MODEL)
        self.assertNotIn(b"keywords alone", deferred.stderr)
        pending = self.objects("stats", self.store, "--model", support.TINY_MODEL)[0]
        self.assertGreater(pending["chunks_pending"], 0)
        self.run_tool("sync", self.store, "--model", support.TINY_MODEL)
        pending = self.objects("stats", self.store, "--model", support.TINY_MODEL)[0]
        self.assertEqual(pending["chunks_pending"], 0)


def pdf(pages):
    """A small PDF with a line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", None,
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents "
                       f"{len(objects)} 0 R /Resources << /Font << /F1 3 0 R >> >> >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    xref = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    return out + (f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n"
                  ).encode()


class Pdf(Tool):
    def setUp(self):
        super().setUp()
        self.papers = self.folder / "papers"
        self.papers.mkdir()
        (self.papers / "book.pdf").write_bytes(
            pdf(["Bread needs flour and salt.", "The night train leaves at ten."]))

    @unittest.skipUnless(shutil.which("pdftotext"), "pdftotext is not installed")
    def test_pages(self):
        done = self.objects("index", self.store, self.papers)[-1]
        self.assertEqual((done["added"], done["failed"]), (1, 0))
        text = self.out("text", self.store, "papers/book.pdf")
        self.assertIn("Bread needs flour", text)
        self.assertNotIn("\f", text)
        hits = self.objects("search", self.store, "flour")
        self.assertEqual(hits[0]["page"], 1)
        answer = self.out("ask", self.store, "When does the night train leave?", "--never-refuse")
        self.assertIn("The night train leaves at ten.", answer)
        self.assertIn("page 2", answer)

    @unittest.skipUnless(shutil.which("pdftotext"), "pdftotext is not installed")
    def test_a_broken_pdf_fails_with_a_message(self):
        (self.papers / "torn.pdf").write_bytes(b"%PDF-1.4\nnothing more")
        objects = self.objects("index", self.store, self.papers, expect=5)
        torn = next(o for o in objects if o.get("document_id") == "papers/torn.pdf")
        self.assertEqual(torn["change"], "failed")
        self.assertIn("pdftotext", torn["message"])
        self.assertEqual(objects[-1]["added"], 1)

    def test_without_pdftotext_it_says_what_to_install(self):
        run = self.run_tool("index", self.store, self.papers, PATH=str(self.folder))
        self.assertIn(b"poppler-utils", run.stderr)

    def test_interrupt_stops_the_child(self):
        slow = self.folder / "bin"
        slow.mkdir()
        pid_file = self.folder / "pid"
        program = slow / "pdftotext"
        program.write_text(f"#!/bin/sh\necho $$ > {pid_file}\nexec sleep 600\n")
        program.chmod(0o755)
        tool = subprocess.Popen([support.TOOL, "index", self.store, str(self.papers)],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env={**self.environment, "PATH": f"{slow}:/usr/bin:/bin"})
        for _ in range(600):
            if pid_file.exists() and pid_file.read_text().strip():
                break
            time.sleep(0.05)
        tool.send_signal(signal.SIGINT)
        self.assertEqual(tool.wait(timeout=30), 130)
        with self.assertRaises(ProcessLookupError):
            os.kill(int(pid_file.read_text()), 0)


class Terminal(Tool):
    """On a terminal: colours, progress, and nothing that a document could do to it."""

    def on_terminal(self, *arguments, **environment):
        """What the tool wrote, with stdout and stderr on a terminal, and its exit code."""
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.execve(support.TOOL, [support.TOOL, *map(str, arguments)],
                          {**self.environment, **environment})
            finally:
                os._exit(99)
        written = b""
        while True:
            if not select.select([fd], [], [], 60)[0]:
                os.kill(pid, signal.SIGKILL)
                break
            try:
                part = os.read(fd, 65536)
            except OSError:  # the other end is closed
                part = b""
            if not part:
                break
            written += part
        os.close(fd)
        return written.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_colours_only_where_wanted(self):
        self.index_notes()
        plain = self.out("search", self.store, "lease")
        self.assertNotIn("\x1b", plain)
        self.assertIn("\x1b[", self.out("search", self.store, "lease", "--color", "always"))
        shown, code = self.on_terminal("search", self.store, "lease")
        self.assertEqual(code, 0)
        self.assertIn("\x1b[1m", shown)
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            shown, _ = self.on_terminal("search", self.store, "lease", **environment)
            self.assertNotIn("\x1b[1m", shown)
        shown, _ = self.on_terminal("search", self.store, "lease", "--json")
        self.assertNotIn("\x1b", shown)

    def test_progress_on_a_terminal_and_elsewhere(self):
        notes = self.write_notes()
        for i in range(200):
            (notes / f"{i}.txt").write_text(f"Note {i} about bread.\n" * 200)
        shown, code = self.on_terminal("index", self.store, notes)
        self.assertEqual(code, 0, shown)
        self.assertIn("Reading", shown)
        self.assertIn("\r\x1b[K", shown)
        self.assertIn("203 added", shown)
        run = self.run_tool("index", self.folder / "second.satchel", notes)
        self.assertNotIn(b"\x1b", run.stdout + run.stderr)
        self.assertNotIn(b"\r", run.stdout + run.stderr)

    def test_documents_cannot_drive_the_terminal(self):
        evil = self.folder / "evil"
        evil.mkdir()
        (evil / "a.txt").write_text(
            "The \x1b]0;owned\x07 lease \x1b[2J ends \x9b31m in \u202eMarch\u202c \x08\x08. "
            "\x1b[6n It is long.\r\nLast line \x00 here.", encoding="utf-8")
        self.run_tool("index", self.store, evil)
        for arguments in (["search", self.store, "lease", "ends"],
                          ["text", self.store, "evil/a.txt"],
                          ["ask", self.store, "When does the lease end?", "--never-refuse"],
                          ["search", self.store, "lease", "--json"], ["list", self.store]):
            shown, _ = self.on_terminal(*arguments, NO_COLOR="1")
            for bad in ("\x1b", "\x07", "\x9b", "\x08", "\u202e", "\x00"):
                self.assertNotIn(bad, shown, arguments)
        for arguments in (["search", self.store, "lease"], ["ask", self.store, "lease?"]):
            run = subprocess.run([support.TOOL, *arguments], capture_output=True,
                                 env=self.environment, timeout=60)
            self.assertNotIn(b"\x1b", run.stdout)

    def test_answers_carry_numbered_citations(self):
        self.index_notes()
        text = self.out("ask", self.store, "When does the lease of the flat end?")
        self.assertIn("The lease of the flat ends in March. [1]", text)
        self.assertRegex(text, r"\[1\] notes/lease\.md: Flat, bytes \d+-\d+")
        self.assertIn("Sources", text)


class Documentation(Tool):
    """The manual and the completions know every command and option, and no other."""

    FOLDER = support.ROOT / "examples" / "cli"
    COMMANDS = ("index", "sync", "ask", "search", "cluster", "list", "text", "remove", "stats",
                "verify", "backup", "embed", "generate", "chat", "inspect")

    def options_of(self, command=None):
        text = self.out(*([command] if command else []), "--help")
        part = text.split("Options")[1].split("\n\n")[0]
        return set(re.findall(r"(--[a-z-]+)", " ".join(
            line[6:30] for line in part.splitlines()[1:])))

    def test_all_options_are_documented_everywhere(self):
        general = self.options_of()
        self.assertIn("--json", general)
        special = {name: self.options_of(name) - general for name in self.COMMANDS}
        self.assertIn("--root", special["index"])
        everything = general.union(*special.values())
        manual = (self.FOLDER / "satchel.1").read_text().replace("\\-", "-")
        self.assertEqual(set(re.findall(r"(--[a-z][a-z-]+)", manual)) - {"--help"},
                         everything - {"--help"})
        zsh = (self.FOLDER / "completions" / "_satchel").read_text()
        self.assertEqual(set(re.findall(r"(--[a-z][a-z-]+)", zsh)), everything)
        fish = (self.FOLDER / "completions" / "satchel.fish").read_text()
        fish = fish[fish.index("complete "):]
        self.assertEqual({"--" + name for name in re.findall(r" -l ([a-z-]+)", fish)}, everything)
        for name in self.COMMANDS:
            self.assertIn(f'.BI "{name} ', manual)
            self.assertIn(f"'{name}:", zsh)
            self.assertIn(f"-a {name} ", fish)
            for option in special[name] - {"--no-model"}:
                line = next(line for line in fish.splitlines()
                            if f" -l {option[2:]} " in line and "seen_subcommand_from" in line)
                self.assertIn(name, line.split("'")[1].split())

    @unittest.skipUnless(shutil.which("bash"), "bash is not installed")
    def test_bash_completion(self):
        script = self.FOLDER / "completions" / "satchel.bash"

        def complete(*words):
            line = (f'source "{script}"; compopt() {{ :; }}; '
                    f'COMP_WORDS=({" ".join(repr(w) for w in words)}); '
                    f'COMP_CWORD={len(words) - 1}; _satchel; printf "%s\\n" "${{COMPREPLY[@]}}"')
            run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
            return run.stdout.split()

        self.assertEqual(set(complete("satchel", "s")), {"sync", "search", "stats"})
        general = self.options_of()
        for name in self.COMMANDS:
            self.assertEqual(set(complete("satchel", name, "--")),
                             general | self.options_of(name), name)
        self.assertEqual(complete("satchel", "search", "--mode", "v"), ["vector"])

    @unittest.skipUnless(shutil.which("man"), "man is not installed")
    def test_the_manual_formats_without_warnings(self):
        run = subprocess.run(["man", "--warnings", "-l", str(self.FOLDER / "satchel.1")],
                             capture_output=True, text=True,
                             env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
        self.assertEqual((run.returncode, run.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
