"""The examples of a page, typed into a real terminal in a throwaway home, and what they print there compared with the page.

A block of the language `console` holds commands after `$ ` and below each what it prints. A line `...` stands for any number of
lines. What is new each time (ids, times, sizes, the number of a fence) need only be of the same kind, and columns may be wider or
narrower; but an id of the page stands for the same memory everywhere in that page, in a command too, and there a beginning of it
is enough. So do the address and the code of an invitation. `nokosu invite` and `nokosu hub init` wait, in a terminal of their own,
while the commands after them are typed: what the page shows is what they print before that.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from sybil import Example

from docs.generate import terminal

ROOT: Final = Path(__file__).parents[2]
COLUMNS: Final = 100
YOUR_HOME: Final = "/home/you"

_LETTERS: Final = "0-9a-hjkmnp-tv-z"  # of an id: no i, l, o or u
WAITS: Final = ("nokosu invite", "nokosu hub init")
SECONDS_MAX: Final = 30

_ID: Final = rf"\b[{_LETTERS}]{{12}}\b"
_CODE: Final = r"\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b"
_ID_ON_A_PAGE: Final = rf"\b(?=[a-z]*[0-9])(?=[0-9]*[a-z])[{_LETTERS}]{{12}}\b"  # neither a word nor a number
_NAMES: Final = {
    "id": (_ID_ON_A_PAGE, _ID),
    "address": (r"\b127\.0\.0\.1:\d+\b", r"\b127\.0\.0\.1:\d+\b"),
    "code": (_CODE, _CODE),
}
"""What stands for one thing everywhere in a page: its form there, and in truth."""
_OTHERS: Final = {
    "identity": rf"\b(?:[{_LETTERS}]{{4}}-){{6}}[{_LETTERS}]{{2}}\b",
    "time": r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z",
    "date": r"\b\d{4}-\d\d-\d\d\b",
    "size": r"\b\d[\d,.]* (?:bytes|B|KiB|MiB|GiB)(?!\w)",
    "took": r"\b\d+\.\d+ (?:ms|s)\b",
    "fence": r"\b[0-9a-f]{8}\b",
    "age": r"(?:just now|\b\d+ (?:min|h|d) ago)",
    "sqlite": r"\bSQLite \d+\.\d+\.\d+\b",
}
_VARIABLE: Final = re.compile(
    "|".join(
        f"(?P<{kind}>{form})" for kind, form in ({name: shown for name, (shown, _) in _NAMES.items()} | _OTHERS).items()
    )
)
_CUT_CHARS: Final = 6  # before an ellipsis at the end of a line: where it is cut depends on the columns before it
_WORD: Final = re.compile(rf"(?<![\w-])[{_LETTERS}]{{4,12}}(?![\w-])")


class Step(NamedTuple):
    """A command of a page, and the lines that the page says it prints."""

    command: str
    expected: tuple[str, ...]


def steps(block: str) -> Iterator[Step]:
    """The commands of one block, with what stands below each."""
    command, expected = "", list[str]()
    for line in block.rstrip("\n").split("\n"):
        if command.endswith("\\"):
            command += f"\n{line}"
        elif line.startswith("$ "):
            if command:
                yield Step(command, tuple(expected))
            command, expected = line.removeprefix("$ "), []
        elif command:
            expected.append(line)
        else:
            raise ValueError(f"a block of commands begins with {line!r}, not with '$ '")
    yield Step(command, tuple(expected))


class Machine:
    """Somebody's machine: a home with nothing in it but the program, as `make install` leaves it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home
        self.data = home / ".local/share/nokosu"
        self._real: dict[str, str] = {}  # what the names of the page stand for
        self._waiting: list[terminal.Started] = []
        _install(home / ".local/bin/nokosu")
        self.env = {
            "HOME": str(home),
            "PATH": os.pathsep.join([f"{home}/.local/bin", "/usr/bin", "/bin", *_folders_of("git", sys.executable)]),
            "TERM": "xterm",
            "NOKOSU_EMBEDDER": "off",
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            **({"NOKOSU_HOME": str(self.data)} if sys.platform == "darwin" else {}),  # the pages name Linux's place
            **{f"GIT_{who}_{what}": "you@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }

    def evaluate(self, example: Example) -> str | None:
        """Type the commands of a block; what differs from the page, or None. An evaluator of Sybil's."""
        for step in steps(str(example.parsed)):
            if difference := self._try(step):
                return difference
        return None

    def close(self) -> None:
        """End what still waits, and every node that the page has left running."""
        for started in self._waiting:
            started.end()
        for lock in self.home.rglob("node.lock"):
            with suppress(OSError, ValueError, KeyError):
                os.kill(int(json.loads(lock.read_text())["pid"]), signal.SIGKILL)

    def _try(self, step: Step) -> str:
        where = self.home / ".folder"
        command = self._as_here(step.command)
        if any(waits in step.command for waits in WAITS):
            return self._start(step, command)
        typed = f"{command}\ncode=$?; pwd >'{where}'; exit $code"
        ran = terminal.run(typed, cwd=self.folder, env=self.env, columns=COLUMNS)
        self.folder = Path(where.read_text().removesuffix("\n"))
        printed = self._told(ran.output).rstrip("\n")
        if ran.code != 0:
            return f"$ {step.command}\nends with exit code {ran.code}, and prints:\n{printed}"
        pattern, names = self._pattern(step.expected)
        match = re.fullmatch(pattern, f"{printed}\n" if printed else "")
        if match is None:
            return f"$ {step.command}\nprints:\n{printed}\nand the page says:\n" + "\n".join(step.expected)
        self._real |= {name: match[group] for name, group in names.items()}
        return ""

    def _start(self, step: Step, command: str) -> str:
        """Type a command that waits, until it has printed what the page says."""
        started = terminal.Started(command, cwd=self.folder, env=self.env, columns=COLUMNS)
        self._waiting.append(started)
        pattern, names = self._pattern(step.expected)
        until = monotonic() + SECONDS_MAX
        while monotonic() < until and not started.has_ended:
            match = re.match(pattern, self._told(started.output(0.1)))
            if match is not None:
                self._real |= {name: match[group] for name, group in names.items()}
                return ""
        return f"$ {step.command}\nprints so far:\n{self._told(started.output(0))}\nand the page says:\n" + "\n".join(
            step.expected
        )

    def _as_here(self, command: str) -> str:
        """A command of the page with the names that things have here."""
        for kind in ("address", "code"):
            command = re.sub(_NAMES[kind][0], lambda found: self._real.get(found[0], found[0]), command)
        return _WORD.sub(self._beginning, command)

    def _beginning(self, word: re.Match[str]) -> str:
        """The beginning, of the same length, of the id that a beginning of an id of the page stands for."""
        found = [real for shown, real in self._real.items() if shown.startswith(word[0])]
        return found[0][: len(word[0])] if len(found) == 1 else word[0]

    def _told(self, output: str) -> str:
        """The output with the places of this machine named as the pages name them."""
        output = output.replace(str(self.home.resolve()), YOUR_HOME).replace(str(self.home), YOUR_HOME)
        return "\n".join(line.rstrip() for line in output.split("\n"))

    def _pattern(self, expected: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        """A regular expression for what a command prints, and its groups for the names that the page first uses here."""
        names: dict[str, str] = {}
        return "".join([self._line(line, names) for line in expected]), names

    def _line(self, line: str, names: dict[str, str]) -> str:
        if line.strip() == "...":
            return "(?:.*\n)*?"
        line, rest = (line[:-_CUT_CHARS], ".*…") if line.endswith("…") else (line.rstrip(), "")
        parts, end = [], 0
        for match in _VARIABLE.finditer(line):
            kind = match.lastgroup or ""
            form = self._name(match[0], _NAMES[kind][1], names) if kind in _NAMES else _OTHERS[kind]
            parts += [_literal(line[end : match.start()]), form]
            end = match.end()
        return "".join(parts) + _literal(line[end:]) + rest + "\n"

    def _name(self, shown: str, form: str, names: dict[str, str]) -> str:
        if shown in self._real:
            return re.escape(self._real[shown])
        if shown in names:
            return f"(?P={names[shown]})"
        names[shown] = f"name{len(names)}"
        return f"(?P<{names[shown]}>{form})"


def _folders_of(*programs: str) -> list[str]:
    """Where programs are that need not be in a system's usual folders."""
    return [str(Path(found).parent) for program in programs if (found := shutil.which(program))]


def _literal(text: str) -> str:
    """What matches *text*, and the same with wider or narrower gaps between its columns."""
    return re.sub(r"(?<=\S)(?:\\ ){2,}", r" {2,}", re.escape(text))


def _install(program: Path) -> None:
    """Put this very nokosu on the PATH under its own name, whatever the length of the path to its Python."""
    program.parent.mkdir(parents=True)
    body = f"import sys\nsys.path.insert(0, {str(ROOT / 'src')!r})\nfrom nokosu.cli import main\nsys.exit(main())\n"
    program.write_text(f"#!/bin/sh\n'''exec' '{sys.executable}' \"$0\" \"$@\"\n' '''\n{body}")
    program.chmod(0o755)
