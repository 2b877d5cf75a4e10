"""Makes `wire-v1.json`, the test vectors of docs/wire-format.md: `python tests/vectors/make_wire_v1.py`.

A second implementation on purpose: it shares no code with nokosu, only MessagePack, SHA-256 and Ed25519. Every key,
salt, nonce and time is fixed, so what it makes is the same for ever; `tests/test_records.py` holds both to it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = Path(__file__).with_name("wire-v1.json")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
DEVICE = sha256(PUBLIC).digest()[:16]
SPACE = bytes.fromhex("5a" * 16)
NONCE = bytes.fromhex("4e" * 16)
LOG = sha256(DEVICE + NONCE).digest()[:16]
OTHER_PUBLIC = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))).public_key().public_bytes_raw()
OTHER = sha256(OTHER_PUBLIC).digest()[:16]
OTHER_LOG = sha256(OTHER + NONCE).digest()[:16]
PROJECT = sha256(b"remote:github.com/org/repo").digest()[:16]
WALL = 1_767_225_600_000
MEMORY = "7z4q2m8k0v3h"

pack = msgspec.msgpack.encode


def author(**more: Any) -> dict[str, Any]:
    return {"agent": "codex", "session": "s-1", "host": "laptop", "projects": [PROJECT], **more}


STEPS: list[dict[str, Any]] = [
    {
        "name": "save, every field",
        "kind": "save",
        "content": {
            "text": "Deploys run from main.\n本番は金曜日に触らない。",
            "subject": "Where deploys run from",
            "type": "decision",
            "project": "repo",
            "tags": ["deploy", "CI"],
            "refs": ["Makefile", "https://example.org/1"],
            "importance": 4,
            "supersedes": ["000000000000"],
            "expires": 1_798_761_599_999,
            "source": "person",
        },
    },
    {"name": "edit, defaults left out", "kind": "edit", "after": [0], "content": {"text": "Deploys run from trunk."}},
    {"name": "forget, an empty content", "kind": "forget", "after": [1], "content": {}},
    {"name": "restore, by nobody in particular", "kind": "restore", "after": [2], "content": {}, "author": {}},
    {
        "name": "a kind, and fields everywhere, of a later version",
        "kind": "star",
        "after": [3],
        "content": {"stars": 5, "why": None},
        "author": author(mood={"of": ["a", 1, True, None]}),
        "core": {"weight": 7},
        "place": {"shelf": "b"},
    },
    {
        "name": "edit, a field of a later version in the content",
        "kind": "edit",
        "after": [4],
        "content": {"text": "Deploys run from trunk again.", "language": "en"},
    },
    {"name": "save of another memory, at the same millisecond", "kind": "save", "memory": "0" * 12, "content": {"text": "short"}},
    {"name": "purge", "kind": "purge", "after": [5], "content": {}},
    {"name": "of no memory", "kind": "admit", "memory": "", "content": {}},
    {
        "name": "admit",
        "kind": "admit",
        "memory": "",
        "content": {"key": OTHER_PUBLIC, "box": bytes.fromhex("b0" * 32), "name": "desk"},
        "author": {},
    },
    {
        "name": "revoke, two ends of one log",
        "kind": "revoke",
        "memory": "",
        "content": {
            "device": OTHER,
            "cut": [
                {"log": OTHER_LOG, "seq": 12, "hash": bytes.fromhex("c1" * 32)},
                {"log": OTHER_LOG, "seq": 9, "hash": bytes.fromhex("c2" * 32)},
            ],
        },
        "author": {},
    },
    {
        "name": "rekey, one box",
        "kind": "rekey",
        "memory": "",
        "content": {
            "epoch": 1,
            "key_id": bytes.fromhex("01" * 8),
            "previous": bytes.fromhex("00" * 8),
            "boxes": [[DEVICE, bytes.fromhex("bb" * 80)]],
        },
        "author": {},
    },
    {
        "name": "hub, blind",
        "kind": "hub",
        "memory": "",
        "content": {
            "zid": "c0ffee",
            "name": "nas",
            "addresses": ["nas.local:28123", "[fd00::7]:28123"],
            "blind": True,
            "key_id": bytes.fromhex("01" * 8),
        },
        "author": {},
    },
    {
        "name": "hub, retired",
        "kind": "hub",
        "memory": "",
        "content": {"zid": "beef", "name": "desk", "addresses": [], "blind": False, "device": OTHER, "retired": True},
        "author": {},
    },
]  # fmt: skip


def make() -> dict[str, Any]:
    """All vectors; bytes are in hex."""
    records = chain()
    first = records[0]
    return {
        "device": {"private_key": bytes(range(32)).hex(), "public_key": PUBLIC.hex(), "id": DEVICE.hex()},
        "space": SPACE.hex(),
        "log": {"nonce": NONCE.hex(), "id": LOG.hex()},
        "project_key": {"of": "remote:github.com/org/repo", "key": PROJECT.hex()},
        "records": records,
        "scrubbed": {
            **{name: first[name] for name in ("header", "signature", "record_id", "header_hash")},
            "body": None,
        },
        "elsewhere": elsewhere(first),
        "fold": {
            "of": [record["record_id"] for record in records[:6]],
            "heads": [records[5]["record_id"]],
            "shown": records[5]["record_id"],
            "created": records[0]["record_id"],
        },
        "clock": clock(),
    }


def chain() -> list[dict[str, Any]]:
    """One log, from its first record on."""
    made: list[dict[str, Any]] = []
    for number, step in enumerate(STEPS):
        salt = bytes([number]) * 16
        body = pack([salt, step["content"]])
        core = {
            "v": 1,
            "device": DEVICE,
            "kind": step["kind"],
            "memory": step.get("memory", MEMORY),
            "hlc": (WALL << 16) + number,
            "wall": WALL,
            "body": sha256(body).digest(),
        }
        after = [bytes.fromhex(made[cause]["record_id"]) for cause in step.get("after", ())]
        if after:
            core["after"] = after
        if step.get("author", True):
            core["author"] = step.get("author") or author()
        core |= step.get("core", {})
        place = {"space": SPACE, "log": LOG, "seq": number + 1}
        if made:
            place["prev"] = bytes.fromhex(made[-1]["header_hash"])
        else:
            place |= {"nonce": NONCE, "key": PUBLIC}
        place |= step.get("place", {})
        signed = record(pack(core), pack(place), body)
        made.append({"name": step["name"], "salt": salt.hex(), "content": shown(step["content"]), **signed})
    return made


def shown(content: Any) -> Any:
    """A content as JSON has it: bytes in hex."""
    if isinstance(content, dict):
        return {name: shown(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [shown(value) for value in content]
    return content.hex() if isinstance(content, bytes) else content


def record(core: bytes, place: bytes, body: bytes) -> dict[str, str]:
    header = pack({"core": core, "place": place})
    return {
        "core": core.hex(),
        "place": place.hex(),
        "header": header.hex(),
        "signature": KEY.sign(header).hex(),
        "body": body.hex(),
        "record_id": sha256(core).hexdigest(),
        "header_hash": sha256(header).hexdigest(),
        "body_hash": sha256(body).hexdigest(),
    }


def elsewhere(original: dict[str, Any]) -> dict[str, str]:
    """The first record appended again in another space: its core as it was, so its id stays."""
    nonce = bytes.fromhex("4f" * 16)
    log = sha256(DEVICE + nonce).digest()[:16]
    place = {"space": bytes.fromhex("5b" * 16), "log": log, "seq": 1, "nonce": nonce, "key": PUBLIC}
    return record(bytes.fromhex(original["core"]), pack(place), bytes.fromhex(original["body"]))


def clock() -> dict[str, list[dict[str, int]]]:
    """Times as they are to come out; in JSON some are beyond what a double holds exactly."""
    now, drift = WALL << 16, 300_000
    return {
        "tick": [
            {"high": 0, "wall_ms": WALL, "gives": now},
            {"high": now, "wall_ms": WALL, "gives": now + 1},
            {"high": now + 5, "wall_ms": WALL - 86_400_000, "gives": now + 6},
            {"high": now + 0xFFFF, "wall_ms": WALL, "gives": (WALL + 1) << 16},
        ],
        "observe": [
            {"high": 0, "seen": now, "wall_ms": WALL, "gives": now},
            {"high": now + 1, "seen": now, "wall_ms": WALL, "gives": now + 1},
            {"high": now, "seen": (WALL + drift) << 16, "wall_ms": WALL, "gives": (WALL + drift) << 16},
            {"high": now, "seen": 2**63 - 1, "wall_ms": WALL, "gives": ((WALL + drift + 1) << 16) - 1},
        ],
    }


def written() -> str:
    """The file's text."""
    return json.dumps(make(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(written())
