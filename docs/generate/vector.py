"""One record of the test vectors, taken apart byte by byte."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

_FILE: Final = Path(__file__).parents[2] / "tests/vectors/wire-v1.json"
_HEX_CHARS: Final = 96  # on a line


def write(number: int = 0) -> str:
    """A record of the file: its strings, their fields, and what is computed from them."""
    vectors = json.loads(_FILE.read_text())
    record = vectors["records"][number]
    of = {name: bytes.fromhex(record[name]) for name in ("core", "place", "header", "signature", "body")}
    salt, content = msgspec.msgpack.decode(of["body"], type=tuple[msgspec.Raw, msgspec.Raw])
    head = len(of["body"]) - len(salt) - len(content)
    lines = [
        f'The vector "{record["name"]}". Each line has the bytes of one field in hex, its name before them, and what they say.',
        "",
        "```text",
        "the device",
        *_named("private key", vectors["device"]["private_key"]),
        *_named("public key", vectors["device"]["public_key"]),
        *_named("device id", vectors["device"]["id"]),
        *_named("nonce", vectors["log"]["nonce"]),
        *_named("log id", vectors["log"]["id"]),
        "",
        *_map(f"core, {len(of['core'])} bytes", of["core"]),
        "",
        *_map(f"place, {len(of['place'])} bytes", of["place"]),
        "",
        f"header, {len(of['header'])} bytes: a map of core and place, as bin",
        *_hex(of["header"].hex()),
        "",
        f"signature, {len(of['signature'])} bytes: over the header",
        *_hex(of["signature"].hex()),
        "",
        f"body, {len(of['body'])} bytes: an array of two, {of['body'][:head].hex()}",
        *_named("random", bytes(salt).hex()),
        *(f"  {line}" for line in _map("content", bytes(content))),
        "",
        "SHA-256",
        *_named("record id", record["record_id"]),
        *_named("header hash", record["header_hash"]),
        *_named("body hash", record["body_hash"]),
        "```",
    ]
    return "\n".join(lines)


def _map(title: str, packed: bytes) -> Iterator[str]:
    """The fields of one map, in the order they stand in."""
    fields = msgspec.msgpack.decode(packed, type=dict[str, msgspec.Raw])
    yield f"{title}: a map of {len(fields)}, {packed[:1].hex()}"
    for name, value in fields.items():
        packed_name = msgspec.msgpack.encode(name).hex()
        yield f"  {name}{_says(msgspec.msgpack.decode(value))}"
        yield from (f"  {line}" for line in _hex(f"{packed_name} {bytes(value).hex()}"))


def _says(value: Any) -> str:
    """What a value says, where its bytes alone do not show it."""
    return "" if isinstance(value, bytes) else f" = {json.dumps(_readable(value), ensure_ascii=False)}"


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _readable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_readable(member) for member in value]
    return f"bin {value.hex()}" if isinstance(value, bytes) else value


def _named(name: str, value: str) -> Iterator[str]:
    yield f"  {name:12} {value}"


def _hex(text: str) -> Iterator[str]:
    """Hex in lines that fit a page."""
    yield from textwrap.wrap(text, _HEX_CHARS, initial_indent="  ", subsequent_indent="  ")
