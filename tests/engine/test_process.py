"""One zenohd and the process that has started it; a script stands in for zenohd."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nokosu import limits
from nokosu.engine.located import Engine
from nokosu.engine.process import CONFIG_NAME, LOG_NAME, Zenohd
from nokosu.engine.settings import EngineSettings
from nokosu.errors import MeshError
from tests.engine.conftest import FOREVER, SERVING, Pretender

SECONDS = 10.0


def settings(folder: Path, *, space: bytes = bytes(16), name: str = "folder") -> EngineSettings:
    return EngineSettings(
        space=space,
        zid="a1" * 16,
        roots=b"",
        certificate=b"",
        key=b"-- the key --",
        listen=(),
        connect=(),
        socket=folder / "sock",
        folder=folder / name,
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Zenohd]]:
    running = []

    def started(engine: Engine, wanted: EngineSettings | None = None, *, wait_seconds: float = SECONDS) -> Zenohd:
        process = Zenohd.start(engine, wanted or settings(tmp_path), wait_seconds=wait_seconds)
        running.append(process)
        return process

    yield started
    for process in running:
        process.stop()


def test_it_is_started_watched_and_ended(pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path) -> None:
    process = start(pretend(SERVING + FOREVER))
    assert process.is_alive()
    assert process.last_words() == ""
    assert process.rss_bytes() > 1_000_000
    os.kill(process.pid, 0)
    process.stop()
    assert not process.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    assert not (tmp_path / "sock").exists()
    assert process.rss_bytes() == 0


def test_it_is_told_what_it_needs_and_nothing_of_whoever_starts_it(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUST_LOG", "debug")
    monkeypatch.setenv("ZENOH_BACKEND_ROCKSDB_ROOT", "/elsewhere")
    monkeypatch.setenv("SECRET", "x")
    start(pretend("json.dump(dict(os.environ), open('environ', 'w'))" + SERVING + FOREVER))
    environ = json.loads((tmp_path / "folder/environ").read_text())
    assert environ["RUST_LOG"].split(",")[0] == "warn", (
        "at info it logs its configuration, and that has the private key"
    )
    assert environ["ZENOH_BACKEND_ROCKSDB_ROOT"] == str(tmp_path / "folder")
    assert int(environ["UHLC_MAX_DELTA_MS"]) > 10**11
    assert "SECRET" not in environ


def test_what_it_leaves_is_for_its_owner_alone(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir(mode=0o755)
    start(pretend("os.mkdir('rec')\nopen('rec/1', 'w').write('123')" + SERVING + FOREVER))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "folder").rglob("*")}
    assert modes == {CONFIG_NAME: 0o600, LOG_NAME: 0o600, "rec": 0o700, "1": 0o600}
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "sock").stat().st_mode & 0o077 == 0


def test_the_disk_that_it_takes_is_counted(pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path) -> None:
    making = "os.mkdir('rec')\nos.mkdir('vec')\nopen('rec/1', 'w').write('123')\nopen('vec/2', 'w').write('4567')"
    assert start(pretend(making + SERVING + FOREVER)).disk_bytes() == 7


def test_a_socket_that_a_killed_one_has_left_is_no_hindrance(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "sock"))
    (tmp_path / "sock.lock").touch()
    assert start(pretend(SERVING + FOREVER)).is_alive()
    assert not (tmp_path / "sock.lock").exists()


# What is not run ------------------------------------------------------------------------------------------------------


def test_one_that_ends_is_told_with_its_last_words(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path
) -> None:
    with pytest.raises(MeshError, match=r"^zenohd did not start: no luck today$") as refused:
        start(pretend("print('no luck today')"))
    assert refused.value.hint == "nokosu node logs"
    assert "no luck" in (tmp_path / "folder" / LOG_NAME).read_text()


def test_one_that_ends_without_a_word_is_told_by_its_status(pretend: Pretender, start: Callable[..., Zenohd]) -> None:
    with pytest.raises(MeshError, match=r"^zenohd did not start: it ended with status 9$"):
        start(pretend("sys.exit(9)"))


def test_words_of_an_earlier_one_are_not_taken_for_its_own(pretend: Pretender, start: Callable[..., Zenohd]) -> None:
    with pytest.raises(MeshError, match="first"):
        start(pretend("print('first')"))
    with pytest.raises(MeshError, match="it ended with status 9"):
        start(pretend("sys.exit(9)"))


def test_one_that_runs_without_its_storages_is_ended(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path
) -> None:
    line = "2026-01-01T00:00:00Z ERROR ThreadId(01) x::y: Cannot spawn storage 'rec': no volume"
    script = f"print({line!r}, flush=True)\nopen('pid', 'w').write(str(os.getpid())){SERVING}{FOREVER}"
    with pytest.raises(MeshError, match=r"^zenohd did not start: Cannot spawn storage 'rec': no volume$"):
        start(pretend(script))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "folder/pid").read_text()), 0)


def test_one_that_never_answers_is_ended(pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path) -> None:
    script = "open('pid', 'w').write(str(os.getpid()))\nprint('busy', flush=True)\n" + FOREVER
    with pytest.raises(MeshError, match=r"^zenohd did not start within 1 seconds: busy$"):
        start(pretend(script), wait_seconds=0.6)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "folder/pid").read_text()), 0)


def test_a_second_one_for_the_same_socket_is_refused_and_the_first_goes_on(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path
) -> None:
    first = start(pretend(SERVING + FOREVER))
    with pytest.raises(MeshError, match="another one answers at"):
        start(pretend(SERVING + FOREVER), settings(tmp_path, name="other"))
    assert first.is_alive()
    assert (tmp_path / "sock").exists()


def test_a_folder_of_another_space_is_refused(pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path) -> None:
    start(pretend(SERVING + FOREVER)).stop()
    before = (tmp_path / "folder" / CONFIG_NAME).read_bytes()
    with pytest.raises(MeshError, match="belongs to another space"):
        start(pretend(SERVING + FOREVER), settings(tmp_path, space=bytes([1] * 16)))
    assert (tmp_path / "folder" / CONFIG_NAME).read_bytes() == before


@pytest.mark.parametrize("foreign", ["{}", "[]", "mode: router", '{"plugins": 1}', '{"plugins": {"rest": {}}}', "\xff"])
def test_a_configuration_that_is_not_ours_is_not_written_over(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path, foreign: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / CONFIG_NAME).write_text(foreign, encoding="latin-1")
    with pytest.raises(MeshError, match="is not a configuration of ours"):
        start(pretend(SERVING + FOREVER))
    assert (tmp_path / "folder" / CONFIG_NAME).read_text(encoding="latin-1") == foreign


def test_a_folder_that_cannot_be_made_is_said(pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(MeshError, match=r"^zenohd: .*/folder: "):
        start(pretend(SERVING + FOREVER))


# Its log --------------------------------------------------------------------------------------------------------------


def test_its_log_stays_within_bounds_while_it_runs(
    pretend: Pretender, start: Callable[..., Zenohd], tmp_path: Path
) -> None:
    talking = "for _ in range(13):\n    print('x' * 100_000, flush=True)\nopen('told', 'w')\n"
    waiting = "while os.path.getsize('zenohd.log'):\n    time.sleep(0.01)\nprint('afterwards', flush=True)"
    process = start(pretend(SERVING + talking + waiting + FOREVER))
    log, told = tmp_path / "folder" / LOG_NAME, tmp_path / "folder/told"
    wait_until(told.exists)
    assert log.stat().st_size > limits.ENGINE_LOG_BYTES_MAX
    assert process.is_alive()
    wait_until(lambda: log.read_text() == "afterwards\n")
    assert process.is_alive()
    assert process.last_words() == "afterwards"
    assert re.fullmatch("(x{100000}\n){13}", log.with_name(f"{LOG_NAME}.1").read_text())
    assert log.with_name(f"{LOG_NAME}.1").stat().st_mode & 0o777 == 0o600


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)
