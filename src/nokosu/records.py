"""The record: one immutable, signed entry of a log, and its wire form.

A record is three byte strings, stored and carried exactly as they were made:

- header: MessagePack `{"core": bytes, "place": bytes}`; each part is itself a MessagePack map with named fields;
- signature: Ed25519 by the device over the header;
- body: MessagePack `[16 random bytes, content]`, absent once a purge has scrubbed it.

The id of a record is the SHA-256 of its core, so it stays the same when the record is appended again in another log.
The hash that the next record of the log names is the SHA-256 of the header. Fields that this version does not know stay
in the bytes; nothing here ever encodes a record again. `docs/wire-format.md` is precise enough for a second
implementation.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from nokosu import ids, limits
from nokosu.errors import RecordRefused

FORMAT_VERSION: Final = 1
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
PUBLIC_KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8


class Kind(StrEnum):
    """What a record does: to its memory, or (`admit`, `revoke`, `rekey`, `hub`, which name none) to the roster of its
    space. Kinds that are not listed are kept, carried on, and have no effect.
    """

    SAVE = "save"
    EDIT = "edit"
    FORGET = "forget"
    RESTORE = "restore"
    PURGE = "purge"
    ADMIT = "admit"
    REVOKE = "revoke"
    REKEY = "rekey"
    HUB = "hub"


class Author(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who wrote a record: set from the launch environment, never from what an agent says of itself.

    `projects` holds the 16-byte keys of the project that the memory is about; they stay when the body is scrubbed.
    """

    agent: str = ""
    client: str = ""
    session: str = ""
    model: str = ""
    host: str = ""
    projects: tuple[bytes, ...] = ()


class Core(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a record says, wherever it lies. Its bytes make the record's id."""

    v: int
    device: bytes
    kind: str
    memory: str
    hlc: int
    wall: int
    body: bytes
    after: tuple[bytes, ...] = ()
    author: Author = Author()


class Position(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a record lies: space, log, number, and the hash of the log's previous header.

    The first record of a log has no `prev`; it reveals the `nonce` whose hash with the device id is the log's id, and
    the device's public `key`.
    """

    space: bytes
    log: bytes
    seq: int
    prev: bytes = b""
    nonce: bytes = b""
    key: bytes = b""


class Header(Struct, frozen=True):
    """The two parts of a header, as bytes."""

    core: bytes
    place: bytes


_Int64 = Annotated[int, Meta(le=2**63 - 1)]  # what SQLite holds; MessagePack goes further


class Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a `save` or `edit`: a full snapshot of the memory. `expires` is in milliseconds since 1970."""

    text: str
    subject: str = ""
    type: str = "note"
    project: str = ""
    tags: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    importance: _Int64 | None = None
    supersedes: tuple[str, ...] = ()
    expires: _Int64 | None = None
    source: str = "agent"


class Admission(Struct, frozen=True, kw_only=True):
    """The content of an `admit`: from now on the device with this Ed25519 `key` belongs to the space.

    `box` is its X25519 public key, to which new secrets are sealed. Admitting it again gives it another `name`.
    """

    key: bytes
    box: bytes
    name: str


class Cut(Struct, frozen=True):
    """An end of a log as a revoker held it."""

    log: bytes
    seq: int
    hash: bytes


class Revocation(Struct, frozen=True, kw_only=True):
    """The content of a `revoke`: of that device's records only those count that lie at or below an end in `cut`."""

    device: bytes
    cut: tuple[Cut, ...] = ()


class Rekeying(Struct, frozen=True, kw_only=True):
    """The content of a `rekey`: the space has a new secret, sealed in `boxes` to each device (id, box) that may know it.

    `previous` is the key id of the secret it follows, and `epoch` that one's epoch and one.
    """

    epoch: int
    key_id: bytes
    previous: bytes
    boxes: tuple[tuple[bytes, bytes], ...]


class Hub(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of a `hub`: at these `addresses` (HOST:PORT) an always-on zenohd serves the space, by its Zenoh id.

    `device` is the member that runs it; a *blind* one has none, and `key_id` names the secret that signed its certificate.
    `retired`: it is a hub no more. Said again of the same `zid`, the latest word holds.
    """

    zid: str
    name: str
    addresses: tuple[str, ...]
    blind: bool
    device: bytes = b""
    key_id: bytes = b""
    retired: bool = False


RosterContent = Admission | Revocation | Rekeying | Hub
ROSTER_KINDS: Final = frozenset({Kind.ADMIT, Kind.REVOKE, Kind.REKEY, Kind.HUB})


class Record(Struct, frozen=True):
    """A record whose header has been read. `parse` is the only way in for bytes from elsewhere."""

    header: bytes
    signature: bytes
    body: bytes | None
    id: bytes
    hash: bytes
    core: Core
    place: Position

    @property
    def size(self) -> int:
        """Bytes of the three strings together."""
        return len(self.header) + len(self.signature) + len(self.body or b"")

    def content(self) -> Content | None:
        """The snapshot of a `save` or `edit`; None for other kinds, a scrubbed body, or content of a kind we cannot
        read.
        """
        if self.body is None or self.core.kind not in (Kind.SAVE, Kind.EDIT):
            return None
        try:
            return _BODY.decode(self.body)[1]
        except _UNREADABLE:
            return None

    def roster(self) -> RosterContent | None:
        """What it says of the roster; None for other kinds, and for content that cannot be read or breaks a bound."""
        decoder = _ROSTER.get(self.core.kind) if self.core.memory == "" else None
        if self.body is None or decoder is None:
            return None
        try:
            content = decoder.decode(self.body)[1]
        except _UNREADABLE:
            return None
        return content if _is_bounded(content) else None

    def unknown_fields(self) -> dict[str, Any]:
        """Fields of the content that this version does not know, as they were encoded: an edit carries them on."""
        if self.body is None:
            return {}
        try:
            content = _FIELDS.decode(self.body)[1]
        except _UNREADABLE:
            return {}
        return {name: value for name, value in content.items() if name not in Content.__struct_fields__}

    def body_is_whole(self) -> bool:
        """Whether the body is the one that was signed. A missing body is not whole."""
        return self.body is not None and sha256(self.body).digest() == self.core.body


_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what decoding raises
_HEADER: Final = msgspec.msgpack.Decoder(Header)
_CORE: Final = msgspec.msgpack.Decoder(Core)
_PLACE: Final = msgspec.msgpack.Decoder(Position)
_BODY: Final = msgspec.msgpack.Decoder(tuple[bytes, Content])
_ROSTER: Final[dict[str, msgspec.msgpack.Decoder[tuple[bytes, Any]]]] = {
    Kind.ADMIT: msgspec.msgpack.Decoder(tuple[bytes, Admission]),
    Kind.REVOKE: msgspec.msgpack.Decoder(tuple[bytes, Revocation]),
    Kind.REKEY: msgspec.msgpack.Decoder(tuple[bytes, Rekeying]),
    Kind.HUB: msgspec.msgpack.Decoder(tuple[bytes, Hub]),
}
_FIELDS: Final = msgspec.msgpack.Decoder(tuple[bytes, dict[str, msgspec.Raw]])
_ENCODER: Final = msgspec.msgpack.Encoder()


def parse(header: bytes, signature: bytes, body: bytes | None) -> Record:
    """Read a record and check its shape and bounds; the signature and the chain are the log's to check.

    Raises:
        RecordRefused: it is not a record of format version 1, or breaks a bound of `limits`.
    """
    if len(header) > limits.HEADER_BYTES_MAX:
        raise RecordRefused(f"header: {len(header)} bytes, at most {limits.HEADER_BYTES_MAX}", field="header")
    size = len(header) + len(signature) + len(body or b"")
    if size > limits.RECORD_BYTES_MAX:
        raise RecordRefused(f"record: {size} bytes with all fields, at most {limits.RECORD_BYTES_MAX}", field="record")
    record = read(header, signature, body)
    _check(record)
    return record


def read(header: bytes, signature: bytes, body: bytes | None) -> Record:
    """Read a record that was checked before it was stored; bounds are not checked again.

    Raises:
        RecordRefused: the bytes are not a record.
    """
    try:
        parts = _HEADER.decode(header)
        core, place = _CORE.decode(parts.core), _PLACE.decode(parts.place)
    except _UNREADABLE as error:
        raise RecordRefused(f"header: not a record ({error})", field="header") from None
    return Record(header, signature, body, sha256(parts.core).digest(), sha256(header).digest(), core, place)


def read_core(header: bytes) -> Core:
    """What the header of a record that was checked before it was stored says.

    Raises:
        RecordRefused: the bytes are not a header.
    """
    try:
        return _CORE.decode(_HEADER.decode(header).core)
    except _UNREADABLE as error:
        raise RecordRefused(f"header: not a record ({error})", field="header") from None


def read_content(body: bytes) -> Content:
    """The content of a `save` or `edit` that was checked before it was stored.

    Raises:
        RecordRefused: the bytes are not such a body.
    """
    try:
        return _BODY.decode(body)[1]
    except _UNREADABLE as error:
        raise RecordRefused(f"body: not the content of a memory ({error})", field="body") from None


def encode_body(
    content: Content | RosterContent | None, salt: bytes, *, unknown: dict[str, Any] | None = None
) -> bytes:
    """Make a body: 16 random bytes, so that its hash tells nothing once it is scrubbed, then the content."""
    if not unknown:
        return _ENCODER.encode((salt, content if content is not None else {}))
    return _ENCODER.encode((salt, {**msgspec.to_builtins(content, builtin_types=(bytes,)), **unknown}))


def encode_header(core: bytes, place: Position) -> bytes:
    """Make the header that is to be signed."""
    return _ENCODER.encode(Header(core, _ENCODER.encode(place)))


def encode_core(core: Core) -> bytes:
    """Make the bytes whose SHA-256 is the record's id."""
    return _ENCODER.encode(core)


def core_bytes(record: Record) -> bytes:
    """The bytes of a record's core, as they were made."""
    return _HEADER.decode(record.header).core


def log_id(device: bytes, nonce: bytes) -> bytes:
    """The id of a log: it can only be made by whoever knows the device, and record 1 proves it."""
    return sha256(device + nonce).digest()[: ids.BINARY_ID_BYTES]


def device_id(public_key: bytes) -> bytes:
    """The id of a device: a hash of its public key."""
    return sha256(public_key).digest()[: ids.BINARY_ID_BYTES]


def _check(record: Record) -> None:
    core, place = record.core, record.place
    first = place.seq == 1
    checks: tuple[tuple[str, bool], ...] = (
        ("signature", len(record.signature) == SIGNATURE_BYTES),
        ("v", core.v == FORMAT_VERSION),
        ("device", len(core.device) == ids.BINARY_ID_BYTES),
        ("kind", 0 < len(core.kind) <= 32),
        ("memory", core.memory == "" or ids.is_memory_id(core.memory)),
        ("hlc", 0 < core.hlc <= limits.HLC_MAX),
        ("wall", 0 <= core.wall <= limits.HLC_MAX),
        ("after", len(core.after) <= limits.AFTER_MAX and all(len(id) == HASH_BYTES for id in core.after)),
        ("author", all(len(text) <= limits.AUTHOR_CHARS_MAX for text in _author_texts(core.author))),
        ("projects", len(core.author.projects) <= limits.PROJECT_KEYS_MAX),
        ("projects", all(len(key) == ids.BINARY_ID_BYTES for key in core.author.projects)),
        ("space", len(place.space) == ids.BINARY_ID_BYTES),
        ("log", len(place.log) == ids.BINARY_ID_BYTES),
        ("seq", 0 < place.seq <= limits.SEQ_MAX),
        ("prev", len(place.prev) == (0 if first else HASH_BYTES)),
        ("nonce", len(place.nonce) == (ids.BINARY_ID_BYTES if first else 0)),
        ("key", len(place.key) == (PUBLIC_KEY_BYTES if first else 0)),
        ("log", not first or log_id(core.device, place.nonce) == place.log),
        ("key", not first or device_id(place.key) == core.device),
        ("body", record.body is None or record.body_is_whole()),
    )
    for field, holds in checks:
        if not holds:
            raise RecordRefused(f"{field}: not valid in a record of format version {FORMAT_VERSION}", field=field)


def _is_bounded(content: RosterContent) -> bool:
    """Whether what a peer says of the roster is of the sizes that we would write."""
    if isinstance(content, Admission):
        whole = len(content.key) == PUBLIC_KEY_BYTES and len(content.box) == PUBLIC_KEY_BYTES
        return whole and len(content.name) <= limits.DEVICE_NAME_CHARS_MAX
    if isinstance(content, Revocation):
        return (
            len(content.device) == ids.BINARY_ID_BYTES
            and len(content.cut) <= limits.CUTS_MAX
            and all(_is_end(cut) for cut in content.cut)
        )
    if isinstance(content, Hub):
        return _is_hub(content)
    return (
        0 < content.epoch <= limits.SEQ_MAX
        and len(content.key_id) == len(content.previous) == KEY_ID_BYTES
        and len(content.boxes) <= limits.BOXES_MAX
        and all(
            len(device) == ids.BINARY_ID_BYTES and len(box) <= limits.BOX_BYTES_MAX for device, box in content.boxes
        )
    )


def _is_hub(hub: Hub) -> bool:
    return (
        ids.is_zenoh_id(hub.zid)
        and 0 < len(hub.name) <= limits.DEVICE_NAME_CHARS_MAX
        and len(hub.addresses) <= limits.ADDRESSES_MAX
        and all(0 < len(address) <= limits.ADDRESS_CHARS_MAX for address in hub.addresses)
        and len(hub.device) == (0 if hub.blind else ids.BINARY_ID_BYTES)
        and len(hub.key_id) == (KEY_ID_BYTES if hub.blind else 0)
    )


def _is_end(cut: Cut) -> bool:
    return len(cut.log) == ids.BINARY_ID_BYTES and len(cut.hash) == HASH_BYTES and 0 < cut.seq <= limits.SEQ_MAX


def _author_texts(author: Author) -> tuple[str, ...]:
    return (author.agent, author.client, author.session, author.model, author.host)
