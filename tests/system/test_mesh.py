"""Three machines and everything that goes wrong between machines: real hosts, real nodes, paired as a person would.

Each ends with the same logs on all, record for record; with nodes that say so; with a clean `verify` everywhere; and with
every acknowledged memory shown everywhere as it was left.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import sleep
from typing import NamedTuple

import pytest

from nokosu import Change
from nokosu.clock import WallClock, system_wall_clock
from nokosu.records import Kind
from nokosu.testing import DAY_MS, SECOND_MS, Peer, Store
from tests.homes import agree, eventually, loses, mesh, pair, reach, settled, verified
from tests.hosts import Host, Hosts, Unavailable
from tests.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

AWAY_SECONDS = 30  # three times as long as Zenoh takes to give up a silent connection
TOLD_SECONDS = 100  # an announcement that was lost is made again after a minute, and asked for after one and a half


class Trio(NamedTuple):
    """Three paired hosts."""

    laptop: Host
    desktop: Host
    nas: Host


_NAMES = ("laptop", "desktop", "nas")


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The homes of three devices that were paired and then switched off, for each test to begin with."""
    folder = tmp_path_factory.mktemp("paired")
    try:
        with Hosts(folder) as network:
            found = [network.add(name) for name in _NAMES]
            mesh(*found)
            for host in found:
                host.ok("node", "stop")
    except Unavailable as reason:
        pytest.skip(f"no network namespaces here: {reason}")
    return folder


@pytest.fixture
def trio(paired: Path, hosts: Hosts) -> Trio:
    found = Trio(*(hosts.add(name) for name in _NAMES))
    for host in found:
        for path in (paired / host.name / "nokosu").glob("nokosu.db*"):
            shutil.copy(path, host.home)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: host.ok("node", "start"), found))
    for host in found:
        reach(host, *(other for other in found if other is not host))
    return found


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


# Links and processes --------------------------------------------------------------------------------------------------


def test_a_link_that_is_down_for_half_a_minute_loses_nothing(trio: Trio, ledger: Ledger) -> None:
    before = {host: ledger.save(host, 12) for host in trio}
    settled(*trio)
    trio.desktop.unplug()
    ledger.forget(trio.laptop, before[trio.desktop][:4])
    ledger.forget(trio.desktop, before[trio.laptop][:4])
    both = before[trio.nas][0]
    ledger.forget(trio.nas, [both])
    ledger.forget(trio.desktop, [both])
    with ledger.load(*trio, pause=0.3):
        sleep(AWAY_SECONDS)
    trio.desktop.plug()
    agree(*trio)
    ledger.check(*trio)


def test_a_node_that_is_killed_again_and_again_under_load_loses_nothing(trio: Trio, ledger: Ledger) -> None:
    with ledger.load(*trio, pause=0.1):
        for number in range(9):
            victim = trio[number % 3]
            eventually(victim.node_pid)
            sleep(0.3 * (number % 4))
            victim.kill_node()
            victim.ok("node", "start")
    agree(*trio)
    ledger.check(*trio)


def test_a_node_that_is_frozen_for_half_a_minute_loses_nothing(trio: Trio, ledger: Ledger) -> None:
    frozen = trio.nas.node_pid()
    os.kill(frozen, signal.SIGSTOP)
    with ledger.load(*trio, pause=0.3):
        sleep(AWAY_SECONDS)
    os.kill(frozen, signal.SIGCONT)
    agree(*trio)
    ledger.check(*trio)
    assert trio.nas.node_pid() == frozen


def test_a_link_that_works_one_way_only_loses_nothing(trio: Trio, ledger: Ledger) -> None:
    trio.laptop.deafen(trio.desktop)
    with ledger.load(*trio, pause=0.3):
        sleep(12)
    settled(*trio)  # the third one passes on what the two cannot tell each other
    ledger.check(*trio)
    trio.laptop.undeafen(trio.desktop)
    ledger.save(trio.laptop, 3)
    reach(trio.desktop, trio.laptop)
    agree(*trio)
    ledger.check(*trio)


def knows_where(host: Host, other: Host) -> bool:
    """Whether its node was told the present address of the other one."""
    known = host.peers().get(other.name, {"addresses": []})
    return any(told.startswith(f"{other.address}:") for told in known["addresses"])


def test_two_devices_that_both_moved_find_each_other_through_the_third(trio: Trio, ledger: Ledger) -> None:
    trio.laptop.move_to(21)
    trio.desktop.move_to(22)
    ledger.save(trio.laptop, 5)
    ledger.save(trio.desktop, 5)
    settled(*trio)
    ledger.check(*trio)
    eventually(partial(knows_where, trio.laptop, trio.desktop), TOLD_SECONDS)
    eventually(partial(knows_where, trio.desktop, trio.laptop), TOLD_SECONDS)
    trio.nas.ok("node", "stop")
    reach(trio.laptop, trio.desktop)
    ledger.save(trio.laptop, 5)
    settled(trio.laptop, trio.desktop)
    trio.nas.ok("node", "start")
    agree(*trio)
    ledger.check(*trio)


def test_two_devices_that_both_moved_meet_again_when_told_where(hosts: Hosts, ledger: Ledger) -> None:
    laptop, desktop = hosts.add("laptop"), hosts.add("desktop")
    mesh(laptop, desktop)
    for host in (laptop, desktop):
        host.ok("node", "stop")
    laptop.move_to(31)
    desktop.move_to(32)
    for host in (laptop, desktop):
        host.ok("node", "start")
        ledger.save(host, 5)
    port = desktop.node()["spaces"][0]["port"]
    laptop.ok("devices", "set-address", "desktop", f"{desktop.address}:{port}")
    agree(laptop, desktop)
    ledger.check(laptop, desktop)


# Clocks ---------------------------------------------------------------------------------------------------------------


@contextmanager
def clock_is_wrong(host: Host, offset_ms: int) -> Iterator[WallClock]:
    """Its node is another one whose wall clock is so far from the truth; and that clock, for what is saved there."""
    host.ok("node", "stop")
    with host.started(
        sys.executable, "-m", "tests.skewed_node", str(offset_ms), stdout=None, stderr=None, stdin=None
    ) as node:
        eventually(host.node_pid)
        yield lambda: system_wall_clock() + offset_ms
        node.send_signal(signal.SIGTERM)
        assert node.wait(20) in (0, -signal.SIGTERM, 143)


def test_a_clock_that_runs_ahead_and_then_a_day_behind_loses_nothing(trio: Trio, ledger: Ledger) -> None:
    for offset in (12 * SECOND_MS, -DAY_MS):
        with clock_is_wrong(trio.nas, offset) as wrong:
            reach(trio.nas, trio.laptop)
            ledger.save(trio.nas, 10, wall_clock=wrong)
            old = ledger.save(trio.laptop, 10)
            settled(*trio)
            with trio.nas.open(wall_clock=wrong) as memory:  # cause and effect do not ask a clock
                memory.edit(old[0], Change(text=f"edited {offset}"))
                ledger.texts[old[0]] = f"edited {offset}"
                memory.forget(old[1])
                ledger.forgotten.add(old[1])
            settled(*trio)
            ledger.check(*trio)
            clock = trio.laptop.peers()["nas"]["clock_offset_ms"]
            assert abs(clock - offset) < 5 * SECOND_MS
    trio.nas.ok("node", "start")
    agree(*trio)
    ledger.check(*trio)


# Backups and copies ---------------------------------------------------------------------------------------------------


def restore(host: Host, backup: str) -> None:
    """Put a backup in the place of the store, as the README says."""
    for path in host.home.glob("nokosu.db*"):
        path.unlink()
    shutil.copy(backup, host.home / "nokosu.db")


def test_a_database_that_is_restored_from_yesterday_and_goes_on_loses_nothing(trio: Trio, ledger: Ledger) -> None:
    backup = str(trio.desktop.folder / "yesterday.db")
    ledger.save(trio.desktop, 5)
    settled(*trio)
    trio.desktop.ok("backup", backup)
    ledger.save(trio.desktop, 10)
    settled(*trio)
    trio.desktop.ok("node", "stop")
    restore(trio.desktop, backup)
    ledger.save(trio.desktop, 10)  # the same numbers in the same log, once more
    trio.desktop.ok("node", "start")
    settled(*trio)
    ledger.save(trio.desktop, 3)
    agree(*trio)
    ledger.check(*trio)


def test_a_cloned_device_and_its_original_both_go_on_and_nothing_is_lost(
    trio: Trio, hosts: Hosts, ledger: Ledger
) -> None:
    ledger.save(trio.desktop, 5)
    settled(*trio)
    trio.desktop.ok("node", "stop")
    clone = hosts.add("clone")
    for path in trio.desktop.home.glob("nokosu.db*"):
        shutil.copy(path, clone.home / path.name)
    ledger.save(trio.desktop, 10)
    ledger.save(clone, 10)
    everyone = (*trio, clone)
    for host in (trio.desktop, clone):
        host.ok("node", "start")
    with ledger.load(*everyone, pause=0.3):
        sleep(5)
    agree(*everyone)
    ledger.check(*everyone)


# Membership -----------------------------------------------------------------------------------------------------------


def test_a_revoked_device_is_out_when_the_news_comes_before_its_late_records(trio: Trio, ledger: Ledger) -> None:
    ledger.save(trio.nas, 5)
    settled(*trio)
    trio.nas.unplug()
    loses(trio.laptop, trio.nas)
    trio.laptop.ok("revoke", "nas", "--yes")
    rest = (trio.laptop, trio.desktop)
    settled(*rest)
    trio.nas.save("written after it was revoked")
    alone = {one["id"] for one in trio.nas.exported()}
    trio.nas.plug()
    ledger.save(trio.laptop, 5)
    ledger.save(trio.desktop, 5)
    agree(*rest)
    ledger.check(*rest)
    sleep(5)  # time enough for it to try
    ledger.check(*rest)
    assert {one["id"] for one in trio.nas.exported()} <= alone  # nothing that was written without it reached it


def test_a_revoked_device_is_out_when_its_late_records_come_before_the_news(trio: Trio, ledger: Ledger) -> None:
    ledger.save(trio.nas, 5)
    settled(*trio)
    trio.laptop.unplug()
    loses(trio.desktop, trio.laptop)
    trio.laptop.ok("revoke", "nas", "--yes")
    [late] = trio.nas.save("written after it was revoked, and passed on in good faith")
    eventually(lambda: late in {one["id"] for one in trio.desktop.exported()}, every=0.5)
    trio.nas.ok("node", "stop")
    trio.laptop.plug()
    ledger.save(trio.laptop, 5)
    ledger.save(trio.desktop, 5)
    rest = (trio.laptop, trio.desktop)
    agree(*rest)
    ledger.check(*rest)


def test_two_personal_spaces_become_one_with_each_memory_as_it_was(hosts: Hosts) -> None:
    laptop, desktop = hosts.add("laptop"), hosts.add("desktop")
    states: dict[str, tuple[str, str]] = {}
    for host in (laptop, desktop):
        plain, edited, forgotten, restored, purged = host.save(
            *(f"{what} on {host.name}" for what in ("plain", "edited", "forgotten", "restored", "purged"))
        )
        with host.open() as memory:
            memory.edit(edited, Change(text=f"a new version on {host.name}"))
            memory.forget(forgotten)
            memory.forget(restored)
            memory.restore(restored)
            memory.purge(purged)
        states |= {
            plain: ("live", f"plain on {host.name}"),
            edited: ("live", f"a new version on {host.name}"),
            forgotten: ("forgotten", f"forgotten on {host.name}"),
            restored: ("live", f"restored on {host.name}"),
        }
    pair(laptop, desktop)
    settled(laptop, desktop)
    for host in (laptop, desktop):
        assert {one["id"]: (one["status"], one["text"]) for one in host.exported()} == states
        ids = [id for (id,) in host.rows("SELECT id FROM memory ORDER BY id")]
        assert len(ids) == len(set(ids)) == len(states) + 2
    with desktop.open() as memory:  # histories came along: a forgotten one can still be brought back
        for id, (status, text) in list(states.items()):
            if status == "forgotten":
                memory.restore(id)
                states[id] = ("live", text)
    agree(laptop, desktop)
    assert {one["id"]: (one["status"], one["text"]) for one in laptop.exported()} == states


# Amounts and versions -------------------------------------------------------------------------------------------------


def test_an_empty_device_joins_fifty_thousand_memories(hosts: Hosts, ledger: Ledger) -> None:
    laptop, desktop = hosts.add("laptop"), hosts.add("desktop")
    ledger.save_at_once(laptop, 50_000)
    pair(laptop, desktop)
    counted = "SELECT count(*) FROM record"
    eventually(lambda: desktop.rows(counted) == laptop.rows(counted), 120, every=1)
    settled(laptop, desktop)
    said = desktop.ok("sync", "--wait", "30").out
    assert "vectors equal hash for hash" in said
    verified(desktop)
    ledger.check(desktop)


@contextmanager
def store_of(host: Host) -> Iterator[Store]:
    """The store of a host below its door, where records of other devices arrive."""
    with Store(host.home / "nokosu.db", wall_clock=system_wall_clock, random=os.urandom) as store:
        yield store


def others(store: Store, count: int) -> list[Peer]:
    """So many more devices, admitted; they are never on, and what they wrote is brought by hand."""
    space = store.personal.id
    made = [Peer(space, wall_clock=system_wall_clock, random=os.urandom, name=f"other{n}") for n in range(count)]
    store.admit(*made)
    return made


def test_what_a_device_of_the_next_version_wrote_is_carried_on_untouched(trio: Trio, ledger: Ledger) -> None:
    trio.desktop.ok("node", "stop")
    with store_of(trio.desktop) as store:
        [newer] = others(store, 1)
        plain = newer.save("as today", projects=())
        strange = newer.write(
            "annotate", plain.core.memory, after=[plain], body=b"\x92\xc4\x10" + bytes(16) + b"\x81\xa4mood\xa4good"
        )
        odd = newer.write(
            Kind.SAVE, "newer0newer0", content=plain.content(), unknown={"smell": b"rose", "parts": [1, {"a": 2}]}
        )
        wordless = newer.write("dream", "", body=b"\xc0")
        late = newer.edit(plain, text="edited by the next version", tags=("new",))
        written = [plain, strange, odd, wordless, late]
        store.log.append_many(written[::-1])
    ledger.texts[plain.core.memory] = "edited by the next version"
    ledger.texts["newer0newer0"] = "as today"
    trio.desktop.ok("node", "start")
    agree(*trio)
    ledger.check(*trio)
    for host in trio:
        for record in written:
            [held] = host.rows("SELECT header, signature, body FROM record WHERE hash = ?", record.hash)
            assert held == (record.header, record.signature, record.body)


def test_a_device_that_was_away_for_months_catches_up_with_forty_logs(trio: Trio, ledger: Ledger) -> None:
    trio.nas.ok("node", "stop")
    with store_of(trio.laptop) as store:
        for peer in others(store, 40):
            written = [peer.save(f"number {number} of {peer.name}") for number in range(25)]
            store.log.append_many(written)
            for record in written:
                content = record.content()
                assert content is not None
                ledger.texts[record.core.memory] = content.text
            gone = peer.forget(written[0])
            store.log.append(gone)
            ledger.forgotten.add(gone.core.memory)
    ledger.save(trio.desktop, 20)
    own = ledger.save(trio.nas, 20)
    settled(trio.laptop, trio.desktop)
    trio.nas.ok("node", "start")
    agree(*trio)
    ledger.check(*trio)
    assert len(trio.laptop.rows("SELECT DISTINCT log FROM record")) > 40
    assert own
