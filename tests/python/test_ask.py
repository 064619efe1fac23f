"""Store.ask() with a generator, Store.prepare(): answers in a model's own words."""
import os
import unittest

import support
import satchel

LEASE = "The lease ends on 31 May 2027. Notice must be given in writing."


class Script:
    """A generator that writes what it is told to, and keeps what it was asked."""

    id = "test: a script"
    context_tokens = 2000

    def __init__(self, *pieces):
        self.pieces = pieces
        self.messages = None

    def generate(self, messages, options=None, **more):
        self.messages = messages
        yield from self.pieces


class AskTest(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.store = satchel.Store(self.store_path)
        self.addCleanup(self.store.close)
        self.store.add_text("lease", LEASE)

    def ask(self, script, **options):
        with satchel.Model.from_generator(script) as model:
            return self.store.ask("When does the lease end?", generator=model,
                                  refusal_threshold=-1, **options).collect()

    def test_a_generator_answers_with_citations(self):
        script = Script("The lease ends on ", "31 May 2027 [1]. Ça va.")
        answer = self.ask(script)
        self.assertEqual(answer.text, "The lease ends on 31 May 2027 [1]. Ça va.")
        self.assertEqual(answer.mode.mode, "generated")
        (citation,) = answer.citations
        self.assertTrue(citation.verified)
        self.assertEqual(LEASE[citation.source.start:citation.source.end],
                         "The lease ends on 31 May 2027")
        self.assertEqual(answer.done.sentences, 1)
        self.assertEqual(answer.done.finish, "end")
        self.assertEqual([m["role"] for m in script.messages], ["system", "user"])

    def test_history_and_prompt_reach_it(self):
        script = Script("Yes [1].")
        self.ask(script, history=[{"role": "user", "content": "Hello"},
                                  {"role": "assistant", "content": "Good day"}],
                 prompt={"system": "", "user": "{passages} {question}!"})
        self.assertEqual([m["role"] for m in script.messages], ["user", "assistant", "user"])
        self.assertTrue(script.messages[-1]["content"].endswith("When does the lease end?!"))

    def test_a_generator_that_declines_is_a_refusal(self):
        answer = self.ask(Script("NO_", "ANSWER"))
        self.assertEqual(answer.text, "")
        self.assertEqual(answer.refusal.reason, "declined")

    def test_wrong_prompts_are_refused(self):
        with self.assertRaisesRegex(satchel.InvalidArgument, "{who}"):
            self.ask(Script(), prompt={"user": "{who}"})

    def test_a_prepared_question_is_resolved(self):
        with self.store.prepare("When does the lease end?", 1000) as prepared:
            self.assertEqual([m["role"] for m in prepared.messages], ["system", "user"])
            self.assertIn("[1]\n~~~~~\nlease", prepared.messages[1]["content"])
            (passage,) = prepared.passages
            self.assertEqual((passage.number, passage.hit.document_id), (1, "lease"))
            self.assertEqual((passage.shown.start, passage.shown.end), (0, len(LEASE)))
            text = "The lease ends on 31 May 2027 [1]."
            first = prepared.resolve(text[:9], final=False).collect()
            self.assertEqual((first.text, first.mode.mode), (text[:9], "external"))
            rest = prepared.resolve(text).collect()
            self.assertEqual(rest.text, text[9:])
            self.assertEqual(len(rest.citations), 1)
            with self.assertRaises(satchel.InvalidArgument):
                prepared.resolve(text)
        with self.assertRaises(satchel.InvalidArgument):
            self.store.prepare("When?")

    def test_the_default_prompt_is_one(self):
        script = Script("Yes [1].")
        self.assertEqual(self.ask(script, prompt=satchel.prompt_default()).text, "Yes [1].")

    def test_a_model_from_a_file_answers(self):
        small = {"system": "", "user": "{passages} {question}", "passage": "{number} {text}"}
        with satchel.Model(os.environ["SATCHEL_TEST_GENERATOR"]) as model:
            events = list(self.store.ask("When does the lease end?", generator=model,
                                         refusal_threshold=-1, prompt=small,
                                         generate=satchel.GenerateOptions(max_tokens=8)))
        kinds = [type(event) for event in events]
        self.assertIs(kinds[0], satchel.ModeEvent)
        self.assertIn(satchel.ProgressEvent, kinds)
        self.assertIs(kinds[-1], satchel.DoneEvent)
        self.assertGreater(events[-1].prompt_tokens, 50)


if __name__ == "__main__":
    unittest.main()
