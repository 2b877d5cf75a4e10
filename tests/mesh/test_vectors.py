"""Vectors as laws: what is missing is what the other holds and we do not, whatever the logs and branches are."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.errors import RecordRefused
from nokosu.identity.keys import SigningKey
from nokosu.mesh import vectors
from nokosu.mesh.vectors import Lack
from nokosu.records import device_id
from nokosu.store import vectors as store
from nokosu.store.log import Head
from nokosu.store.vectors import Ahead, Announcement

LOGS = [bytes([number]) * 16 for number in range(3)]
KEY = SigningKey(bytes(32))
SPACE = b"s" * 16

# A log is a tree of records; a record is the path to it: 0 goes on, 1 branches off.
Path = tuple[int, ...]
Logs = dict[bytes, set[Path]]
PATHS = st.sets(st.lists(st.sampled_from((0, 0, 0, 1)), min_size=1, max_size=8).map(tuple), max_size=4)
SOME_LOGS = st.fixed_dictionaries({}, optional=dict.fromkeys(LOGS, PATHS))


def whole(found: dict[bytes, set[Path]]) -> Logs:
    """Each path with all that comes before it: a log is held without a gap."""
    return {log: {path[:end] for path in paths for end in range(1, len(path) + 1)} for log, paths in found.items()}


def head(log: bytes, path: Path) -> Head:
    return Head(log, len(path), sha256(log + bytes(path)).digest())


def heads(held: Logs) -> list[Head]:
    return [
        head(log, path)
        for log, paths in held.items()
        for path in paths
        if not any(len(other) == len(path) + 1 and other[:-1] == path for other in paths)
    ]


def holds(held: Logs) -> store.Holds:
    known = {head(log, path) for log, paths in held.items() for path in paths}
    return known.__contains__


@given(SOME_LOGS.map(whole), SOME_LOGS.map(whole))
def test_what_is_missing_is_each_end_that_is_not_held(ours: Logs, theirs: Logs) -> None:
    lacks = vectors.missing(heads(ours), heads(theirs), holds(ours))
    expected = {(end.log, end.seq, end.hash) for end in heads(theirs) if not holds(ours)(end)}
    assert [(lack.log, lack.seq, lack.hash) for lack in lacks] == sorted(expected)
    for lack in lacks:
        assert lack.held == max(map(len, ours.get(lack.log, ())), default=0)
        assert lack.records >= 1


@given(SOME_LOGS.map(whole), SOME_LOGS.map(whole))
def test_nothing_is_missing_or_behind_exactly_where_the_vectors_are_equal(ours: Logs, theirs: Logs) -> None:
    nothing = not vectors.missing(heads(ours), heads(theirs), holds(ours)) and not store.behind(
        heads(ours), heads(theirs), holds(ours)
    )
    assert nothing == (set(heads(ours)) == set(heads(theirs)))


@given(SOME_LOGS.map(whole), SOME_LOGS.map(whole))
def test_after_both_have_taken_what_they_miss_they_are_equal(ours: Logs, theirs: Logs) -> None:
    union = {log: ours.get(log, set()) | theirs.get(log, set()) for log in LOGS}
    assert not vectors.missing(heads(union), heads(ours), holds(union))
    assert not vectors.missing(heads(union), heads(theirs), holds(union))


@given(st.permutations([head(LOGS[0], (0,) * 9), head(LOGS[1], (0, 1)), head(LOGS[1], (0, 0, 0))]))
def test_the_order_in_which_heads_are_told_does_not_matter(theirs: list[Head]) -> None:
    ours = [head(LOGS[1], (0,))]
    lacks = vectors.missing(ours, [*theirs, *theirs], lambda _: False)
    assert [(lack.log, lack.seq, lack.held) for lack in lacks] == [(LOGS[0], 9, 0), (LOGS[1], 2, 1), (LOGS[1], 3, 1)]


def test_what_is_above_all_of_ours_is_not_looked_for() -> None:
    ours, theirs = [head(LOGS[0], (0,))], [head(LOGS[0], (0, 0)), head(LOGS[1], (0,)), head(LOGS[0], (1,))]
    looked_for: list[Head] = []

    def holds(one: Head) -> bool:
        looked_for.append(one)
        return False

    assert len(vectors.missing(ours, theirs, holds)) == 3
    assert looked_for == [head(LOGS[0], (1,))]  # a branch: it may lie below our end


def test_a_claim_of_a_billion_records_is_one_lack() -> None:
    lie = Head(LOGS[0], 10**9, bytes(32))
    assert vectors.missing([], [lie], lambda _: False) == [Lack(LOGS[0], 10**9, bytes(32), 0)]


def chain(*names: str) -> list[tuple[Head, bytes]]:
    hashes = [sha256(name.encode()).digest() for name in ("before", *names)]
    return [
        (Head(LOGS[0], int(name.strip("abc")), hash), prev)
        for name, hash, prev in zip(names, hashes[1:], hashes, strict=False)
    ]


@given(st.permutations(chain("5a", "6a", "7a") + chain("6b") + chain("12c", "13c")))
def test_what_waits_behind_gaps_is_told_as_chains(rows: list[tuple[Head, bytes]]) -> None:
    assert [(one.first, one.seq) for one in vectors.chains(rows)] == [(6, 6), (5, 7), (12, 13)]


def test_at_most_so_many_chains_are_told() -> None:
    rows = [(Head(LOGS[0], 2 * number, sha256(bytes([number])).digest()), bytes(32)) for number in range(1, 200)]
    assert len(vectors.chains(rows)) == limits.AHEAD_MAX


# Announcements --------------------------------------------------------------------------------------------------------


def announcement(**fields: object) -> Announcement:
    said: dict[str, object] = {
        "v": 1, "space": SPACE, "device": device_id(KEY.public), "node": "a1", "counter": 7, "wall": 7, "name": "desk",
        "heads": (Head(LOGS[0], 3, bytes(32)),), "ahead": (Ahead(LOGS[0], 5, 6, bytes(32)),),
    }  # fmt: skip
    return Announcement(**(said | fields))  # type: ignore[arg-type]


def plain(said: Announcement, key: SigningKey = KEY) -> bytes:
    heard = vectors.signed(said, key)
    return msgspec.msgpack.encode((heard.payload, heard.signature))


def opened(sent: bytes) -> Announcement:
    return vectors.opened(sent, SPACE, device_id(KEY.public), KEY.public).announcement


def test_an_announcement_reads_back() -> None:
    assert opened(plain(announcement())) == announcement()


def test_fields_of_a_later_version_do_not_keep_an_announcement_from_being_read() -> None:
    fields = {**msgspec.to_builtins(announcement(), builtin_types=(bytes,)), "later": {"more": [1]}}
    payload = msgspec.msgpack.encode(fields)
    heard = vectors.signed(announcement(), KEY)
    signature = KEY.sign(b"nokosu/1 vector\0" + payload)
    assert heard.signature != signature
    assert opened(msgspec.msgpack.encode((payload, signature))) == announcement()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (plain(announcement(), SigningKey(b"x" * 32)), "signature"),
        (plain(announcement(device=b"d" * 16)), "vector"),
        (plain(announcement(space=b"t" * 16)), "vector"),
        (plain(announcement(v=2)), "vector"),
        (plain(announcement(counter=-1)), "vector"),
        (plain(announcement(name="x" * 1_000_000)), "vector"),
        (plain(announcement(heads=(Head(b"short", 1, bytes(32)),))), "vector"),
        (plain(announcement(heads=(Head(LOGS[0], 2**60, bytes(32)),))), "vector"),
        (plain(announcement(ahead=(Ahead(LOGS[0], 7, 6, bytes(32)),))), "vector"),
        (plain(announcement(ahead=(Ahead(LOGS[0], 1, 1, bytes(32)),) * 65)), "vector"),
        (plain(announcement(pending=("not an id",))), "vector"),
        (plain(announcement(heads=tuple(Head(LOGS[0], 1, bytes(32)) for _ in range(20_000)))), "vector"),
        (b"", "vector"),
        (b"\xc1" * 100, "vector"),
        (b"\x91" * 100_000, "vector"),
        (msgspec.msgpack.encode((b"payload", b"")), "signature"),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_no_announcement_of_that_device_is_refused(sent: bytes, field: str) -> None:
    with pytest.raises(RecordRefused) as refused:
        opened(sent)
    assert refused.value.field == field


def test_a_record_cannot_pass_for_an_announcement() -> None:
    payload = store.encode(announcement())
    with pytest.raises(RecordRefused, match="signature"):
        opened(msgspec.msgpack.encode((payload, KEY.sign(payload))))
