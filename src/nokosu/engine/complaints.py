"""What a zenohd that cannot work says of it, in one line; pure.

Its log is meant for developers of Zenoh: colours, thread names, a panic over five lines. `reason` finds the cause, in our
words where it is one that we know, in Zenoh's where not. The patterns are those of 1.10.2, each taken from a real log;
they are bounded, for some words come from whoever connects.
"""

from __future__ import annotations

import re
from typing import Final

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_NEW_EVENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\S+ ")
_ERROR: Final = re.compile(r"\d{4}-\d\d-\d\dT\S+ +ERROR .*?ThreadId\(\d+\) [\w:]+: (?P<what>.*)")
_PANIC: Final = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at ")
_SOURCE: Final = re.compile(r" at /\S{1,400}\.rs:\d+\.?|\.{0,3} ?Exiting\.\.\.")
_NOISE: Final = "note: run with `RUST_BACKTRACE=1`"
_CHARS_MAX: Final = 300

_LOADING: Final = r"(?:Plugin load failure|Cannot spawn volume '\w+'): (?:Error loading )?"
_LISTENING: Final = r"listener on (?P<a>[^ \n]{1,300}): [^\n]{0,300}"
_OPENING: Final = r'open data-info database from "(?P<a>[^"\n]{1,4096})": '

_MISMATCH: Final = r"/(?P<c>[^/\n]{1,100}): Plugin compatibility mismatch:\s+Incompatible "

_KNOWN: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Library file '(?P<a>[^']+)' not found", "the plugin {a} is not there"),
        (
            _MISMATCH + r"Zenoh versions:\s+host: v?(?P<b>[\d.]+)\S*\s+plugin: v?(?P<a>[\d.]+)",
            "the plugin {c} is of Zenoh {a}, and zenohd of {b}",
        ),
        (
            _MISMATCH + r"rustc versions:\s+host: (?P<b>[^\n]+)\s+plugin: (?P<a>[^\n]+)",
            "the plugin {c} was built by {a}, and zenohd by {b}",
        ),
        (_MISMATCH + "Zenoh feature sets", "the plugin {c} was built with other features than zenohd"),
        (r"/(?P<c>[^/\n]{1,100}): Plugin loader version mismatch", "the plugin {c} is of another Zenoh than zenohd"),
        (_LOADING + r"/(?:[^\n:]*/)?(?P<a>[^/\n:]+): (?P<b>[^\n]+)", "the plugin {a} cannot be loaded ({b})"),
        (_OPENING + r"[^\n]{0,300}While lock file", "RocksDB in {a} is in use by another process"),
        (_OPENING + r"(?P<b>[^\n]+)", "RocksDB in {a} cannot be opened ({b})"),
        (_LISTENING + "Address already in use", "{a} is taken by another program"),
        (_LISTENING + "Cannot assign requested address", "{a} is not an address of this machine"),
        (r"listener on (?P<a>[^ \n]{1,300}) - Unable to acquire lock", "another zenohd answers at {a} already"),
    )
)


def reason(log: str) -> str:
    """Why the zenohd that wrote *log* cannot work; empty where it complains of nothing that keeps it from working."""
    serious = "\n".join(_serious(log))
    for pattern, words in _KNOWN:
        if found := pattern.search(serious):
            return _line(words.format(**found.groupdict()))
    return _line(serious.partition("\n")[0])


def storage_fault(log: str) -> str:
    """Why a zenohd that runs keeps nothing: it goes on without a volume or a storage that failed, and only says so."""
    lines = log.splitlines()
    first = next((at for at, line in enumerate(lines) if " ERROR" in line and "Cannot spawn " in line), None)
    return reason("\n".join(lines[first:])) if first is not None else ""


def last_words(log: str) -> str:
    """The last line that says anything, for a zenohd that ended without a complaint of its own."""
    lines = [line for line in _COLOURS.sub("", log).splitlines() if line.strip() and not line.startswith(_NOISE)]
    return _line(lines[-1]) if lines else ""


def _serious(log: str) -> list[str]:
    """Errors, panics and last lines without times and places in a source file, each with the lines that hang on it."""
    found: list[str] = []
    is_within = False
    for line in _COLOURS.sub("", log).splitlines():
        error = _ERROR.match(line)
        if error:
            found.append(error["what"])
        elif line.endswith("Exiting...") or (is_within and not _NEW_EVENT.match(line) and not line.startswith(_NOISE)):
            found.append(line)
        starts = error is not None or _PANIC.match(line) is not None
        is_within = starts or (is_within and not _NEW_EVENT.match(line))
    return [kept for line in found if (kept := _SOURCE.sub("", line)).strip()]


def _line(text: str) -> str:
    shown = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return shown if len(shown) <= _CHARS_MAX else f"{shown[: _CHARS_MAX - 1]}…"
