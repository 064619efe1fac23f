"""What test programs in Python say: TAP, a line a case, the plan at the end."""


class Report:
    def __init__(self):
        self.number, self.counts = 0, {"passed": 0, "failed": 0, "skipped": 0}

    def case(self, what, how, why=""):
        """how: passed, failed or skipped. why: a text or lines; all of it is told of what failed."""
        self.number += 1
        self.counts[how] += 1
        skip = f" # SKIP {why}" if how == "skipped" else ""
        print(f"{'not ok' if how == 'failed' else 'ok'} {self.number} - {what}{skip}", flush=True)
        if how == "failed":
            for line in (why.splitlines() if isinstance(why, str) else why)[:60]:
                print("#   " + line, flush=True)

    def check(self, what, why=""):
        """Passed unless `why` says what went wrong; returns whether it did."""
        self.case(what, "failed" if why else "passed", why)
        return not why

    def end(self, summed=False):
        """The exit status. summed: a last line as scripts/test has it."""
        print(f"1..{self.number}", flush=True)
        if summed:
            print("{passed} passed, {failed} failed, {skipped} skipped".format(**self.counts))
        return 1 if self.counts["failed"] else 0


def report(cases):
    """Checks (what, why) one after the other; the exit status."""
    told = Report()
    for what, why in cases:
        told.check(what, why)
    return told.end()
