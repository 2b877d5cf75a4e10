"""What each device announced of itself is kept while it is news, and says which records a device holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nokosu import limits
from nokosu.errors import RecordRefused
from nokosu.records import Record
from nokosu.store import vectors
from nokosu.store.log import Head
from nokosu.store.vectors import Announcement
from nokosu.testing import ManualClock, Peer, SeededRandom, Store

TEAM = b"team".ljust(16)


@pytest.fixture
def peer() -> Peer:
    return Peer(TEAM, random=SeededRandom(1))


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock, peer: Peer) -> Iterator[Store]:
    with Store(tmp_path / "x.db", wall_clock=clock, random=SeededRandom(2)) as opened:
        opened.join(TEAM, peer, name="team")
        yield opened


def said(peer: Peer, counter: int, **fields: object) -> Announcement:
    plain = Announcement(v=1, space=TEAM, device=peer.device, node="ab12", counter=counter, wall=0)
    return msgspec.structs.replace(plain, **fields)


def keep(store: Store, announcement: Announcement, seen_ms: int = 1_000) -> bool:
    space = store.space("team")
    with store.database.write() as connection:
        return vectors.keep(connection, space, vectors.encode(announcement), b"s" * 64, seen_ms)


def known(store: Store) -> list[vectors.Known]:
    space = store.space("team")
    with store.database.reading() as connection:
        return vectors.known(connection, space)


def head(record: Record) -> Head:
    return Head(record.place.log, record.place.seq, record.hash)


def test_an_announcement_comes_back_as_it_was_made(peer: Peer) -> None:
    whole = said(
        peer, 7, name="desk", version="1.0", addresses=("10.0.0.1:1",), heads=(Head(b"l" * 16, 1, b"h" * 32),), pending=("0" * 12,)
    )  # fmt: skip
    assert vectors.decode(vectors.encode(whole)) == whole
    assert vectors.decode(vectors.encode(said(peer, 1))) == said(peer, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2},
        {"space": b"short"},
        {"device": b""},
        {"counter": -1},
        {"counter": 2**63},
        {"wall": -5},
        {"name": "x" * 65},
        {"addresses": ("a:1",) * 17},
        {"addresses": ("a" * 300,)},
        {"heads": (Head(b"l" * 15, 1, b"h" * 32),)},
        {"heads": (Head(b"l" * 16, 0, b"h" * 32),)},
        {"heads": (Head(b"l" * 16, 2**60, b"h" * 32),)},
        {"heads": (Head(b"l" * 16, 1, b"h"),)},
        {"pending": ("not an id",)},
    ],
)
def test_an_announcement_that_breaks_a_bound_is_refused(peer: Peer, fields: dict[str, object]) -> None:
    with pytest.raises(RecordRefused):
        vectors.decode(vectors.encode(msgspec.structs.replace(said(peer, 1), **fields)))


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x80", b"\x93\x01\x02\x03", b"\x81" * 5_000])
def test_what_is_no_announcement_is_refused(payload: bytes) -> None:
    with pytest.raises(RecordRefused):
        vectors.decode(payload)


def test_an_announcement_beyond_all_bounds_is_not_even_read() -> None:
    with pytest.raises(RecordRefused, match=f"at most {limits.VECTOR_BYTES_MAX}"):
        vectors.decode(bytes(limits.VECTOR_BYTES_MAX + 1))


def test_only_what_is_newer_and_says_something_new_or_is_a_minute_younger_is_written(store: Store, peer: Peer) -> None:
    one = (Head(b"l" * 16, 1, b"h" * 32),)
    assert keep(store, said(peer, 5))
    assert not keep(store, said(peer, 4, heads=one))
    assert not keep(store, said(peer, 5, heads=one))
    assert not keep(store, said(peer, 6, wall=9), seen_ms=60_999)
    assert keep(store, said(peer, 6, wall=9), seen_ms=61_000)
    assert keep(store, said(peer, 7, heads=one), seen_ms=61_001)
    assert keep(store, said(peer, 8, heads=one), seen_ms=0), "our own clock was set back"
    (only,) = known(store)
    assert (only.device, only.counter, only.seen_ms, only.announcement.heads) == (peer.device, 8, 0, one)


def test_announcements_of_strangers_and_of_other_spaces_are_refused(store: Store, peer: Peer) -> None:
    stranger = Peer(TEAM, random=SeededRandom(9))
    with pytest.raises(RecordRefused):
        keep(store, said(stranger, 1))
    with pytest.raises(RecordRefused):
        keep(store, said(peer, 1, space=store.personal.id))
    assert known(store) == []


# What a vector covers -------------------------------------------------------------------------------------------------


def covers(store: Store, heads: list[Record], record: Record) -> bool:
    space = store.space("team")
    with store.database.reading() as connection:
        return vectors.covers(connection, space, map(head, heads), head(record))


def test_a_vector_covers_its_ends_and_all_below_them(store: Store, peer: Peer) -> None:
    made = [peer.save(f"{n}") for n in range(5)]
    store.log.append_many(made)
    assert [covers(store, [made[3]], record) for record in made] == [True, True, True, True, False]
    assert not covers(store, [], made[0])
    assert not covers(store, [Peer(TEAM, random=SeededRandom(5)).save("elsewhere")], made[0])


def test_a_vector_covers_the_branches_that_it_names_and_what_they_have_in_common(store: Store, peer: Peer) -> None:
    common = [peer.save(f"{n}") for n in range(3)]
    clone = peer.clone()
    here, there = [peer.save(f"here {n}") for n in range(3)], [clone.save(f"there {n}") for n in range(2)]
    store.log.append_many([*common, *here, *there])
    for record in (*common, *here):
        assert covers(store, [here[-1]], record)
    for record in there:
        assert not covers(store, [here[-1]], record)
    assert covers(store, [there[-1]], there[0])
    assert not covers(store, [there[0]], there[1])
    assert covers(store, [here[0], there[1]], there[0])


def test_an_end_that_is_not_here_covers_nothing(store: Store, peer: Peer) -> None:
    made = [peer.save(f"{n}") for n in range(4)]
    store.log.append_many([made[0], made[1], made[3]])
    assert not covers(store, [made[2]], made[0])
    assert not covers(store, [made[3]], made[0]), "nobody knows yet what lies between"
    store.log.append(made[2])
    assert covers(store, [made[3]], made[0])
