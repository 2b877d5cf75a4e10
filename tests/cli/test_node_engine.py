"""`nokosu node engine` where there is no zenohd that fits; with the real one, tests/system/test_engine_node.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import engines
from tests.cli.processes import Shell


@pytest.fixture
def shell(tmp_path: Path, byte_code: Path) -> Shell:
    made = Shell(tmp_path, byte_code)
    made.env["NOKOSU_ENGINE"] = str(tmp_path / "engine")
    return made


def test_the_engine_is_embedded_until_another_is_set(shell: Shell) -> None:
    done = shell("node", "engine")
    assert (done.code, done.out) == (0, "embedded: the Zenoh inside the node\n")


def test_without_a_zenohd_it_is_not_set_and_what_to_do_is_said(shell: Shell) -> None:
    done = shell("node", "engine", "zenohd")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("Error: ")
    assert "Try: " in done.err
    assert "engine-wheel" in done.err
    assert not (shell.home / "config.toml").exists()
    assert shell("node", "engine").out.startswith("embedded")


def test_a_zenohd_that_does_not_fit_its_plugins_is_not_set(shell: Shell, tmp_path: Path) -> None:
    engines.failing(tmp_path / "engine", "Library file 'libthat.so' not found")
    done = shell("node", "engine", "zenohd")
    assert done.code == 5
    assert "the plugin libthat.so is not there" in done.err
    assert len(done.err.splitlines()) == 2
    assert not (shell.home / "config.toml").exists()


def test_what_is_set_and_then_missing_is_said_and_nothing_else_is_used_instead(shell: Shell) -> None:
    shell.home.mkdir(mode=0o700)
    (shell.home / "config.toml").write_text('engine = "zenohd"\n')
    done = shell("node", "engine")
    assert (done.code, done.out) == (5, "")
    assert "is no program" in done.err
    assert shell("node", "engine", "embedded").out == "The engine is embedded now.\n"
    assert (shell.home / "config.toml").read_text() == 'engine = "embedded"\n'
