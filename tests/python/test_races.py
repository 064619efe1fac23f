"""A thousand times each, with another thread in the way: streams cancelled while they are pulled, streams left
in the middle, stores and models closed during a call. Nothing crashes, and nothing is left behind."""
import gc
import os
import threading
import time
import unittest

import support
import satchel

TINY = os.environ.get("SATCHEL_TEST_GENERATOR")
TIMES = 1000
#: Bytes. Half the rounds leaking anything would be more.
SLACK = 4096


class Endless:
    """A generator that says a word for ever."""

    id = "tests: endless"
    context_tokens = 1 << 20

    def generate(self, messages):
        while True:
            yield "word "


def meanwhile(round, work):
    """Another thread that does `work` after a while, which differs from round to round."""
    def run():
        for _ in range(round % 40):
            time.sleep(0)
        work()
    thread = threading.Thread(target=run)
    thread.start()
    return thread


@unittest.skipUnless(TINY, "SATCHEL_TEST_GENERATOR is not set")
class Races(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.context = satchel.Context(threads=1)
        self.addCleanup(self.context.close)

    def store(self):
        store = satchel.Store(self.store_path, context=self.context,
                              embedder=support.HashEmbedder())
        self.addCleanup(store.close)
        store.add_text("lease", "The lease ends in March. The rent is due on Monday.")
        return store

    def held(self):
        gc.collect()
        return self.context.memory()[0]

    def test_cancelled_streams(self):
        store, file = self.store(), satchel.Model(TINY, context=self.context)
        endless = satchel.Model.from_generator(Endless(), context=self.context)
        self.addCleanup(file.close)
        self.addCleanup(endless.close)

        def held():  # after a run that is the same each time: a model keeps what its last one read
            list(file.generate("hello", max_tokens=1))
            return self.held()

        before = 0
        for round in range(TIMES):
            cancel = satchel.Cancel(self.context)
            if round % 2:
                events = store.ask("When does the lease end?", generator=endless,
                                   refusal_threshold=-1, cancel=cancel)
            else:
                events = file.generate("hello", max_tokens=-1, cancel=cancel)
            thread = meanwhile(round, cancel.fire)
            if round % 2:
                with self.assertRaises(satchel.Cancelled):
                    list(events)
            else:
                try:
                    list(events)  # may come to the end of its context first
                except satchel.Cancelled:
                    pass
            thread.join()
            cancel.close()
            del events
            if round == TIMES // 2:
                before = held()
        self.assertLessEqual(held(), before + SLACK)

    def test_left_streams(self):
        store, before = self.store(), 0
        endless = satchel.Model.from_generator(Endless(), context=self.context)
        self.addCleanup(endless.close)
        for round in range(TIMES):
            events = store.ask("When does the lease end?", refusal_threshold=-1,
                               generator=endless if round % 3 else None)
            for _ in zip(range(round % 9), events):
                pass
            if round % 2:
                events.close()
            del events
            if round == TIMES // 2:
                before = self.held()
        self.assertLessEqual(self.held(), before + SLACK)

    def test_stores_closed_during_a_search(self):
        self.store().close()
        before = 0
        for round in range(TIMES):
            store = satchel.Store(self.store_path, context=self.context)
            thread = meanwhile(round, store.close)
            try:
                for _ in range(100):
                    self.assertEqual(store.search("lease", mode="keyword")[0].document_id, "lease")
            except satchel.Closed:
                pass
            thread.join()
            self.assertTrue(store.closed)
            if round == TIMES // 2:
                before = self.held()
        self.assertLessEqual(self.held(), before + SLACK)

    def test_models_closed_while_a_stream_is_pulled(self):
        before = 0
        for round in range(TIMES):
            model = satchel.Model(TINY, context=self.context)
            events = model.generate("hello", max_tokens=10)
            thread = meanwhile(round, model.close)
            list(events)
            self.assertIsNotNone(events.done)
            thread.join()
            del events
            if round == TIMES // 2:
                before = self.held()
        self.assertLessEqual(self.held(), before + SLACK)


if __name__ == "__main__":
    unittest.main()
