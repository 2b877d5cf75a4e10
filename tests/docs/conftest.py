"""A machine for each page, with nothing on it but nokosu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shell import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """An empty home; examples in Python, which run in this process, find themselves in it too."""
    home = tmp_path / "you"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    made = Machine(home)
    for name in ("XDG_DATA_HOME", "NOKOSU_HOME"):
        monkeypatch.delenv(name, raising=False)
    if "NOKOSU_HOME" in made.env:
        monkeypatch.setenv("NOKOSU_HOME", made.env["NOKOSU_HOME"])
    monkeypatch.chdir(home)
    made.data.mkdir(mode=0o700, parents=True)
    (made.data / "config.toml").write_text('device_name = "laptop"\n')
    (made.data / "config.toml").chmod(0o600)
    yield made
    made.close()
