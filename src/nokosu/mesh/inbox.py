"""What arrived and was not looked at yet: filled from any thread, emptied by one, bounded in number and bytes.

What does not fit is dropped, and its log is named: reconcile fetches it again. Answers to a question are kept in a row
of their own for each question, so that two questions asked at once do not mix the order of a log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from threading import Lock

from msgspec import Struct

from nokosu import limits


class Sample(Struct, frozen=True):
    """A payload and the name it came under; `get` is the question that it answers, None for what came live; `stamp` when it
    was put, where it lay in a storage.
    """

    key: str
    payload: bytes
    get: int | None
    stamp: int = 0


class _Row:
    """The answers to one question so far, of one replier or of any, under some names or any. `failed` is None until it has
    ended.
    """

    def __init__(self, replier: str, names: Container[str] | None) -> None:
        self.replier, self.names = replier, names
        self.samples: deque[Sample] = deque()
        self.count = 0
        self.failed: bool | None = None


class Ended(Struct, frozen=True):
    """A question whose answers have all been taken."""

    get: int
    failed: bool


class Inbox:
    """Samples that wait, live ones and answers."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._live: deque[Sample] = deque()
        self._live_bytes = 0
        self._rows: dict[int, _Row] = {}
        self._answer_bytes = 0
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._live) or any(row.samples or row.failed is not None for row in list(self._rows.values()))

    def put_live(self, key: str, payload: bytes) -> bool:
        """Keep what came live; False when there is no room for it."""
        with self._lock:
            full = len(self._live) >= limits.INBOX_SAMPLES_MAX
            if full or self._live_bytes + len(payload) > limits.INBOX_BYTES_MAX:
                self.dropped += 1
                return False
            self._live_bytes += len(payload)
            self._live.append(Sample(key, payload, None))
            return True

    def expect(self, get: int, replier: str = "", names: Container[str] | None = None) -> None:
        """Answers to this question are welcome from now on; with *replier*, only those that it gives, and with *names*, only
        those under them: whatever else lies there does not count.
        """
        with self._lock:
            self._rows[get] = _Row(replier, names)

    def put_answer(self, get: int, key: str, payload: bytes, *, replier: str = "", stamp: int = 0) -> None:
        """Keep an answer, if it was asked for and there is room; a question that was answered too much has failed."""
        with self._lock:
            row = self._rows.get(get)
            if row is None or row.failed is not None or (row.replier and row.replier != replier):
                return
            if row.names is not None and key not in row.names:
                return
            row.count += 1
            full = self._answer_bytes + len(payload) > limits.ANSWERS_BYTES_MAX
            if full or row.count > limits.ANSWERS_PER_GET_MAX:
                self.dropped += 1
                row.failed = True
                return
            self._answer_bytes += len(payload)
            row.samples.append(Sample(key, payload, get, stamp))

    def has_answers(self, get: int) -> bool:
        """Whether answers to this question came and were not looked at yet."""
        with self._lock:
            row = self._rows.get(get)
            return row is not None and bool(row.samples)

    def end(self, get: int, failed: bool) -> None:
        """There are no more answers to this question."""
        with self._lock:
            row = self._rows.get(get)
            if row is not None and row.failed is None:
                row.failed = failed

    def take(self, count: int) -> tuple[list[Sample], list[Ended]]:
        """At most *count* samples, half of them answers where both wait, and the questions that are done with."""
        with self._lock:
            answers = self._take_answers(max(count // 2, count - len(self._live)))
            live = [self._live.popleft() for _ in range(min(len(self._live), count - len(answers)))]
            self._live_bytes -= sum(len(sample.payload) for sample in live)
            done = [get for get, row in self._rows.items() if row.failed is not None and not row.samples]
            return live + answers, [Ended(get, bool(self._rows.pop(get).failed)) for get in done]

    def _take_answers(self, count: int) -> list[Sample]:
        taken: list[Sample] = []
        for row in self._rows.values():
            while row.samples and len(taken) < count:
                taken.append(row.samples.popleft())
        self._answer_bytes -= sum(len(sample.payload) for sample in taken)
        return taken
