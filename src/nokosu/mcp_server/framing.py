"""From bytes to JSON-RPC messages: lines of bounded length, and strict JSON.

Nothing a client can write goes without an answer that it can match to its request: a message that cannot be read becomes a
`Fault`, which carries the id of the request wherever that can still be made out.

Source: RFC 8259 (JSON), JSON-RPC 2.0 section 5.1 (codes), MCP "Transports" (one message a line, UTF-8).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from nokosu import limits

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600

_EDGE_BYTES: Final = 512  # of a line that is too long: enough to find the id at either end
_INT_DIGITS_MAX: Final = 300  # what a float can hold; Python itself refuses more than 4,300
_BOM: Final = b"\xef\xbb\xbf"

_ID: Final = rb'"id"\s*:\s*(-?[0-9]{1,18}|"[^"\\\x00-\x1f\x80-\xff]{0,200}")\s*'
_ID_FIRST: Final = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID + rb",")
_ID_LAST: Final = re.compile(rb",\s*" + _ID + rb"\}\s*$")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Line:
    """What stood between two line ends. Of one that is *too_long* only its beginning and its end are here."""

    content: bytes
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is no message: a JSON-RPC error code, words for the client, and the id of the request, if it has one."""

    code: int
    message: str
    id: int | str | None


class Lines:
    """Cuts a stream of bytes into lines, and holds no more than one of them."""

    def __init__(self, bytes_max: int = limits.MCP_LINE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in *chunk*."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._hold(piece)
            yield from self.end()
        self._hold(rest)

    def end(self) -> Iterator[Line]:
        """The line that was begun, if it says anything: at the end of the stream it counts without its line end."""
        line = Line(bytes(self._held).removeprefix(_BOM).strip(b" \t\r"), self._too_long)
        self._held.clear()
        self._too_long = False
        if line.content:
            yield line

    def _hold(self, piece: bytes) -> None:
        self._held += piece
        self._too_long = self._too_long or len(self._held) > self._bytes_max
        if self._too_long and len(self._held) > 2 * _EDGE_BYTES:
            self._held[_EDGE_BYTES:-_EDGE_BYTES] = b""


def parse(line: Line) -> dict[str, Any] | Fault:
    """Read one JSON-RPC message: an object whose `id`, if it has one, is a string or an integer."""
    if line.too_long:
        return Fault(
            INVALID_REQUEST, f"message: more than {limits.MCP_LINE_BYTES_MAX} bytes", _readable_id(line.content)
        )
    try:
        value, flaw = _strict(line.content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        return Fault(PARSE_ERROR, f"not JSON in UTF-8: {reason}", _readable_id(line.content))
    if not isinstance(value, dict):
        return Fault(INVALID_REQUEST, "message: not an object (batches are not served)", None)
    id = value.get("id")
    usable = id if isinstance(id, str | int) and not isinstance(id, bool) else None
    if flaw:
        return Fault(PARSE_ERROR, f"not JSON: {flaw}", _sound(usable))
    is_answer = "result" in value or "error" in value  # and no answer is ever answered
    if "id" in value and usable is None and not is_answer:
        return Fault(INVALID_REQUEST, "id: not a string or an integer", None)
    return value


def _strict(content: bytes) -> tuple[Any, str]:
    """The value, and what RFC 8259 or good sense refuses in it although Python reads it: the last such thing, or nothing.

    Raises:
        ValueError, RecursionError: it is not JSON at all.
    """
    flaws = [""]

    def number(literal: str) -> float:
        value = float(literal)
        if not math.isfinite(value):
            flaws.append(f"{literal[:20]} is out of range")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value  # 5.0 is an integer to JSON Schema

    def integer(literal: str) -> int:
        if len(literal) <= _INT_DIGITS_MAX:
            return int(literal)
        flaws.append(f"an integer of {len(literal)} digits")
        return 0

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            flaws.append("an object with the same key twice")
        return found

    text = content.decode()
    value = json.loads(text, parse_float=number, parse_int=integer, parse_constant=number, object_pairs_hook=members)
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            flaws.append("half of a surrogate pair")
    return value, flaws[-1]


def _readable_id(content: bytes) -> int | str | None:
    """The id of a message that cannot be parsed, where every client in use writes it: at its beginning or its end."""
    match = _ID_FIRST.match(content) or _ID_LAST.search(content[-_EDGE_BYTES:])
    return None if match is None else json.loads(match[1])


def _sound(id: int | str | None) -> int | str | None:
    """The id, unless it cannot be sent back."""
    if isinstance(id, str):
        try:
            id.encode()
        except UnicodeEncodeError:
            return None
    return id
