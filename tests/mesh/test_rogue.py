"""Whoever is not admitted gets nowhere, and whoever is, and lies, harms nobody: against a real node, on loopback."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from nokosu import limits
from nokosu.clock import system_wall_clock
from nokosu.errors import MeshError
from nokosu.mesh import keys, vectors
from nokosu.records import Kind, Record
from nokosu.store import vectors as store_vectors
from nokosu.store.log import Head
from nokosu.store.vectors import Announcement
from nokosu.testing import DAY_MS, Peer
from tests import rogue
from tests.homes import Home, agree, allow_descriptors, eventually, inviting, pair, stop, verified
from tests.rogue import YEAR_MS, Member

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

_HALF_OPEN = 1_000
_FORGED_MIN = 6  # records in its own name that it did not sign so
_RESIDENT_MIB_MAX = 160  # a node takes 90 at most when nobody is at it


class Attacked(NamedTuple):
    """A device whose node is attacked, an honest one that it is paired with, and the keys of a third that turned."""

    victim: Home
    friend: Home
    traitor: Member
    port: int

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Attacked]:
    homes = [Home(tmp_path, name) for name in ("victim", "friend", "traitor")]
    try:
        homes[0].save("Deploys run from main.")
        for joiner in homes[1:]:
            pair(homes[0], joiner)
        agree(*homes)
        homes[2].ok("node", "stop")
        yield Attacked(homes[0], homes[1], rogue.member(homes[2]), _port(homes[0]))
    finally:
        stop(homes)


def _port(home: Home) -> int:
    [(port,)] = home.rows("SELECT port FROM space WHERE name = 'personal'")
    return int(port)


def resident_mib(home: Home) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{home.node_pid()}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def still_works(attacked: Attacked, pid: int) -> None:
    """The same node still carries memories both ways, has not grown, and nothing is damaged."""
    assert attacked.victim.node_pid() == pid
    attacked.victim.save("Saved after the attack.")
    attacked.friend.save("Saved after the attack too.")
    agree(attacked.victim, attacked.friend)
    assert resident_mib(attacked.victim) < _RESIDENT_MIB_MAX


# Not admitted ---------------------------------------------------------------------------------------------------------


def test_only_a_certificate_of_the_spaces_secret_that_is_valid_today_is_let_in(attacked: Attacked) -> None:
    pid, traitor = attacked.victim.node_pid(), attacked.traitor
    foreign = rogue.stranger(traitor).tls()
    ours = traitor.tls()
    assert rogue.is_let_in(attacked.where, ours)
    assert not rogue.is_let_in(attacked.where, None), "plain TCP"
    assert not rogue.is_let_in(attacked.where, foreign), "another CA"
    mixed = msgspec.structs.replace(foreign, roots=ours.roots)
    assert not rogue.is_let_in(attacked.where, mixed), "another CA, by somebody who trusts ours"
    expired = traitor.tls(now_ms=system_wall_clock() - 11 * YEAR_MS)
    assert not rogue.is_let_in(attacked.where, expired), "expired"
    not_yet = traitor.tls(now_ms=system_wall_clock() + 3 * YEAR_MS)
    assert not rogue.is_let_in(attacked.where, not_yet), "not valid yet"
    with socket.create_connection(("127.0.0.1", attacked.port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + os.urandom(4096))
        plain.settimeout(15)
        answer = b"".join(iter(lambda: _received(plain), b""))
    assert b"nokosu" not in answer
    still_works(attacked, pid)


def test_who_is_let_in_without_the_spaces_key_can_send_nothing_that_counts(attacked: Attacked) -> None:
    pid, before = attacked.victim.node_pid(), attacked.victim.logs()
    keyless = rogue.stranger(attacked.traitor)
    with rogue.session(attacked.where, attacked.traitor.tls()) as session:
        rogue.put(session, [keyless.sealed(keyless.peer.save(f"forged {number}")) for number in range(50)])
        name = keys.vec(attacked.traitor.space, attacked.traitor.peer.device)
        rogue.put(session, [(name, keyless.keyring.seal(name, os.urandom(200)))])
        eventually(lambda: refused(attacked.victim), 20)
    assert attacked.victim.logs() == before
    assert re.search(r"no member: \d+ refused \(unknown key\)", doctor(attacked.victim))
    still_works(attacked, pid)


def test_a_thousand_connections_on_which_nothing_is_said_stop_neither_the_node_nor_an_invitation(
    attacked: Attacked,
) -> None:
    allow_descriptors(_HALF_OPEN + 500)
    pid = attacked.victim.node_pid()
    with rogue.half_open("127.0.0.1", attacked.port, _HALF_OPEN):
        still_works(attacked, pid)
    with inviting(attacked.victim) as (invite, line):
        port = int(line[1].rpartition(":")[2])
        with rogue.half_open("127.0.0.1", port, _HALF_OPEN):
            late = Home(attacked.victim.folder.parent, "late")
            try:
                late.ok(*line, "--yes")
                agree(attacked.victim, late)
            finally:
                stop([late])
        assert invite.wait(30) == 0
    still_works(attacked, pid)


def test_one_wrong_guess_ends_an_invitation_and_a_used_one_lets_nobody_in(attacked: Attacked, tmp_path: Path) -> None:
    guesser = Home(tmp_path, "guesser")
    with inviting(attacked.victim) as (invite, line):
        wrong = ("A" if line[2][0] != "A" else "B") + line[2][1:]
        assert guesser("join", line[1], wrong, "--yes").code == MeshError.exit_code
        assert invite.wait(30) != 0
        assert guesser(*line, "--yes").code == MeshError.exit_code
    with inviting(attacked.victim) as (invite, line):
        joined = Home(tmp_path, "joined")
        try:
            joined.ok(*line, "--yes")
            assert invite.wait(30) == 0
            assert guesser(*line, "--yes").code == MeshError.exit_code
        finally:
            stop([joined])
    assert guesser.exported() == []


# Admitted, and lying --------------------------------------------------------------------------------------------------


def test_an_admitted_device_that_sends_anything_at_all_harms_nobody(attacked: Attacked) -> None:
    pid, traitor = attacked.victim.node_pid(), attacked.traitor
    honest = attacked.victim.rows(_BY_DEVICE, traitor.peer.device)
    shown = attacked.victim.texts()
    with rogue.session(attacked.where, traitor.tls()) as session:
        rogue.put(session, list(_garbage(traitor)))
        rogue.put(session, list(_forged(traitor)))
        rogue.put(session, list(_lying_vectors(traitor)))
        allowed = _allowed(traitor)
        rogue.put(session, [traitor.sealed(record) for record in allowed for _ in range(3)])
        rogue.put(session, [traitor.sealed(allowed[0])] * 1_000)
        eventually(lambda: _held(attacked.victim, allowed[-1]), 30)
        eventually(lambda: refused(attacked.victim, traitor.peer.device) >= _FORGED_MIN, 20)
    assert attacked.victim.rows(_BY_DEVICE, traitor.peer.device) == honest, "nothing came in under another name"
    assert all(_held(attacked.victim, record) for record in allowed), "what it may write, it may write"
    assert shown <= attacked.victim.texts()
    said = doctor(attacked.victim)
    assert "what traitor sent was refused" in said, said
    verified(attacked.victim)
    still_works(attacked, pid)
    _clock_has_not_moved(attacked.victim)


_BY_DEVICE = (
    "SELECT record.hash FROM record JOIN log ON log.n = record.log JOIN device ON device.n = log.device"
    " WHERE device.id != ? ORDER BY record.hash"
)


def _garbage(traitor: Member) -> Iterator[tuple[str, bytes]]:
    """Rows 50 and 53: no record at all, in its seal and out of it; and records under names that are not theirs."""
    record = traitor.peer.clone().save("under a wrong name")
    name, good = traitor.sealed(record)
    root = f"nokosu/1/{traitor.space.hex()}"
    for junk in (
        b"",
        b"\0",
        os.urandom(40),
        os.urandom(5_000),
        b"\xc1" * 900,
        good[:-1],
        good + b"\0",
        b"\x02" + good[1:],
    ):
        yield name, junk
        yield name, traitor.keyring.seal(name, junk)
    wrong_shapes: tuple[Any, ...] = ({}, [], [1, 2, 3], {"core": b""}, [b"", b"", b""], [b"\x80", b"", None], "text")
    for shape in wrong_shapes:
        yield name, traitor.keyring.seal(name, msgspec.msgpack.encode(shape))
    deep = b"\x91" * 100_000
    yield name, traitor.keyring.seal(name, deep)
    yield name, os.urandom(8 * 1024 * 1024)
    for wrong in (
        f"{root}/rec/x",
        f"{root}/rec/{'0' * 4000}",
        f"{root}/rec/{record.place.log.hex()}/0/1-{'0' * 32}",
        f"{root}/rec/{record.place.log.hex()}/7/1-{record.hash[:16].hex()}",
        f"{root}/rec/{record.place.log.hex()}/0/\uff11-{record.hash[:16].hex()}",  # a digit that looks like one
        f"{root}/vec/{traitor.peer.device.hex()}",
        f"{root}/dev/{traitor.peer.device.hex()}/rec/x",
    ):
        yield wrong, good
        yield wrong, traitor.sealed(record, wrong)[1]


def _forged(traitor: Member) -> Iterator[tuple[str, bytes]]:
    """Rows 51, 52 and 57: records that somebody else would have to have signed, and numbers that cannot be."""
    unknown = Peer(traitor.space, wall_clock=system_wall_clock, random=os.urandom, name="nobody")
    yield traitor.sealed(unknown.save("from a device that nobody admitted"))
    record = traitor.peer.clone().save("signed by nobody")
    for signature in (bytes(64), os.urandom(64), record.signature[:-1] + bytes([record.signature[-1] ^ 1])):
        yield traitor.sealed(msgspec.structs.replace(record, signature=signature))
    other = traitor.peer.clone().save("a second one")
    yield traitor.sealed(msgspec.structs.replace(record, body=other.body))
    yield traitor.sealed(msgspec.structs.replace(record, body=None))
    yield traitor.sealed(msgspec.structs.replace(record, body=b"\x92"))
    far = traitor.peer.clone()
    far.save("first")
    for seq in (limits.SEQ_MAX + 1, 2**63 - 1):
        place = msgspec.structs.replace(far.next_place(), seq=seq)
        header, signature, body = far.sign(_core_of(far), b"", place)
        yield traitor.sealed(Record(header, signature, body, b"", os.urandom(32), record.core, place))


def _core_of(peer: Peer) -> bytes:
    decoded = msgspec.msgpack.decode(peer.log[-1].header)
    return bytes(decoded["core"])


def _lying_vectors(traitor: Member) -> Iterator[tuple[str, bytes]]:
    """Rows 61 and 62: announcements that promise what is not there, or are not fit to be shown."""
    name = keys.vec(traitor.space, traitor.peer.device)
    log = os.urandom(16)
    heads = tuple(Head(os.urandom(16), limits.SEQ_MAX, os.urandom(32)) for _ in range(1_000))
    lies: tuple[dict[str, Any], ...] = (
        {"heads": (Head(log, 10**9, os.urandom(32)),)},
        {"heads": heads},
        {"name": "x" * 1_000_000},
        {"name": "\x1b]0;pwned\x07\x1b[2J\u202e evil"},
        {"version": "9" * 10_000},
        {"addresses": tuple(f"127.0.0.1:{port}" for port in range(1, 2_000))},
        {"pending": tuple("0" * 12 for _ in range(5_000))},
        {"wall": 2**62},
        {"counter": 2**62},
    )
    for counter, change in enumerate(lies):
        said = _announcement(traitor, **{"counter": counter + 1_000_000, **change})
        try:
            heard = vectors.signed(said, traitor.peer.key)
        except Exception:  # noqa: BLE001 - our own encoder refuses to make it: then it cannot be sent this way
            continue
        yield name, vectors.sealed(heard, traitor.keyring)
    payload = store_vectors.encode(_announcement(traitor, counter=3_000_000))
    yield name, traitor.keyring.seal(name, msgspec.msgpack.encode((payload, bytes(64))))


def _announcement(traitor: Member, **change: Any) -> Announcement:
    fields: dict[str, Any] = {
        "v": 1, "space": traitor.space, "device": traitor.peer.device, "node": "ab" * 16, "counter": 1,
        "wall": system_wall_clock(), "name": "traitor", "version": "0.1", "addresses": (), "heads": (), "pending": (),
    }  # fmt: skip
    return Announcement(**(fields | change))


def _allowed(traitor: Member) -> list[Record]:
    """Rows 54 to 60: odd, and within its rights. In the order in which it sends them: from the last to the first."""
    peer = traitor.peer
    far_future = 2**62
    first = peer.save("the traitor's own")
    a = peer.save("supersedes in a circle", supersedes=("0" * 12,))
    b = peer.save("supersedes in a circle too", supersedes=(a.core.memory,))
    peer.edit(a, text="supersedes in a circle", supersedes=(b.core.memory, a.core.memory))
    peer.write(Kind.FORGET, "zzzzzzzzzzz0", after=[first])
    peer.write("prophesy", "zzzzzzzzzzz1", body=b"\x92" + b"\xc4\x10" + bytes(16) + b"\x81\xa1x\x01")
    for ahead in (12_000, DAY_MS, 500 * YEAR_MS):
        peer.write(
            Kind.SAVE, f"zzzzzzzzzz{ahead % 89 + 10}", content=first.content(), wall=system_wall_clock() + ahead,
            hlc=(system_wall_clock() + ahead) << 16,
        )  # fmt: skip
    peer.write(Kind.SAVE, "zzzzzzzzzzz3", content=first.content(), wall=0, hlc=1)
    peer.write(Kind.SAVE, "zzzzzzzzzzz4", content=first.content(), hlc=far_future | 0xFFFF)
    fork = peer.clone()
    made = [*peer.log]
    made.append(peer.save("one end of a branch"))
    made.append(fork.save("the other end of it"))
    made.extend(peer.save(f"in reverse {number}") for number in range(300))
    return made[::-1]


def _held(home: Home, record: Record) -> bool:
    return bool(home.rows("SELECT 1 FROM record WHERE hash = ?", record.hash))


def refused(home: Home, device: bytes = b"") -> int:
    """How much it has refused of a device, or of nobody that it knows."""
    return int(home.rows("SELECT coalesce(sum(count), 0) FROM refusal WHERE device = ?", device)[0][0])


def doctor(home: Home) -> str:
    """What `nokosu doctor` says; nothing in it obeys whoever sent it."""
    said = home("doctor").out
    assert "\x1b]" not in said
    assert "\u202e" not in said
    return said


def _clock_has_not_moved(home: Home) -> None:
    """Nobody's time has carried this device away: what it writes now is of now."""
    [id] = home.save("What time is it?")
    [one] = [memory for memory in home.exported() if memory["id"] == id]
    [(hlc,)] = home.rows("SELECT hlc FROM memory WHERE id = ?", id)
    assert (hlc >> 16) <= system_wall_clock() + limits.DRIFT_MS_MAX + 1_000, one


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""
