"""Whether two Cargo locks build shared crates from the same versions; pure.

Zenoh's loader compares the compiler, Zenoh's own version and features, and nothing else: a plugin with another tokio loads,
and may crash. So of each crate that is in both locks, the versions that Cargo takes for compatible (1.x, 0.4.x) must be one.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict


def differing(ours: str, theirs: str) -> list[str]:
    """Crates of two locks, given as their text, that differ, as `tokio 1.54.1 (zenohd: 1.53.2)`; tokio first."""
    here, there = _lines(ours), _lines(theirs)
    names = sorted(here.keys() & there.keys(), key=lambda line: (line[0] != "tokio", line))
    return [
        f"{name} {', '.join(sorted(here[name, line]))} (zenohd: {', '.join(sorted(there[name, line]))})"
        for name, line in names
        if here[name, line] != there[name, line]
    ]


def _lines(lock: str) -> dict[tuple[str, str], set[str]]:
    """Crate and compatible line to its versions."""
    found = defaultdict[tuple[str, str], set[str]](set)
    for package in tomllib.loads(lock)["package"]:
        found[package["name"], _line(package["version"])].add(package["version"])
    return found


def _line(version: str) -> str:
    """The part of a version that must be equal for Cargo to take another for compatible."""
    major, minor, patch = version.partition("+")[0].partition("-")[0].split(".")
    if major != "0":
        return major
    return f"0.{minor}" if minor != "0" else f"0.0.{patch}"
