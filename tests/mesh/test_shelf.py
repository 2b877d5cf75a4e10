"""The shelf: what a device answers, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nokosu.drafts import Draft
from nokosu.mesh import keys, seal
from nokosu.mesh.reconcile import Want
from nokosu.mesh.seal import Keyring
from nokosu.mesh.shelf import Asked, parse
from nokosu.records import Record
from nokosu.store import roster
from nokosu.testing import LoopbackMesh
from nokosu.testing.host import Host
from nokosu.testing.loopback import SPACE_NAME

LOG = "0a" * 16


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackMesh]:
    """Two hosts; the tests only read."""
    with LoopbackMesh(1, tmp_path_factory.mktemp("mesh"), hosts=2) as made:
        one = made.hosts[0]
        one.memory.save_many([Draft(text=f"note {number}") for number in range(1100)], space=SPACE_NAME)
        one.memory.save(Draft(text="stays here"), space="local")
        one.memory.save(Draft(text="my own"))
        made.advance(10)
        yield made


def base(host: Host) -> str:
    return keys.dev(host.space.id, host.device)


def own_log(host: Host) -> bytes:
    return max(host.log.vector(host.space), key=lambda head: head.seq).log


def served(host: Host, selector: str) -> list[Record]:
    with host.database.reading() as connection:
        keyring = Keyring(roster.secrets(connection, host.space), random=host.random)
    found = []
    for key, payload in host.shelf.serve(selector):
        tail = key.partition("/rec/" if "/rec/" in key else "/rekey/")[2]
        record = seal.unpack(keyring.open(keys.rec_at(host.space.id, tail), payload))
        assert keys.tail(record.place.log, record.place.seq, record.hash) == tail
        found.append(record)
    return found


@pytest.mark.parametrize(
    ("want", "numbers"),
    [
        (Want(b"", 1, 1106), range(1, 1107)),
        (Want(b"", 990, 1010), range(990, 1011)),
        (Want(b"", 5, 7), range(5, 8)),
        (Want(b"", 1000, 1000), range(1000, 1001)),
        (Want(b"", 1001, 1001), range(1001, 1002)),
        (Want(b"", 5000, 6000), range(0)),
    ],
    ids=["all", "across two pages", "a few", "the last of a page", "the first of a page", "what is not there"],
)
def test_what_is_wanted_is_served_in_the_order_of_the_log(mesh: LoopbackMesh, want: Want, numbers: range) -> None:
    host = mesh.hosts[0]
    asked = Want(own_log(host), want.first, want.last)
    there = max(head.seq for head in host.log.vector(host.space))
    found = served(host, f"{base(host)}/rec/{asked.tail()}")
    assert [record.place.seq for record in found] == [number for number in numbers if number <= there]


def test_one_record_is_served_by_its_whole_name_and_not_by_that_of_another(mesh: LoopbackMesh) -> None:
    host = mesh.hosts[0]
    head = max(host.log.vector(host.space), key=lambda head: head.seq)
    named = Want(head.log, head.seq, head.seq, head.hash)
    assert [record.hash for record in served(host, f"{base(host)}/rec/{named.tail()}")] == [head.hash]
    other = Want(head.log, head.seq, head.seq, bytes(32))
    assert served(host, f"{base(host)}/rec/{other.tail()}") == []


def test_a_page_without_a_range_is_served_whole(mesh: LoopbackMesh) -> None:
    host = mesh.hosts[0]
    found = served(host, f"{base(host)}/rec/{own_log(host).hex()}/0/*")
    assert [record.place.seq for record in found] == list(range(1, 1001))


def test_no_record_of_another_space_is_ever_served(mesh: LoopbackMesh) -> None:
    host = mesh.hosts[0]
    logs = host.database.rows("SELECT log.id, space.name FROM log JOIN space ON space.n = log.space")
    assert {name for _, name in logs} == {"personal", "local", SPACE_NAME}
    for log, name in logs:
        found = list(host.shelf.serve(f"{base(host)}/rec/{log.hex()}/**"))
        assert bool(found) == (name == SPACE_NAME)


def test_the_announcement_is_served_alone_and_with_those_of_others(mesh: LoopbackMesh) -> None:
    host, other = mesh.hosts
    assert [key for key, _ in host.shelf.serve(f"{base(host)}/vec")] == [f"{base(host)}/vec"]
    every = {key for key, _ in host.shelf.serve(f"{keys.space(host.space.id)}/vec/*")}
    assert every == {keys.vec(host.space.id, device) for device in (host.device, other.device)}


def test_whoever_knows_only_the_first_secret_reads_the_roster_from_one_rekey_to_the_next(quick_path: Path) -> None:
    mesh = LoopbackMesh(1, quick_path, hosts=2)
    mesh.advance(5)
    host, other = mesh.hosts
    with host.database.reading() as connection:
        first = roster.secrets(connection, host.space)
    mesh.revoke(host, other.device)
    answers = list(host.shelf.serve(f"{base(host)}/rekey/**"))
    old = Keyring(first, random=host.random)
    for key, payload in answers:
        old.open(keys.rec_at(host.space.id, key.partition("/rekey/")[2]), payload)
    assert len(answers) == 5  # two devices said who they are, one was admitted, revoked, and the secret was changed
    mesh.close()


@pytest.mark.parametrize(
    "tail",
    [
        "", "*", "**", "rec", "rec/**", "rec/*/**", f"rec/{LOG}", f"rec/{LOG}/*", f"rec/{LOG}/*/*", f"rec/{LOG}/0/**",
        f"rec/{LOG}/0/0-*", f"rec/{LOG}/1/5-*", f"rec/{LOG}/00/*", f"rec/{LOG}/0/1-**", f"rec/{LOG}/0/1-{'0' * 31}",
        f"rec/{LOG}/0/1-{'G' * 32}", f"rec/{LOG.upper()}/**", f"rec/{LOG}/**?from=1", f"rec/{LOG}/**?from=0;to=9",
        f"rec/{LOG}/**?to=1;from=9", f"rec/{LOG}/**?from=1;to=9;x=1", f"rec/{LOG}/**\n", f"rec/{LOG}/٣/*", "vec/*", "vec/**",
        "rekey", "rekey/*", "../vec", f"rec/{LOG}/{'9' * 17}/*", "x" * 5000, f"rec/{LOG}/**?from=1;to={'9' * 400}",
        "rec/' OR 1=1 --/**",
    ],
)  # fmt: skip
def test_what_is_no_selector_of_ours_is_answered_with_nothing(mesh: LoopbackMesh, tail: str) -> None:
    host = mesh.hosts[0]
    assert list(host.shelf.serve(f"{base(host)}/{tail}")) == []


def test_another_devices_or_spaces_questions_are_not_ours(mesh: LoopbackMesh) -> None:
    host, other = mesh.hosts
    log = own_log(host).hex()
    for asked in (base(other), keys.dev(bytes(16), host.device)):
        assert list(host.shelf.serve(f"{asked}/rec/{log}/**")) == []


def test_a_range_is_cut_to_its_page() -> None:
    assert parse(f"rec/{LOG}/1/*?from=5;to=1500") == Asked(bytes.fromhex(LOG), 1001, 1500, b"")
