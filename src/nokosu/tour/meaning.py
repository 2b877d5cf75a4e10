"""`nokosu try --meaning`: two questions that share no word with their answer, one of them in another language.

Asked twice, by words alone and then with the embedder, a real process with the real models, in a throwaway home.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from nokosu import limits
from nokosu.config import Config
from nokosu.drafts import Draft, Query
from nokosu.errors import NotFound, StoreError
from nokosu.nokosu import Nokosu
from nokosu.semantic import known, process
from nokosu.semantic.client import BY_WORDS, Embedder
from nokosu.tour.telling import Echo

NOTES: Final = (
    "Slot holds moved out of Redis into Postgres, because the cache evicted live ones when memory ran out.",
    "We deploy to production on Thursdays only, so that nobody has to repair things on a Friday.",
    "The nightly job sends failed mails again, three times at most.",
    "Invoices are numbered per country; gaps are not allowed in Italy.",
    "The integration tests need the fake payment server on port 4010.",
)
ASKED: Final = (
    ("in other words", "why did customers lose their reservations?", NOTES[0]),
    ("in another language", "本番リリースは何曜日？", NOTES[1]),
)
_READ_SECONDS_MAX: Final = 120.0
_TRIES: Final = 40


def main(config: Config, *, echo: Echo) -> int:
    """Show it; 0 when both questions found their answer.

    Raises:
        NotFound: the extra is not installed.
    """
    if not known.are_installed():
        raise NotFound("recall by meaning is not installed", hint=known.INSTALL)
    with tempfile.TemporaryDirectory(prefix="nokosu-try-") as throwaway:
        home = msgspec.structs.replace(config, home=Path(throwaway) / "home", starts_embedder=True)
        return 0 if _show(home, echo) else 1


def _show(home: Config, echo: Echo) -> bool:
    """Save, ask, have the notes read, ask again; whether both questions found their answer then."""
    with Nokosu(msgspec.structs.replace(home, starts_embedder=False)) as memory:
        for text in NOTES:
            memory.save(Draft(text=text))
        echo(f"{len(NOTES)} notes are saved, in a throwaway home.")
        _ask(memory, "By words alone:", echo)
    embedder = Embedder(home)
    try:
        _wait(home, embedder, echo)
        with Nokosu(home) as memory:
            found = _ask(memory, "By words and meaning:", echo)
        echo("")
        echo("Searches of the command line and of agents do the same, in this environment. To have it elsewhere:")
        echo(f"   {known.INSTALL}")
        return found
    finally:
        embedder.stop()
        _wait_for_the_end(home)


def _ask(memory: Nokosu, heading: str, echo: Echo) -> bool:
    echo("")
    echo(heading)
    right = 0
    for how, question, answer in ASKED:
        started = time.perf_counter()
        hits = _answer(memory, question)
        took = (time.perf_counter() - started) * 1000
        echo(f"   {question}  ({how}, {took:.0f} ms)")
        first = hits[0] if hits else ""
        right += first == answer
        echo(f"      {first or 'nothing'}")
    return right == len(ASKED)


def _answer(memory: Nokosu, question: str) -> list[str]:
    """What is found; where the embedder was too slow, once more."""
    query = Query(text=question, all_projects=True)
    found, tries = memory.search(query), 1
    while any(note.startswith(BY_WORDS) for note in found.notes) and tries < _TRIES:
        found, tries = memory.search(query), tries + 1
    return [hit.text for hit in found.hits if memory.config.starts_embedder or not hit.weak]


def _wait(home: Config, embedder: Embedder, echo: Echo) -> None:
    started = time.monotonic()
    process.start_if_needed(home)
    while (state := embedder.state()) is None or state.pending or state.memories < len(NOTES):
        if time.monotonic() - started > _READ_SECONDS_MAX or process.last_words(home):
            why = process.last_words(home) or "it took too long"
            raise StoreError(f"the embedder has not read the notes: {why}", hint="nokosu doctor")
        time.sleep(0.05)  # it tells nobody when it is done
    echo("")
    echo(f"The embedder (process {state.pid}) started and read all notes in {time.monotonic() - started:.1f} s:")
    echo(f"   {', '.join(state.models)}{f'; {state.lacks}' if state.lacks else ''}")


def _wait_for_the_end(home: Config) -> None:
    until = time.monotonic() + limits.GIT_WAIT_MS_MAX / 1000
    while process.running(home) is not None and time.monotonic() < until:
        time.sleep(0.02)
