"""Store.topics(): what documents are about."""
import unittest

import numpy as np

import support
import satchel

TEXTS = {
    "bread/1": "The baker kneads dough, flour and yeast: bread for the oven.",
    "bread/2": "Flour, yeast, dough: a baker has bread and an oven.",
    "bread/3": "Oven and bread, dough of flour, yeast by a baker. Nothing else.",
    "train/1": "The train at the station: platform, ticket, carriage, conductor.",
    "train/2": "Conductor and carriage, train and platform, ticket and station.",
}


class TopicsTest(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.embedder = support.HashEmbedder()
        self.store = satchel.Store(self.store_path, self.embedder)
        self.addCleanup(self.store.close)
        for id, text in TEXTS.items():
            self.store.add_text(id, text, title=id.title())

    def test_what_a_topic_holds(self):
        topics = self.store.topics(2)
        self.assertEqual((len(topics), topics.chunks, topics.pending, topics.documents),
                         (2, 5, 0, 5))
        bread, train = topics
        self.assertIs(topics[0], bread)
        self.assertEqual(topics[:1], (bread,))
        self.assertEqual((bread.chunks, train.chunks), (3, 2))
        self.assertAlmostEqual(bread.share, 0.6)
        self.assertEqual({d.id for d in bread.documents}, {"bread/1", "bread/2", "bread/3"})
        self.assertEqual({d.title for d in train.documents}, {"Train/1", "Train/2"})
        self.assertEqual(bread.label, ", ".join(bread.words))
        self.assertEqual(len(bread.words), 4)
        self.assertLessEqual(set(word.lower() for word in bread.words),
                             {"baker", "dough", "flour", "yeast", "bread", "oven"})
        self.assertEqual(bread.centroid.shape, (support.HashEmbedder.dimension,))
        self.assertAlmostEqual(float(np.linalg.norm(bread.centroid)), 1, places=5)
        for topic in topics:
            scores = [sentence.score for sentence in topic.sentences]
            self.assertEqual(scores, sorted(scores, reverse=True))
            for sentence in topic.sentences:
                text = self.store.text(sentence.document_id).encode()
                quote = text[sentence.range.start:sentence.range.end].decode()
                self.assertEqual(quote, sentence.text)
                vector = self.embedder.embed([quote])[0]
                self.assertAlmostEqual(float(vector @ topic.centroid), sentence.score, places=4)
                self.assertIsNone(sentence.page)

    def test_centroids_are_means_of_unit_vectors(self):
        topics = self.store.topics(2)
        for topic in topics:
            vectors = self.embedder.embed([TEXTS[d.id] for d in topic.documents])
            mean = vectors.mean(axis=0)
            np.testing.assert_allclose(topic.centroid, mean / np.linalg.norm(mean), atol=1e-5)
            self.assertAlmostEqual(topic.cohesion, float((vectors @ topic.centroid).mean()),
                                   places=5)

    def test_arguments(self):
        self.assertEqual(len(self.store.topics()), 1)  # a third of five
        topics = self.store.topics(2, words=1, sentences=1)
        self.assertEqual([len(t.words) for t in topics], [1, 1])
        self.assertEqual([len(t.sentences) for t in topics], [1, 1])
        before = len(self.embedder.texts)
        self.assertEqual(self.store.topics(2, sentences=0)[0].sentences, ())
        self.assertEqual(len(self.embedder.texts), before)
        some = self.store.topics(2, filter={"path": "train/*"})
        self.assertEqual(some.chunks, 2)
        self.assertEqual(self.store.topics(2, mode="fast", seed=3).chunks, 5)
        for arguments in (dict(k=-1), dict(k=1001), dict(words=17), dict(sentences=33),
                          dict(mode="slow"), dict(filter="{"), dict(seed=-1)):
            with self.assertRaises(ValueError):
                self.store.topics(**arguments)

    def test_pending_and_empty(self):
        self.store.add_text("later", "Not embedded yet.", defer=True)
        self.assertEqual(self.store.topics(2).pending, 1)
        none = self.store.topics(filter={"path": "nothing/*"})
        self.assertEqual((len(none), none.chunks, list(none)), (0, 0, []))

    def test_no_model(self):
        with satchel.Store(self.folder / "plain.satchel") as plain:
            plain.add_text("a", "Text.")
            with self.assertRaisesRegex(satchel.NoModel, "model"):
                plain.topics()

    def test_progress_and_cancel(self):
        seen = []
        self.store.topics(2, progress=seen.append)
        phases = [event.phase for event in seen]
        self.assertEqual(sorted(set(phases), key=phases.index), ["load", "cluster", "describe"])
        self.assertEqual(phases, sorted(phases, key=["load", "cluster", "describe"].index))
        self.assertEqual(seen[-1].done, seen[-1].total)

        def interrupt(event):
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.store.topics(progress=interrupt)
        with self.assertRaises(satchel.Cancelled) as raised:
            self.store.topics(progress=lambda event: self.store.stats())
        self.assertIsInstance(raised.exception.__cause__, satchel.Busy)
        with satchel.Cancel() as cancel:
            cancel.fire()
            with self.assertRaises(satchel.Cancelled):
                self.store.topics(cancel=cancel)


if __name__ == "__main__":
    unittest.main()
