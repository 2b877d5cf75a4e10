"""What was acknowledged on any device, so that in the end all of it can be asked for on all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from nokosu import Draft, Nokosu
from nokosu.clock import WallClock, system_wall_clock
from tests.homes import Home

_SENTENCE: Final = "the deploy of a search service waits for one schema change on staging before midnight"
_WORDS: Final = tuple(_SENTENCE.split(" "))
_FORGET_EVERY: Final = 7
_FORGET_AGE: Final = 5


class Ledger:
    """Every memory that these tests saved: its id and text, and whether it was forgotten since.

    `load` saves in threads of this process. No store knows of the network, so it does not matter that they run outside
    of the hosts' namespaces; the nodes that carry it all are processes inside.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.texts: dict[str, str] = {}
        self.forgotten: set[str] = set()

    def save(self, home: Home, count: int = 1, *, wall_clock: WallClock = system_wall_clock) -> list[str]:
        """Save so many memories; their ids."""
        with home.open(wall_clock=wall_clock) as memory:
            return [self._save(memory, home.name) for _ in range(count)]

    def save_at_once(self, home: Home, count: int) -> None:
        """The same, in large transactions."""
        with home.open() as memory:
            for at in range(0, count, 500):
                drafts = [Draft(text=self._text(home.name)) for _ in range(min(500, count - at))]
                for draft, saved in zip(drafts, memory.save_many(drafts), strict=True):
                    self.texts[saved.id] = draft.text

    def forget(self, home: Home, ids: Sequence[str]) -> None:
        """Forget memories, whoever wrote them."""
        home.forget(*ids)
        self.forgotten.update(ids)

    @contextmanager
    def load(self, *homes: Home, pause: float = 0.05, wall_clock: WallClock = system_wall_clock) -> Iterator[None]:
        """Save on each of these devices while the block lasts, and forget some of it again."""
        over = Event()
        failed: list[BaseException] = []
        threads = [Thread(target=self._until, args=(over, home, pause, wall_clock, failed)) for home in homes]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(30)
        assert not failed, f"a save failed under load: {failed[0]!r}"

    def check(self, *homes: Home, space: str = "") -> None:
        """Each device shows exactly what was acknowledged: nothing lost, nothing else, nothing forgotten back."""
        expected = {id: ("forgotten" if id in self.forgotten else "live", text) for id, text in self.texts.items()}
        for home in homes:
            found = {one["id"]: (one["status"], one["text"]) for one in home.exported(space)}
            lost, phantom = expected.keys() - found.keys(), found.keys() - expected.keys()
            assert not lost, f"{home.name} lost {len(lost)} of {len(expected)}, such as {min(lost)}"
            assert not phantom, f"{home.name} shows {len(phantom)} that nobody saved, such as {min(phantom)}"
            other = {id for id in expected if expected[id] != found[id]}
            assert not other, f"{home.name} shows {len(other)} otherwise: {[(id, found[id]) for id in other][:3]}"

    def _until(self, over: Event, home: Home, pause: float, wall_clock: WallClock, failed: list[BaseException]) -> None:
        try:
            with home.open(wall_clock=wall_clock) as memory:
                own: list[str] = []
                while not over.wait(pause):
                    own.append(self._save(memory, home.name))
                    if len(own) % _FORGET_EVERY == 0:
                        memory.forget(own[-_FORGET_AGE])
                        self.forgotten.add(own[-_FORGET_AGE])
        except BaseException as error:  # noqa: BLE001 - the test is to see whatever it is
            failed.append(error)

    def _save(self, memory: Nokosu, who: str) -> str:
        text = self._text(who)
        id = memory.save(Draft(text=text)).id
        self.texts[id] = text
        return id

    def _text(self, who: str) -> str:
        words = " ".join(self._random.choices(_WORDS, k=12))
        return f"{who} {self._random.getrandbits(60):015x}: {words}"
