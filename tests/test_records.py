"""The wire format: the committed vectors byte for byte, what is refused, and what of a later version is kept."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import clock, limits, records
from nokosu.errors import RecordRefused
from nokosu.fold import fold
from nokosu.identity import keys, projects
from nokosu.records import Admission, Author, Content, Core, Kind, Record, RosterContent
from nokosu.testing import Peer, SeededRandom
from tests.promises import promise
from tests.vectors import make_wire_v1

VECTORS: dict[str, Any] = json.loads(make_wire_v1.FILE.read_text())
SPACE = bytes(16)

pack = msgspec.msgpack.encode


def strings(vector: dict[str, Any]) -> tuple[bytes, bytes, bytes | None]:
    body = vector["body"]
    return bytes.fromhex(vector["header"]), bytes.fromhex(vector["signature"]), body and bytes.fromhex(body)


def parsed(vector: dict[str, Any]) -> Record:
    return records.parse(*strings(vector))


# Vectors --------------------------------------------------------------------------------------------------------------


def test_the_committed_vectors_are_what_the_script_makes() -> None:
    assert make_wire_v1.FILE.read_text() == make_wire_v1.written()


@promise("newer-kept")
@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda vector: vector["name"])
def test_a_vector_is_read_as_it_was_meant(vector: dict[str, Any]) -> None:
    record = parsed(vector)
    assert (record.id.hex(), record.hash.hex()) == (vector["record_id"], vector["header_hash"])
    assert record.core.body.hex() == vector["body_hash"]
    assert record.body_is_whole()
    assert records.core_bytes(record).hex() == vector["core"]
    assert record.place.log.hex() == VECTORS["log"]["id"]
    assert keys.verifies(bytes.fromhex(VECTORS["device"]["public_key"]), record.signature, record.header)
    content = record.content()
    if record.core.kind in (Kind.SAVE, Kind.EDIT):
        assert content is not None
        known = {name: value for name, value in vector["content"].items() if name in Content.__struct_fields__}
        assert content == msgspec.convert(known, Content)
        assert {name: msgspec.msgpack.decode(raw) for name, raw in record.unknown_fields().items()} == {
            name: value for name, value in vector["content"].items() if name not in known
        }
    else:
        assert content is None


def test_our_own_encoding_is_that_of_the_vectors() -> None:
    key = keys.SigningKey(bytes.fromhex(VECTORS["device"]["private_key"]))
    assert records.device_id(key.public).hex() == VECTORS["device"]["id"]
    for vector in VECTORS["records"]:
        record = parsed(vector)
        assert record.body is not None
        if "later version" in vector["name"]:
            continue  # has fields that we can only carry, not make
        made: Content | RosterContent | None = record.roster()
        if made is None and vector["content"]:
            made = msgspec.convert(vector["content"], Content)
        body = records.encode_body(made, bytes.fromhex(vector["salt"]))
        assert body.hex() == vector["body"], vector["name"]
        core = records.encode_core(record.core)
        assert core.hex() == vector["core"], vector["name"]
        header = records.encode_header(core, record.place)
        assert header.hex() == vector["header"], vector["name"]
        assert key.sign(header).hex() == vector["signature"], vector["name"]


def test_what_the_vectors_say_of_the_roster_is_read_as_it_was_meant() -> None:
    said = {vector["name"]: (parsed(vector).roster(), vector["content"]) for vector in VECTORS["records"]}
    assert [name for name, (content, _) in said.items() if content is not None] == [
        "admit", "revoke, two ends of one log", "rekey, one box", "hub, blind", "hub, retired",
    ]  # fmt: skip
    for content, expected in said.values():
        if content is not None:
            assert make_wire_v1.shown(msgspec.to_builtins(content, builtin_types=(bytes,))) == expected


def test_a_kind_of_the_roster_that_names_a_memory_says_nothing_of_the_roster() -> None:
    peer = Peer(SPACE, random=SeededRandom(1))
    content = Admission(key=bytes(32), box=bytes(32), name="x")
    assert peer.write(Kind.ADMIT, "", content=content).roster() == content
    assert peer.write(Kind.ADMIT, "0" * 12, content=content).roster() is None
    assert peer.write(Kind.SAVE, "", content=content).roster() is None
    assert peer.write(Kind.REVOKE, "", content=content).roster() is None


def test_the_records_of_the_vectors_are_one_chain() -> None:
    chain = [parsed(vector) for vector in VECTORS["records"]]
    assert [record.place.seq for record in chain] == list(range(1, len(chain) + 1))
    assert all(later.place.prev == earlier.hash for earlier, later in pairwise(chain))
    first = chain[0]
    assert records.log_id(first.core.device, first.place.nonce) == first.place.log
    assert records.device_id(first.place.key) == first.core.device


def test_the_scrubbed_and_the_copied_vector_keep_their_id() -> None:
    first = parsed(VECTORS["records"][0])
    scrubbed, elsewhere = parsed(VECTORS["scrubbed"]), parsed(VECTORS["elsewhere"])
    assert (scrubbed.id, scrubbed.hash, scrubbed.body) == (first.id, first.hash, None)
    assert (elsewhere.id == first.id, elsewhere.hash != first.hash) == (True, True)
    assert elsewhere.content() == first.content()


def test_the_vectors_fold_and_tick_as_they_say() -> None:
    by_id = {vector["record_id"]: parsed(vector) for vector in VECTORS["records"]}
    expected = VECTORS["fold"]
    state = fold(by_id[id] for id in expected["of"])
    assert state.shown is not None
    assert state.created is not None
    assert [head.hex() for head in state.heads] == expected["heads"]
    assert (state.shown.record.id.hex(), state.created.id.hex()) == (expected["shown"], expected["created"])
    for case in VECTORS["clock"]["tick"]:
        assert clock.tick(case["high"], case["wall_ms"]) == case["gives"]
    for case in VECTORS["clock"]["observe"]:
        assert clock.observe(case["high"], case["seen"], case["wall_ms"]) == case["gives"]
    assert projects.key("remote", "github.com/org/repo").hex() == VECTORS["project_key"]["key"]


# Refused --------------------------------------------------------------------------------------------------------------


def peer() -> Peer:
    return Peer(SPACE, random=SeededRandom(1))


def core_of(writer: Peer, **changed: Any) -> bytes:
    fine = Core(v=1, device=writer.device, kind="save", memory="0" * 12, hlc=1, wall=0, body=sha256(BODY).digest())
    return records.encode_core(msgspec.structs.replace(fine, **changed))


BODY = records.encode_body(Content(text="x"), bytes(16))
LONG = "x" * (limits.AUTHOR_CHARS_MAX + 1)


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("v", {"v": 0}),
        ("v", {"v": 2}),
        ("device", {"device": b""}),
        ("device", {"device": bytes(15)}),
        ("kind", {"kind": ""}),
        ("kind", {"kind": "k" * 33}),
        ("memory", {"memory": "0" * 11}),
        ("memory", {"memory": "I" * 12}),
        ("memory", {"memory": "../../etc/pw"}),
        ("hlc", {"hlc": 0}),
        ("hlc", {"hlc": -1}),
        ("hlc", {"hlc": 2**63}),
        ("wall", {"wall": -1}),
        ("wall", {"wall": 2**63}),
        ("body", {"body": bytes(32)}),
        ("after", {"after": (bytes(31),)}),
        ("after", {"after": (bytes(32),) * (limits.AFTER_MAX + 1)}),
        ("author", {"author": Author(agent=LONG)}),
        ("author", {"author": Author(client=LONG)}),
        ("author", {"author": Author(session=LONG)}),
        ("author", {"author": Author(model=LONG)}),
        ("author", {"author": Author(host=LONG)}),
        ("projects", {"author": Author(projects=(bytes(15),))}),
        ("projects", {"author": Author(projects=(bytes(16),) * (limits.PROJECT_KEYS_MAX + 1))}),
    ],
)
def test_a_core_out_of_bounds_is_refused_by_name(field: str, changed: dict[str, Any]) -> None:
    device = peer()
    with pytest.raises(RecordRefused) as refused:
        records.parse(*device.sign(core_of(device, **changed), BODY, device.next_place()))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "seq", "changed"),
    [
        ("space", 1, {"space": bytes(15)}),
        ("log", 1, {"log": b""}),
        ("log", 1, {"log": bytes(16)}),  # not made of this device and nonce
        ("log", 1, {"nonce": bytes(16)}),
        ("nonce", 1, {"nonce": b""}),
        ("key", 1, {"key": b""}),
        ("key", 1, {"key": bytes(32)}),  # not the device's
        ("prev", 1, {"prev": bytes(32)}),
        ("seq", 1, {"seq": 0}),
        ("seq", 1, {"seq": -1}),
        ("seq", 2, {"seq": 2**53 + 1}),
        ("seq", 2, {"seq": 2**63}),
        ("prev", 2, {"prev": b""}),
        ("prev", 2, {"prev": bytes(31)}),
        ("nonce", 2, {"nonce": bytes(16)}),
        ("key", 2, {"key": bytes(32)}),
    ],
)
def test_a_place_out_of_bounds_is_refused_by_name(field: str, seq: int, changed: dict[str, Any]) -> None:
    device = peer()
    if seq == 2:
        device.save("first")
    place = msgspec.structs.replace(device.next_place(), **changed)
    with pytest.raises(RecordRefused) as refused:
        records.parse(*device.sign(core_of(device), BODY, place))
    if changed.get("seq", 1) < 1:
        assert refused.value.field in ("seq", "prev")
    else:
        assert refused.value.field == field


def test_a_signature_or_body_of_the_wrong_length_is_refused() -> None:
    header, signature, body = peer_strings()
    for wrong, field in (
        ((header, signature[:-1], body), "signature"),
        ((header, signature + b"\0", body), "signature"),
        ((header, b"", body), "signature"),
        ((header, signature, body + b"\0"), "body"),
        ((header, signature, b""), "body"),
        ((header, signature, bytes(limits.RECORD_BYTES_MAX)), "record"),
        ((bytes(limits.HEADER_BYTES_MAX + 1), signature, body), "header"),
    ):
        with pytest.raises(RecordRefused) as refused:
            records.parse(*wrong)
        assert refused.value.field == field


def peer_strings() -> tuple[bytes, bytes, bytes]:
    record = peer().save("a text")
    assert record.body is not None
    return record.header, record.signature, record.body


HEADERS = [
    b"",
    b"\xc1",
    pack(None),
    pack([]),
    pack({"core": b"", "place": b""}),
    pack({"core": b"\x80"}),
    pack({"core": 1, "place": 2}),
    pack({"core": pack([1]), "place": pack([2])}),
    pack({"core": b"\x81\xa4kind\xa2\xff\xfe", "place": b"\x80"}),  # text that is not UTF-8
    pack({"core": b"\x81\xa2\xff\xfe\x00", "place": b"\x80"}),
    b"\x82\xa2\xff\xfe\x00\xa5place\x00",
    b"\x91" * 10_000,
    b"\xdd\xff\xff\xff\xff",
    pack({"core": b"\x91" * 10_000, "place": b"\x80"}),
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_what_is_no_header_is_refused(header: bytes) -> None:
    with pytest.raises(RecordRefused) as refused:
        records.parse(header, bytes(64), None)
    assert refused.value.field == "header"


@given(st.binary(max_size=300), st.binary(max_size=80), st.none() | st.binary(max_size=80))
def test_random_bytes_are_refused_and_nothing_worse(header: bytes, signature: bytes, body: bytes | None) -> None:
    with pytest.raises(RecordRefused):
        records.parse(header, signature, body)


@given(st.integers(0, 2), st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_a_record_can_change_unseen(part: int, at: int, flip: int) -> None:
    original = peer_strings()
    changed = bytearray(original[part])
    changed[at % len(changed)] ^= flip
    header, signature, body = (bytes(changed) if number == part else one for number, one in enumerate(original))
    try:
        records.parse(header, signature, body)
    except RecordRefused:
        return
    assert not keys.verifies(peer().key.public, signature, header)


# What a body may hold -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"text": None},
        {"text": 5},
        {"text": b"bytes"},
        {"text": "x", "tags": "no list"},
        {"text": "x", "importance": "high"},
        {"text": "x", "importance": 2**63},
        {"text": "x", "importance": 2**64 - 1},
        {"text": "x", "expires": 2**63},
        {"text": "x", "expires": 1.5},
        [],
        "x",
        None,
    ],
)
def test_a_content_that_cannot_be_read_is_kept_and_shows_nothing(content: Any) -> None:
    body = pack([bytes(16), content])
    record = peer().write(Kind.SAVE, "0" * 12, body=body)
    assert record.content() is None
    assert record.body == body
    assert fold([record]).versions == ()


def test_a_body_that_is_no_body_is_kept_and_shows_nothing() -> None:
    for body in (b"", b"\xc1", pack("x"), pack([bytes(16)]), b"\x91" * 100_000, BODY.replace(b"\xa1x", b"\xa1\xff")):
        record = peer().write(Kind.SAVE, "0" * 12, body=body)
        assert record.content() is None
        record.unknown_fields()


def test_a_name_of_an_unknown_field_that_is_no_text_breaks_nothing() -> None:
    body = BODY.replace(b"\x81\xa4text", b"\x82\xa1\xff\x00\xa4text")
    record = peer().write(Kind.SAVE, "0" * 12, body=body)
    assert record.unknown_fields() == {}


@promise("newer-kept")
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=10).filter(lambda name: name not in Content.__struct_fields__),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_fields_of_a_later_version_are_carried_on_byte_for_byte(unknown: dict[str, Any]) -> None:
    device = peer()
    saved = device.write(Kind.SAVE, "0" * 12, content=Content(text="x"), unknown=unknown)
    carried = saved.unknown_fields()
    assert {name: bytes(raw) for name, raw in carried.items()} == {name: pack(value) for name, value in unknown.items()}
    edited = device.write(Kind.EDIT, "0" * 12, content=Content(text="y"), after=[saved], unknown=carried)
    assert edited.unknown_fields() == carried
    assert edited.content() == Content(text="y")


def test_a_body_begins_with_salt_so_that_its_hash_tells_nothing() -> None:
    first, second = (records.encode_body(Content(text="yes"), salt) for salt in (bytes(16), bytes([1]) * 16))
    assert sha256(first).digest() != sha256(second).digest()


def test_a_scrubbed_record_keeps_its_id_its_place_and_its_signature() -> None:
    header, signature, body = peer_strings()
    whole, scrubbed = records.parse(header, signature, body), records.parse(header, signature, None)
    assert (scrubbed.id, scrubbed.hash, scrubbed.place) == (whole.id, whole.hash, whole.place)
    assert (scrubbed.body_is_whole(), scrubbed.content(), scrubbed.unknown_fields()) == (False, None, {})
    assert whole.size - scrubbed.size == len(body)


def test_what_we_make_ourselves_is_within_the_bounds_of_what_we_accept() -> None:
    device = peer()
    content = Content(
        text="x" * limits.TEXT_BYTES_MAX,
        subject="界" * limits.SUBJECT_CHARS_MAX,
        tags=("t" * limits.TAG_CHARS_MAX,) * limits.TAGS_MAX,
        refs=("r" * limits.REF_CHARS_MAX,) * limits.REFS_MAX,
    )
    record = device.write(Kind.SAVE, "0" * 12, content=content, projects=(bytes(16),) * limits.PROJECT_KEYS_MAX)
    assert record.size <= limits.RECORD_BYTES_MAX
