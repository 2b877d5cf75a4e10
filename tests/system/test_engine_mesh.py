"""Hubs and spokes with the real zenohd, its storage manager and RocksDB, and everything that goes wrong with them.

Two devices, a hub that reads and one that is blind, each on a host of its own. Each test ends with the same logs on all
devices, record for record, sound; with every acknowledged memory shown as it was left; and with every record in the RocksDB
of every zenohd, read there and opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGTERM
from time import sleep
from typing import Any, NamedTuple

import msgspec
import pytest
import zenoh

from nokosu import Change, Draft
from nokosu.clock import WallClock, system_wall_clock
from nokosu.engine.located import Engine
from nokosu.mesh import keys
from nokosu.testing import DAY_MS, SECOND_MS
from tests import hubs, rogue
from tests.homes import (
    NOKOSU,
    Home,
    agree,
    allow_descriptors,
    eventually,
    loses,
    pair,
    reach,
    settled,
    stop,
    tail,
)
from tests.hosts import Host, Hosts, Unavailable
from tests.hubs import Storage, add_hub, hold_all, kill_zenohd, make_spoke, pid_of, resident_mib, same
from tests.ledger import Ledger
from tests.rogue import YEAR_MS, Member

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

_LAPTOP, _DESKTOP, _HUB, _BLIND = _NAMES = ("marmot", "ocelot", "walrus", "bittern")  # words that nothing else says
_KILLS = 6
_SILENT = 1_000
_GIB = 1 << 30
_RESIDENT_MIB_MAX = 300  # of a zenohd that is sent a gibibyte: it takes 64 MiB together, and no more


class Site(NamedTuple):
    """Two devices, a hub that reads, and a blind one. They were paired, and are switched off."""

    laptop: Host
    desktop: Host
    hub: Host
    blind: Host


@pytest.fixture(scope="session")
def engine() -> Engine:
    return hubs.engine_or_skip()


@pytest.fixture(scope="session")
def paired(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The homes of a site, for each test to begin with."""
    folder = tmp_path_factory.mktemp("paired")
    try:
        with Hosts(folder) as network:
            site = Site(*(network.add(name) for name in _NAMES))
            hubs.use(engine, *site)
            pair(site.laptop, site.desktop)
            add_hub(site.laptop, site.hub)
            add_hub(site.laptop, site.blind, blind=True)
            agree(site.laptop, site.desktop, site.hub)
            hold_all(site.laptop, site.hub, site.blind)
            for host in site:
                host.ok("node", "stop")
    except Unavailable as reason:
        pytest.skip(f"no network namespaces here: {reason}")
    return folder


@pytest.fixture
def site(engine: Engine, paired: Path, hosts: Hosts) -> Site:
    found = Site(*(hosts.add(name) for name in _NAMES))
    hubs.use(engine, *found)
    for host in found:
        hubs.copy(paired, host)
    return found


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def start(*hosts: Home) -> None:
    """Switch devices and hubs on, all at once."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: host.ok("node", "start"), hosts))


def whole(ledger: Ledger, members: Sequence[Home], engines: Sequence[Home]) -> None:
    """Everything is everywhere, as it was acknowledged, and each node says so."""
    agree(*members)
    ledger.check(*members)
    hold_all(members[0], *engines)


# Links and processes --------------------------------------------------------------------------------------------------


def test_a_partition_with_saves_and_forgets_on_both_sides_loses_nothing(site: Site, ledger: Ledger) -> None:
    start(site.hub, site.desktop)
    make_spoke(site.laptop)
    reach(site.laptop, site.hub, site.desktop)
    before = {host: ledger.save(host, 12) for host in (site.laptop, site.desktop)}
    settled(site.laptop, site.desktop, site.hub)
    site.laptop.unplug()
    ledger.forget(site.laptop, before[site.desktop][:4])
    ledger.forget(site.desktop, before[site.laptop][:4])
    both = before[site.laptop][5]
    ledger.forget(site.laptop, [both])
    ledger.forget(site.desktop, [both])
    with ledger.load(site.laptop, site.desktop, site.hub, pause=0.1):
        loses(site.laptop, site.hub, site.desktop)
        loses(site.hub, site.laptop)
    settled(site.desktop, site.hub)
    hold_all(site.laptop, site.laptop)  # each side's RocksDB has its own side's records
    hold_all(site.desktop, site.hub)
    site.laptop.plug()
    whole(ledger, (site.laptop, site.desktop, site.hub), (site.laptop, site.hub))


def test_a_router_that_is_killed_again_and_again_under_load_loses_nothing(site: Site, ledger: Ledger) -> None:
    start(site.hub, site.desktop)
    make_spoke(site.laptop)
    members = (site.laptop, site.desktop, site.hub)
    with ledger.load(site.laptop, site.desktop, pause=0.1):
        for number in range(_KILLS):
            victim = (site.hub, site.laptop)[number % 2]
            sleep(0.3 * (number % 4))
            hubs.comes_back(victim, kill_zenohd(victim))
    whole(ledger, members, (site.laptop, site.hub))


def test_two_hubs_that_are_restarted_in_turn_under_load_lose_nothing(site: Site, ledger: Ledger) -> None:
    start(*site)
    reach(site.laptop, site.desktop, site.hub)
    site.laptop.deafen(site.desktop)  # so that hubs carry all that passes between these two
    site.desktop.deafen(site.laptop)
    with ledger.load(site.laptop, site.desktop, pause=0.1):
        for hub in (site.hub, site.blind) * 2:
            hub.ok("hub", "stop")
            assert not pid_of(hub)
            hub.ok("hub", "start")
            eventually(Storage(hub).answers)
    site.laptop.undeafen(site.desktop)
    site.desktop.undeafen(site.laptop)
    whole(ledger, (site.laptop, site.desktop, site.hub), (site.hub, site.blind))


# Disks ----------------------------------------------------------------------------------------------------------------


def test_a_hub_whose_disk_was_wiped_or_put_back_is_filled_again(site: Site, ledger: Ledger, tmp_path: Path) -> None:
    everyone = (site.laptop, site.desktop)
    start(*everyone, site.blind)
    [secret, *_] = ledger.save(site.laptop, 20)
    whole(ledger, everyone, [site.blind])
    disk = Storage(site.blind)

    site.blind.ok("hub", "stop")
    disk.keep(tmp_path / "old")
    disk.wipe()
    site.blind.ok("hub", "start")
    whole(ledger, everyone, [site.blind])

    ledger.forget(site.desktop, ledger.save(site.desktop, 20)[:10])
    purge(ledger, site.laptop, secret)
    whole(ledger, everyone, [site.blind])
    site.blind.ok("hub", "stop")
    disk.put_back(tmp_path / "old")  # without the latest records, and with a text that is gone
    site.blind.ok("hub", "start")
    whole(ledger, everyone, [site.blind])


def purge(ledger: Ledger, host: Home, id: str) -> str:
    """Erase a memory for good; the text it had."""
    with host.open() as memory:
        memory.purge(id)
    return ledger.texts.pop(id)


# Clocks ---------------------------------------------------------------------------------------------------------------


@contextmanager
def clock_is_wrong(host: Host, engine: Engine, folder: Path, offset_ms: int) -> Iterator[WallClock]:
    """Its node and its zenohd have a wall clock that is so far from the truth; and that clock, for what is saved there."""
    wrong = hubs.wrong_clock(engine, folder / str(offset_ms), offset_ms // SECOND_MS)
    with host.started(*NOKOSU, "node", "run", env={**host.env, **wrong}, stdout=None, stderr=None, stdin=None) as node:
        eventually(lambda: pid_of(host))
        yield lambda: system_wall_clock() + offset_ms
        node.send_signal(SIGTERM)
        assert node.wait(20) in (0, -SIGTERM, 143)


def test_a_spoke_whose_clock_runs_ahead_and_then_a_day_behind_loses_nothing(
    site: Site, ledger: Ledger, engine: Engine, tmp_path: Path
) -> None:
    start(site.hub, site.desktop)
    members = (site.laptop, site.desktop, site.hub)
    make_spoke(site.laptop)
    site.laptop.ok("node", "stop")
    for offset in (12 * SECOND_MS, -DAY_MS):
        with clock_is_wrong(site.laptop, engine, tmp_path, offset) as wrong:
            reach(site.laptop, site.hub)
            ledger.save(site.laptop, 10, wall_clock=wrong)
            old = ledger.save(site.desktop, 10)
            settled(*members)
            with site.laptop.open(wall_clock=wrong) as memory:  # cause and effect do not ask a clock
                memory.edit(old[0], Change(text=f"edited {offset}"))
                ledger.texts[old[0]] = f"edited {offset}"
                memory.forget(old[1])
                ledger.forgotten.add(old[1])
            settled(*members)
            clock = site.desktop.peers()[_LAPTOP]["clock_offset_ms"]
            assert abs(clock - offset) < 5 * SECOND_MS
            purge(ledger, site.desktop, old[2])  # its keys are overwritten in every storage, with whatever clock
            settled(*members)
            ledger.check(*members)
            hold_all(site.desktop, site.laptop, site.hub)
    start(site.laptop)
    whole(ledger, members, (site.laptop, site.hub))


# Devices that are away ------------------------------------------------------------------------------------------------


def test_two_laptops_that_are_never_awake_together_share_all_through_a_blind_hub_that_sees_nothing(
    site: Site, ledger: Ledger
) -> None:
    start(site.blind)
    project, subject = "quinoxaline", "the zymurgist's deadline"
    with site.laptop.open() as memory:
        draft = Draft(text="Wort boils for exactly 83 minutes.", subject=subject, project=project, tags=("vorlauf",))
        ledger.texts[memory.save(draft).id] = draft.text
    awake, asleep = site.laptop, site.desktop
    for _ in range(4):
        start(awake)
        settled_through(site.blind, awake, asleep)
        ledger.forget(awake, list(ledger.texts)[-3:-2])
        ledger.save(awake, 8)
        awake.ok("sync", "--wait", "20")  # as one does before one closes the lid
        hold_all(awake, site.blind)
        awake.ok("node", "stop")
        awake, asleep = asleep, awake
    start(awake)
    settled_through(site.blind, awake, asleep)
    same(site.laptop, site.desktop)
    ledger.check(site.laptop, site.desktop)
    hold_all(awake, site.blind)

    in_clear = "the text that nobody has sealed, so that this search has something to find"
    storage = Storage(site.blind)
    with storage.session() as session:
        session.put(f"{keys.space(storage.space)}/vec/in-clear", in_clear.encode())
    eventually(lambda: storage.read("vec/in-clear"))
    [(log,)] = site.laptop.rows("SELECT log.id FROM log JOIN record ON record.log = log.n ORDER BY record.n LIMIT 1")
    site.blind.ok("hub", "stop")
    open_words = {in_clear, storage.space.hex(), log.hex()}
    secret_words = {*ledger.texts.values(), project, subject, "vorlauf", _LAPTOP, _DESKTOP, _HUB}
    for _ in range(2):  # in the log that RocksDB writes first, and in the tables that it makes of it at its next start
        found = hubs.places_of(open_words | secret_words, site.blind.home)
        assert found.keys() == open_words
        assert found[in_clear].is_relative_to(storage.folder / "vec")
        site.blind.ok("hub", "start")
        eventually(storage.answers)
        site.blind.ok("hub", "stop")


def settled_through(hub: Home, awake: Home, asleep: Home) -> None:
    """Wait until the device that is awake has caught up with the one that is asleep, all of which the hub has."""
    try:
        eventually(lambda: hubs.held(asleep).keys() <= hubs.held(awake).keys(), every=0.2)
    except AssertionError as error:
        seen = f"{awake('node', 'status').out}{tail(awake)}\n{hub('hub', 'status').out}"
        raise AssertionError(f"{awake} has not caught up through {hub}:\n{seen}") from error


def test_a_stale_laptop_and_a_stale_hub_come_back_after_many_forgets_and_bring_nothing_back(
    site: Site, ledger: Ledger
) -> None:
    start(*site[1:])
    make_spoke(site.laptop)
    members, engines = (site.laptop, site.desktop, site.hub), (site.laptop, site.hub, site.blind)
    old = ledger.save(site.laptop, 60)
    whole(ledger, members, engines)
    for stale in (site.laptop, site.hub):
        stale.ok("node", "stop")
    ledger.forget(site.desktop, old[:40])
    gone = purge(ledger, site.desktop, old[50])
    ledger.save(site.desktop, 5)
    hold_all(site.desktop, site.blind)
    ledger.save(site.laptop, 5)
    start(site.hub, site.laptop)
    whole(ledger, members, engines)
    opens = hubs.keyring(site.desktop)
    for home in engines:
        found = Storage(home).read()
        assert len(found) > 70
        for name, sealed in found.items():
            if not name.partition("/vec/")[2].startswith("ready/"):
                assert gone.encode() not in opens.open(name, sealed), name


def test_a_spoke_that_changes_its_engine_and_back_loses_nothing_and_is_not_paired_again(
    site: Site, ledger: Ledger
) -> None:
    members = (site.laptop, site.desktop, site.hub)
    start(*members)
    paired = "SELECT id FROM device UNION ALL SELECT key_id FROM secret ORDER BY 1"
    before = site.laptop.rows(paired)
    with ledger.load(site.laptop, site.desktop, pause=0.2):
        for engine in ("zenohd", "embedded", "zenohd"):
            site.laptop.ok("node", "engine", engine)
            reach(site.laptop, site.hub, site.desktop)
            assert bool(pid_of(site.laptop)) is (engine == "zenohd")
    whole(ledger, members, (site.laptop, site.hub))
    site.laptop.ok("node", "engine", "embedded")
    assert not pid_of(site.laptop)
    ledger.save(site.laptop, 5)
    whole(ledger, members, [site.hub])
    assert site.laptop.rows(paired) == before


# Rogues ---------------------------------------------------------------------------------------------------------------


class Attacked(NamedTuple):
    """A blind hub, a device that it serves, and the keys of another one that turned; all on the loopback."""

    hub: Home
    device: Home
    traitor: Member
    where: str


@pytest.fixture
def attacked(engine: Engine, tmp_path: Path) -> Iterator[Attacked]:
    hub, device, turned = homes = [Home(tmp_path, name) for name in ("hub", "device", "turned")]
    hubs.use(engine, *homes)
    try:
        pair(device, turned)
        add_hub(device, hub, blind=True)
        turned.ok("node", "stop")
        yield Attacked(hub, device, rogue.member(turned), address_of(hub))
    finally:
        stop(homes)


def address_of(hub: Home) -> str:
    """Where its zenohd listens, as seen from this machine."""
    return f"127.0.0.1:{Storage(hub).ports[0]}"


def test_rogue_clients_get_nothing_out_of_a_hub_and_do_it_no_harm(attacked: Attacked, ledger: Ledger) -> None:
    hub, device, traitor, where = attacked
    ledger.save(device, 20)
    hold_all(device, hub)
    zenohd = pid_of(hub)
    ours = traitor.tls()
    root = keys.space(traitor.space)

    assert rogue.is_let_in(where, ours)
    assert not rogue.is_let_in(where, None), "plain TCP"
    assert not rogue.is_let_in(where, without_certificate(ours)), "no certificate"
    assert not rogue.is_let_in(where, rogue.stranger(traitor).tls()), "another space"
    assert not rogue.is_let_in(where, traitor.tls(now_ms=system_wall_clock() - 11 * YEAR_MS)), "expired"

    with rogue.session(where, ours) as session:
        routers = {str(zid) for zid in session.info.routers_zid()}
        for asked in ("@/**", "**", f"@/{Storage(hub).zid}/router/**"):
            assert not replies(session, asked, routers), f"{asked} is the admin space, and nobody's"
        with suppress(zenoh.ZError):
            session.put(f"@/{Storage(hub).zid}/router/config/adminspace/permissions", '{"read": true, "write": true}')
        for name in (f"{root}/rec/**", f"{root}/**", "**", next(iter(hubs.held(device)))):
            session.delete(name)
        session.put(f"nokosu/1/{os.urandom(16).hex()}/rec/x", b"of another space")
        assert not replies(session, "@/**", routers)
    hold_all(device, hub)
    assert len(Storage(hub).read("rec/**")) == len(hubs.held(device))

    with suppress(zenoh.ZError), rogue.session(where, ours) as session:
        session.put(f"{root}/rec/large", bytes(_GIB), congestion_control=zenoh.CongestionControl.BLOCK)
    assert not Storage(hub).read("rec/large")
    assert resident_mib(zenohd, "VmHWM") < _RESIDENT_MIB_MAX

    allow_descriptors(_SILENT + 500)
    host, _, port = where.rpartition(":")
    with rogue.half_open(host, int(port), _SILENT):
        ledger.save(device, 5)
        hold_all(device, hub)
    ledger.save(device, 5)
    hold_all(device, hub)
    ledger.check(device)
    assert pid_of(hub) == zenohd, "it is still the same process"


def without_certificate(tls: Any) -> Any:
    return msgspec.structs.replace(tls, certificate=b"", key=b"")


def replies(session: zenoh.Session, selector: str, of: set[str]) -> list[str]:
    """What the routers themselves answer: a session answers questions about its own admin space, too."""
    found = session.get(selector, target=zenoh.QueryTarget.ALL, consolidation=zenoh.ConsolidationMode.NONE, timeout=3)
    own = f"@/{session.zid()}/"
    return [
        str(one.ok.key_expr)
        for one in found
        if one.ok is not None
        and not str(one.ok.key_expr).startswith(own)
        and one.replier_id is not None
        and str(one.replier_id.zid) in of
    ]
