"""A search's side of the embedder: whatever is at the other end of the socket, a search is answered, and says what it lacks."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from nokosu import node_process, overview
from nokosu.config import Config
from nokosu.doctor import meaning
from nokosu.drafts import Draft, Query
from nokosu.memory import Hits
from nokosu.nokosu import Nokosu
from nokosu.search.meaning import Near
from nokosu.semantic import client, known, process, wire
from nokosu.semantic.known import ENGLISH
from nokosu.semantic.wire import Begin, Look, State, Told
from nokosu.testing import ManualClock
from tests.homes import eventually

Serve = Callable[[Callable[[socket.socket], None]], None]


@pytest.fixture
def settings(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """Somebody who has the extra, as far as can be seen without loading it, and whose sockets lie in a folder of their own."""
    for name in (ENGLISH.package, *ENGLISH.needs):
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with tempfile.TemporaryDirectory(prefix="nk", dir="/tmp") as run:  # the name of a socket is short
        found = msgspec.structs.replace(config, starts_embedder=True, runtime=Path(run))
        assert process.socket(found).is_relative_to(run)
        yield found
        eventually(lambda: has_ended(found), 30)


def has_ended(settings: Config) -> bool:
    """Whether no embedder runs that a search of the test has started; one that does is told to end."""
    running = process.running(settings)
    if running is not None and running.pid:
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
    return running is None


@pytest.fixture
def memory(settings: Config, clock: ManualClock) -> Iterator[Nokosu]:
    with Nokosu(msgspec.structs.replace(settings, starts_embedder=False), wall_clock=clock) as filled:
        filled.save(Draft(text="Slot holds live in Postgres."))
        filled.save(Draft(text="Mails are sent again at night."))
    with Nokosu(settings, wall_clock=clock) as opened:
        yield opened


@pytest.fixture
def serve(settings: Config) -> Iterator[Serve]:
    """Listens where the embedder would, holds its lock, and does with each connection what the test says."""
    listeners: list[socket.socket] = []
    lock = None

    def start(answer: Callable[[socket.socket], None]) -> None:
        nonlocal lock
        settings.home.mkdir(exist_ok=True)
        lock = node_process.acquire(settings.home, process.LOCK_NAME)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(process.socket(settings)))
        listener.listen()
        listeners.append(listener)
        Thread(target=accept, args=(listener, answer), daemon=True).start()

    def accept(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # whoever asks may have heard enough
                answer(connection)

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    if lock is not None:
        lock.release()


def found(memory: Nokosu, words: str = "Postgres") -> Hits:
    return memory.search(Query(text=words))


def by_words(hits: Hits) -> bool:
    """Whether a search for Postgres found what it finds by words."""
    return [hit.text for hit in hits.hits] == ["Slot holds live in Postgres."]


def answers(told: Told) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        with connection.makefile("rb") as incoming:
            msgspec.json.decode(incoming.readline(), type=Begin)
            msgspec.json.decode(incoming.readline(), type=Look)
        connection.sendall(wire.line(told))

    return answer


def test_what_the_embedder_tells_decides_the_order(memory: Nokosu, serve: Serve) -> None:
    serve(answers(Told((Near(2, 5.0, answers=True), Near(1, 1.2, answers=False)))))
    hits = found(memory, "when is post delivered once more").hits
    assert [(hit.text, hit.meaning, hit.weak) for hit in hits] == [
        ("Mails are sent again at night.", True, False),
        ("Slot holds live in Postgres.", True, True),
    ]


def test_a_search_of_a_time_without_memories_asks_again_about_all_times(memory: Nokosu, serve: Serve) -> None:
    looks: list[Look] = []

    def answer(connection: socket.socket) -> None:
        with connection.makefile("rb") as incoming:
            msgspec.json.decode(incoming.readline(), type=Begin)
            while line := incoming.readline():
                looks.append(msgspec.json.decode(line, type=Look))
                connection.sendall(wire.line(Told((Near(2, 5.0, answers=True), Near(1, 1.2, answers=False)))))

    serve(answer)
    hits = found(memory, "when was post delivered once more on 3 January 2020").hits
    assert [hit.text for hit in hits] == ["Mails are sent again at night.", "Slot holds live in Postgres."]
    assert len(looks) == 2


def test_memories_that_it_has_not_read_yet_are_counted(memory: Nokosu, serve: Serve) -> None:
    serve(answers(Told(pending=1200)))
    assert found(memory).notes == ("by meaning, but for 1,200 memories that the embedder has not read yet",)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda connection: connection.recv(1) and None, "ended while it was asked"),
        (lambda connection: connection.sendall(b"nonsense\n"), "ended while it was asked"),
        (lambda connection: connection.sendall(b'{"near": 7}\n'), "ended while it was asked"),
        (lambda connection: connection.sendall(b"[" * 2_000_000), "ended while it was asked"),
        (lambda connection: connection.sendall(b"\xff\xfe\n"), "ended while it was asked"),
        (answers(Told(lacks="no model for that", blind=True)), "no model for that"),
    ],
    ids=["hangs up", "nonsense", "another thing", "never ends", "no text", "cannot"],
)
def test_an_embedder_that_misbehaves_leaves_the_words(
    memory: Nokosu, serve: Serve, answer: Callable[[socket.socket], None], said: str
) -> None:
    serve(answer)
    hits = found(memory)
    assert by_words(hits)
    assert [note for note in hits.notes if note.startswith(client.BY_WORDS) and said in note], hits.notes


def test_one_that_says_nothing_is_not_waited_for(memory: Nokosu, serve: Serve) -> None:
    hung: list[socket.socket] = []
    serve(lambda connection: hung.append(connection.dup()))
    before = time.monotonic()
    hits = found(memory)
    assert time.monotonic() - before < 10, "a bound against waiting for ever, not a measurement"
    assert by_words(hits)
    assert hits.notes == ("by words alone: the embedder did not answer in 150 ms",)
    for connection in hung:
        connection.close()


def test_a_socket_that_a_killed_one_left_is_no_embedder(memory: Nokosu, settings: Config) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(process.socket(settings)))
    hits = found(memory)
    assert by_words(hits)
    assert hits.notes == ("by words alone: the embedder is being started",)


def test_a_folder_that_others_may_enter_is_not_asked_in(memory: Nokosu, settings: Config) -> None:
    process.socket(settings).parent.chmod(0o755)
    hits = found(memory)
    assert by_words(hits)
    (note,) = hits.notes
    assert "is not a folder that only its owner may enter" in note


def test_why_the_last_one_could_not_work_is_said_and_it_is_not_tried_at_once_again(
    memory: Nokosu, settings: Config
) -> None:
    lock = node_process.acquire(settings.home, process.LOCK_NAME)
    assert lock is not None
    now = int(time.time() * 1000)
    lock.release(node_process.Running(version="0", started=now, failed="model.onnx is missing"))
    assert found(memory).notes == ("by words alone: model.onnx is missing",)
    assert process.running(settings) is None
    assert not process.start_if_needed(settings)


def test_what_is_quoted_and_what_is_listed_asks_nobody(memory: Nokosu, serve: Serve) -> None:
    asked: list[bytes] = []
    serve(lambda connection: asked.append(connection.recv(10)))
    assert len(found(memory, "").hits) == 2
    assert asked == []


def test_whoever_has_not_installed_it_hears_of_it_where_words_find_nothing(
    memory: Nokosu, settings: Config, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "are_installed", lambda: False)
    with Nokosu(settings, wall_clock=clock) as without:
        assert found(without).notes == ()
        assert found(without, "reservation").notes == (
            "to find memories in other words too: pip install 'nokosu[semantic]'",
        )
    off = msgspec.structs.replace(settings, starts_embedder=False)
    with Nokosu(off, wall_clock=clock) as silent:
        assert found(silent, "reservation").notes == ()
    assert not process.start_if_needed(off)


def test_doctor_offers_it_and_names_a_file_that_is_not_ours(
    memory: Nokosu, settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (broken,) = meaning.checks(settings)
    assert (broken.level, "is missing" in broken.summary) == ("warn", True)
    (tmp_path / "site" / ENGLISH.package / ENGLISH.filename).write_bytes(b"another")
    (broken,) = meaning.checks(settings)
    assert (broken.level, "is not the file that nokosu knows" in broken.summary) == ("warn", True)
    assert broken.hint == "pip install --force-reinstall 'nokosu[semantic]'"
    monkeypatch.setattr(known, "are_installed", lambda: False)
    (offered,) = meaning.checks(settings)
    assert (offered.level, offered.hint) == ("ok", "pip install 'nokosu[semantic]'")
    assert meaning.checks(msgspec.structs.replace(settings, starts_embedder=False)) == []


def test_status_tells_where_it_stands(memory: Nokosu, settings: Config, serve: Serve) -> None:
    idle = memory.status().meaning
    assert idle is not None
    assert overview.told_of_meaning(idle) == "the embedder starts with the next search"
    state = State(7, "0", memories=3, pending=1200, models=("one",), lacks="English only: no other model")

    def tell(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(wire.line(state))

    serve(tell)
    now = memory.status().meaning
    assert now is not None
    assert overview.told_of_meaning(now) == "3 memories read, 1,200 to go, process 7; English only: no other model"
