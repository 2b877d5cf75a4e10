"""A command in a real terminal, and a picture of what it printed there.

The program is run on a pseudo-terminal, so that it shows what a person sees: colours, ages and tables.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

_SECONDS_MAX: Final = 60
_ASSIGNMENTS: Final = re.compile(r"(?:\w+=\S* +)*")  # before the name of a command
_SGR: Final = re.compile(r"\x1b\[([0-9;]*)m")


class Ran(NamedTuple):
    """What a command wrote to its terminal, stdout and stderr together, and its exit code."""

    output: str
    code: int


def run(command: str, *, cwd: Path, env: Mapping[str, str], columns: int) -> Ran:
    """Run *command*, a line for `sh`, on a terminal of so many *columns* that nobody types into.

    Raises:
        TimeoutError: it takes longer than a minute; it is killed.
    """
    child, ours = _started(command, cwd, env, columns)
    try:
        output = b"".join(_chunks(ours, command))
        return Ran(_text(output), child.wait())
    finally:
        os.close(ours)
        if child.poll() is None:
            child.kill()
            child.wait()


class Started:
    """A command that goes on, on a terminal of its own, while others run. `end` ends it."""

    def __init__(self, command: str, *, cwd: Path, env: Mapping[str, str], columns: int) -> None:
        line = _ASSIGNMENTS.sub(r"\g<0>exec ", command, count=1)
        self._child, self._terminal = _started(line, cwd, env, columns)
        self._output = b""

    @property
    def has_ended(self) -> bool:
        """Whether it is over, by itself."""
        return self._child.poll() is not None

    def output(self, seconds: float) -> str:
        """Everything that it has printed so far, having waited at most so long for more."""
        if select.select([self._terminal], [], [], seconds)[0]:
            with suppress(OSError):  # Linux: it has ended
                self._output += os.read(self._terminal, 65536)
        return _text(self._output)

    def end(self) -> None:
        """Kill it, if it still runs."""
        self._child.kill()
        self._child.wait()
        os.close(self._terminal)


def _started(command: str, cwd: Path, env: Mapping[str, str], columns: int) -> tuple[subprocess.Popen[bytes], int]:
    """A shell that runs *command* on a new terminal, and our end of that terminal."""
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=cwd,
            env={**env, "COLUMNS": str(columns), "LINES": "50"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return child, ours


def _text(output: bytes) -> str:
    return output.decode(errors="replace").replace("\r\n", "\n")


def _chunks(terminal: int, command: str) -> Iterator[bytes]:
    until = time.monotonic() + _SECONDS_MAX
    while select.select([terminal], [], [], max(until - time.monotonic(), 0))[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux: nobody has the other end open any more
            return
        if not chunk:  # macOS says it so
            return
        yield chunk
    raise TimeoutError(f"{command!r} takes longer than {_SECONDS_MAX} s")


# The picture: dark, whatever the page is. ---------------------------------------------------------------------------

_CHAR_WIDTH: Final = 8.43  # of 14 px, in the fonts below
_LINE_HEIGHT: Final = 20
_MARGIN: Final = 20
_TITLE_HEIGHT: Final = 36
_FONT: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
_BACKGROUND, _BAR, _TEXT = "#161b22", "#21262d", "#e6edf3"
_COLOURS: Final = {
    30: "#484f58", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#56d4dd", 37: "#e6edf3",
}  # fmt: skip
_DOTS: Final = ("#ff5f57", "#febc2e", "#28c840")


class _Style(NamedTuple):
    """How a piece of text looks: its colour, and whether it stands out or back."""

    colour: str = ""
    bold: bool = False
    faint: bool = False

    def after(self, codes: str) -> _Style:
        """The style after the numbers of one escape sequence."""
        style = self
        for code in map(int, (codes or "0").split(";")):
            if code == 0:
                style = _Style()
            elif code == 1:
                style = style._replace(bold=True)
            elif code == 2:
                style = style._replace(faint=True)
            elif code in _COLOURS:
                style = style._replace(colour=_COLOURS[code])
            else:
                raise ValueError(f"the picture knows no escape sequence {codes!r}")
        return style

    @property
    def attributes(self) -> str:
        """The same in SVG."""
        attributes = f' fill="{self.colour}"' if self.colour else ""
        attributes += ' font-weight="700"' if self.bold else ""
        return attributes + (' opacity="0.6"' if self.faint else "")


def picture(text: str, *, columns: int, title: str) -> str:
    """An SVG of a terminal that shows *text*, escape sequences for colours included; the lines within `<svg>`."""
    lines = text.rstrip("\n").split("\n")
    width = round(columns * _CHAR_WIDTH + 2 * _MARGIN)
    height = len(lines) * _LINE_HEIGHT + _TITLE_HEIGHT + 2 * _MARGIN - 8
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{_BACKGROUND}"/>',
        f'<path d="M0 {_TITLE_HEIGHT}V8a8 8 0 0 1 8-8H{width - 8}a8 8 0 0 1 8 8V{_TITLE_HEIGHT}z" fill="{_BAR}"/>',
        *(f'<circle cx="{20 + 20 * n}" cy="18" r="6" fill="{colour}"/>' for n, colour in enumerate(_DOTS)),
        f'<g font-family="{_FONT}" font-size="14" fill="{_TEXT}" xml:space="preserve">',
    ]
    style = _Style()
    body = []
    for number, line in enumerate(lines):
        spans, style = _spans(line, style)
        y = _TITLE_HEIGHT + _MARGIN + 8 + number * _LINE_HEIGHT
        if spans:
            body.append(f'<text x="{_MARGIN}" y="{y}">{spans}</text>')
    return "\n".join([*head, *body, "</g>", "</svg>"])


def _spans(line: str, style: _Style) -> tuple[str, _Style]:
    """One line as SVG, and the style that the next line begins with."""
    plain_or_codes = _SGR.split(line)
    spans = []
    for at, part in enumerate(plain_or_codes):
        if at % 2:
            style = style.after(part)
        elif part:
            attributes = style.attributes
            spans.append(f"<tspan{attributes}>{escape(part)}</tspan>" if attributes else escape(part))
    return "".join(spans), style
