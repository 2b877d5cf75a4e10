"""How far an agent was told: a note that may be missing, damaged or not ours, and then counts as none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nokosu import limits, looks
from nokosu.looks import Look, Position

LOOK = Look(since=Position(3, b"three"), until=Position(7, b"seven"))


def test_what_was_noted_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = looks.path_of(tmp_path, "codex", b"key")
    assert looks.read(path) is None
    looks.write(path, LOOK)
    assert looks.read(path) == LOOK
    assert (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
    before = path.stat().st_mtime_ns
    looks.write(path, LOOK)
    assert path.stat().st_mtime_ns == before


def test_each_agent_has_a_look_of_its_own_at_each_project(tmp_path: Path) -> None:
    paths = [looks.path_of(tmp_path, agent, key) for agent in ("codex", "claude-code", "") for key in (b"a", b"b", b"")]
    assert len(set(paths)) == len(paths)
    assert looks.path_of(tmp_path, "Codex", b"a") == looks.path_of(tmp_path, "codex", b"a")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"since":null}',
        b'{"since":null,"until":{"record":-1,"hash":""}}',
        b'{"since":null,"until":{"record":99999999999999999999,"hash":""}}',
        b'{"since":null,"until":{"record":1,"hash":"!"}}',
        b'{"since":null,"until":{"record":1,"hash":""},"more":1}',
        b'"' + b"x" * 2 * limits.LOOK_BYTES_MAX + b'"',
    ],
)
def test_what_is_not_a_look_counts_as_none_and_is_replaced(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "look.json"
    path.write_bytes(data)
    assert looks.read(path) is None
    looks.write(path, LOOK)
    assert looks.read(path) == LOOK
