"""One seed for every random choice of a fault test, told where a test fails, together with the command that repeats it."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.faults.stores")  # before it is imported: its asserts then show what they compared

from nokosu.nokosu import Nokosu  # noqa: E402
from tests.faults import stores  # noqa: E402

_GIVEN = os.environ.get(
    "FAULT_SEED", "1" if os.environ.get("CI") else ""
)  # CI tries the same in each run, others new ones
_IN_MEMORY = Path("/dev/shm")
_SEED = pytest.StashKey[int]()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Where the test's random choices begin: `FAULT_SEED` if set."""
    chosen = int(_GIVEN) if _GIVEN else random.SystemRandom().randrange(10**9)
    request.node.stash[_SEED] = chosen
    return chosen


@pytest.fixture
def rng(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Random choices that follow from the seed and the test's name, so that no two tests make the same."""
    return random.Random(f"{seed} {request.node.nodeid}")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder for what needs no real disk, because the test says what the disk does: in memory where the system has that."""
    if not _IN_MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="nokosu-test-", dir=_IN_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with three memories, to be copied."""
    home = tmp_path_factory.mktemp("small") / "home"
    with Nokosu(stores.config(home)) as memory:
        memory.save_many([stores.note(f"first-{n}") for n in range(3)])
    return home


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and _SEED in item.stash:
        command = f"FAULT_SEED={item.stash[_SEED]} .venv/bin/python -m pytest '{item.nodeid}'"
        report.sections.append(("to repeat it", command))
    return report
