"""What holds in every test: one SQLite, a home that is not the developer's, and no skip in CI."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from nokosu.config import DATABASE_NAME, Config
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.testing import ManualClock, SeededRandom, Store

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_IN_MEMORY = Path("/dev/shm")

# A second SQLite in the process breaks the locks of apsw's. From here on, importing it fails where it is written.
for name in ("sqlite3", "_sqlite3"):
    if sys.modules.get(name) is not None:
        raise RuntimeError(f"{name} was imported before the tests began")
    sys.modules[name] = None  # type: ignore[assignment]

# A slow machine breaks no law. CI tries the same examples in each run; elsewhere each run tries new ones.
settings.register_profile("nokosu", deadline=None, print_blob=True)
settings.register_profile("nokosu-ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("nokosu-ci" if os.environ.get("CI") else "nokosu")


def pytest_collection_finish() -> None:
    gc.freeze()  # the tests themselves, thousands of them, stay to the end: nothing of them is to be collected


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell starts its background jobs so, and what they start
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "promise(id): belongs to a promise of tests/promises.py")


@pytest.fixture(scope="session", autouse=True)
def _a_home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's memories, configuration and git settings out of each test, and each test out of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("NOKOSU_", "XDG_", "CLAUDE", "CODEX", "GEMINI", "GIT_")) and name != "NOKOSU_CI":
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("NOKOSU_NODE", "off")  # a test that shares a space leaves no process behind
        patch.setenv("NOKOSU_EMBEDDER", "off")  # nor does one that searches, where the extra is installed
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # a process that compiles all it imports starts slowly
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test")
            patch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
        yield


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where the system has one, for tests that are not about the disk."""
    if not _IN_MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY, prefix="nokosu-test-") as folder:
        yield Path(folder)


# Small nouns: a memory and a store of its own for each test, with a clock that only the test moves. -----------------


@pytest.fixture
def clock() -> ManualClock:
    """Stands at the beginning of 2026."""
    return ManualClock()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Somebody at work in no project, with nothing saved yet."""
    return Config(home=tmp_path / "home", user_home=tmp_path, author=Author(agent="tester"), device_name="laptop")


@pytest.fixture
def memory(config: Config, clock: ManualClock) -> Iterator[Nokosu]:
    with Nokosu(config, wall_clock=clock, random=SeededRandom()) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    with Store(tmp_path / DATABASE_NAME, wall_clock=clock, random=SeededRandom(1)) as opened:
        yield opened


# With NOKOSU_CI=1 a skip is a failure that shows its reason: CI installs what the tests need. -------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome == "skipped" and os.environ.get("NOKOSU_CI") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nNOKOSU_CI=1: a skip is a failure"
