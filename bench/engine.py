"""`python -m bench.engine`: the real zenohd, on hosts of its own, and what it takes.

Hosts are network namespaces with a cable that can be pulled, made by root or in a user namespace; devices are paired as a
person would, and their nodes and zenohd are real processes. A transport counts as open as soon as the kernel has a TCP
connection between two zenohd, which is a little before Zenoh says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event, Thread

import zenoh

from bench import machine, report
from bench.corpus import Corpus
from bench.figures import Figure, Goal
from bench.measuring import Stopwatch
from nokosu import Draft, Nokosu, Query
from nokosu.engine import sockets
from nokosu.engine.located import Engine, environment
from nokosu.mesh import keys, seal
from tests import hubs
from tests.homes import Home, eventually, pair, reach, settled
from tests.hosts import Host, Hosts
from tests.hubs import Storage, add_hub, make_spoke, resident_mib

SAVES_PER_SECOND = 10
STEADY_SAVES = 150
EACH_SIDE = 300
APART_SECONDS = (30.0, 120.0)
GAP = 1_192
RECORDS = 50_000
SCANNED = 16_000
SCANNED_BYTES = 36_000_000
SEARCHES = 50
SECONDS_MAX = 600.0

_MIB = 1 << 20


def main() -> int:
    """Measure, print, and write what was asked for."""
    options = _options()
    started = time.monotonic()
    engine = hubs.engine()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", file=sys.stderr, flush=True)

    parts: dict[str, Callable[[Bench], list[Figure]]] = {
        "live": live,
        **{f"split{seconds:g}": partial(split, seconds=seconds) for seconds in options.apart},
        "gap": gap,
        "large": partial(large, count=options.records),
    }
    figures: list[Figure] = []
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="nokosu-bench-", dir=options.folder) as named:
        for name, part in parts.items():
            if not options.only or name in options.only:
                folder = Path(named) / name
                folder.mkdir()
                with Hosts(folder) as network:
                    figures += part(Bench(network, engine, partial(_tell, tell, name)))
        described = machine.describe(Path(named), before, machine.load())
    print(report.as_text(figures))
    print(report.verdicts(figures))
    if options.json:
        options.json.write_text(report.as_json(figures, described, "make bench-engine"))
    if options.markdown:
        report.write_part(options.markdown, report.as_engine_part(figures, described))
    tell("done")
    return 0


def _tell(tell: Callable[[str], None], name: str, text: str) -> None:
    tell(f"{name}: {text}")


class Bench:
    """An empty switch, the engine, and whoever is told how far we are."""

    def __init__(self, network: Hosts, engine: Engine, tell: Callable[[str], None]) -> None:
        self.network, self.engine, self.tell = network, engine, tell

    def hosts(self, *names: str) -> list[Host]:
        """New hosts that find the engine."""
        added = [self.network.add(name) for name in names]
        hubs.use(self.engine, *added)
        return added


# The figures ----------------------------------------------------------------------------------------------------------


def live(bench: Bench) -> list[Figure]:
    """From the beginning of a save on one device until a search on another finds it, when only a hub is between them."""
    one, two, hub = bench.hosts("one", "two", "hub")
    pair(one, two)
    add_hub(one, hub, blind=True)
    settled(one, two)
    for here, there in ((one, two), (two, one)):
        here.deafen(there)
    hubs.hold_all(one, hub)
    figures = []
    for engine in ("embedded", "zenohd"):
        for host in (one, two):
            host.ok("node", "engine", engine)
        for here, there in ((one, two), (two, one)):
            reach(here, there, seconds=SECONDS_MAX)
        figures.append(_live(one, two, engine))
    return figures


def _live(one: Host, two: Host, engine: str) -> Figure:
    watch = Stopwatch()
    with one.open() as here, two.open() as there:
        for note in list(_notes(STEADY_SAVES)):
            began = time.monotonic()
            watch.time(partial(_save_and_find, here, there, note))
            time.sleep(max(0.0, began + 1 / SAVES_PER_SECOND - time.monotonic()))
    spread = watch.spread()
    name = "device, hub, device" if engine == "embedded" else "spoke, hub, spoke"
    return Figure(
        f"save on A, findable on B: {name}",
        STEADY_SAVES,
        spread=spread,
        goals=(Goal("p50", spread.p50, 20), Goal("p99", spread.p99, 100)),
    )


def split(bench: Bench, *, seconds: float) -> list[Figure]:
    """Two hosts, each with its own zenohd, that are cut for so long while both save; from the cable's return on."""
    bench.tell("pairing")
    hub, spoke = bench.hosts("hub", "spoke")
    spoke.save("The first memory of this mesh.")
    add_hub(spoke, hub)
    make_spoke(spoke)
    settled(hub, spoke)
    for host in (hub, spoke):
        hubs.hold_all(hub, host)
    before = len(hubs.held(hub))
    spoke.unplug()
    began = time.monotonic()
    for host in (hub, spoke):
        host.save(*(f"{note.text} {host.name}" for note in _notes(EACH_SIDE)))
    _until(lambda: all(len(Storage(host).sealed()) >= before + EACH_SIDE for host in (hub, spoke)))
    bench.tell(f"apart, {EACH_SIDE} records each side")
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    wanted = before + 2 * EACH_SIDE
    _until(lambda: not _connections(spoke, hub))
    with opened(spoke, hub) as transport, both_hold(wanted, spoke, hub) as engines:
        spoke.plug()
        plugged = time.monotonic()
        _until(lambda: all(_records(host) >= wanted for host in (hub, spoke)))
        equal = time.monotonic()
        is_open, same_rocks = transport.seen(), engines.seen()
    settled(hub, spoke)
    what = f"split brain of {seconds:g} s, {EACH_SIDE} records each side"
    return [
        Figure(
            f"{what}: SQLite equal on both, after the transport opened",
            wanted,
            value=max(equal - is_open, 0.0),
            unit="s",
            goals=(Goal("", max(equal - is_open, 0.0), 3, "s"),),
            remark=f"Zenoh took {is_open - plugged:.1f} s to reconnect; kioku-mesh: about 5 s",
        ),
        Figure(
            f"{what}: RocksDB equal on both, after the transport opened",
            wanted,
            value=max(same_rocks - is_open, 0.0),
            unit="s",
            remark="ours and Zenoh's replication together; that alone was measured with 6.7 and 9.6 s",
        ),
    ]


def gap(bench: Bench) -> list[Figure]:
    """A spoke that was away while another device saved, and that is alone with the hub when it comes back."""
    hub, spoke, other = bench.hosts("hub", "spoke", "other")
    pair(other, spoke)
    add_hub(other, hub, blind=True)
    settled(other, spoke)
    make_spoke(spoke)
    reach(spoke, other)
    hubs.hold_all(other, hub, spoke)
    spoke.ok("node", "stop")
    with other.open() as memory:
        for note in _notes(GAP):
            memory.save(note)
    _until(lambda: len(Storage(hub).sealed()) >= _records(other))
    other.ok("node", "stop")
    bench.tell(f"{GAP} records on the hub, nobody else awake")
    with opened(spoke, hub) as transport:
        began = time.monotonic()
        spoke.ok("node", "start")
        _until(lambda: _records(spoke) >= _records(other))
        equal, is_open = time.monotonic(), transport.seen()
    settled(other, spoke)
    took = max(equal - is_open, 0.0)
    return [
        Figure(
            f"{GAP:,} records after a long gap, from a hub alone",
            GAP,
            value=took,
            unit="s",
            goals=(Goal("after the transport opened", took, 3, "s"),),
            remark=f"{is_open - began:.1f} s until the transport was open, the starts of node and zenohd included;"
            " kioku-mesh: 97 to 282 s",
        )
    ]


def large(bench: Bench, *, count: int) -> list[Figure]:
    """A blind hub with many records: what it takes, how fast it is back, what a full scan costs, and how an empty device
    is filled from it while everybody else is asleep.
    """
    one, empty, hub = bench.hosts("one", "empty", "hub")
    pair(one, empty)
    add_hub(one, hub, blind=True)
    settled(one, empty)
    hubs.hold_all(one, hub)
    empty.ok("node", "stop")
    notes = _notes(count)
    _load(bench, one, hub, islice(notes, min(SCANNED, count // 2)))
    figures = [_scan(one, hub)]
    bytes_each = _bytes(hub) / _records(one)
    _load(bench, one, hub, islice(notes, max(0, int(SCANNED_BYTES / bytes_each) - _records(one))))
    figures.append(_scan(one, hub))
    _load(bench, one, hub, notes)
    figures.append(_memory(hub))
    one.ok("node", "stop")
    figures += _restart(bench, hub, next(iter(hubs.held(one))))
    bench.tell("an empty device")
    wanted = _records(one)
    began = time.monotonic()
    empty.ok("node", "start")
    _until(lambda: _records(empty) >= wanted, every=0.1)
    took = time.monotonic() - began
    settled(one, empty)
    goals = (Goal("", took, 30, "s"),) if count >= RECORDS else ()
    figures.append(
        Figure(
            "an empty device refills from a hub, everyone else asleep",
            wanted,
            value=took,
            unit="s",
            goals=goals,
            remark="from `nokosu node start` on",
        )
    )
    return figures


def _load(bench: Bench, host: Host, hub: Host, notes: Iterator[Draft]) -> None:
    """Save these, and wait until the hub has them all."""
    with host.open() as memory:
        while some := list(islice(notes, 500)):
            memory.save_many(some)
    saved = time.monotonic()
    wanted, storage = _records(host), Storage(hub)
    _until(lambda: len(storage.sealed()) >= wanted, every=1.0)
    bench.tell(f"{wanted:,} records on the hub, {time.monotonic() - saved:.0f} s after the last save")


def _scan(host: Host, hub: Host) -> Figure:
    """All records asked of the hub, opened and searched for a word; and the same word asked of SQLite."""
    opens, storage = hubs.keyring(host), Storage(hub)
    word = next(_notes(1)).text.split()[4]
    with storage.session() as session:
        selector = f"{keys.space(storage.space)}/rec/**"
        began = time.monotonic()
        found = hubs.read(session, selector, storage.zid)
        asked = time.monotonic() - began
        hits = sum(_mentions(opens.open(name, sealed), word.encode()) for name, sealed in found.items())
        took = time.monotonic() - began
    watch = Stopwatch()
    with host.open() as memory:
        memory.search(Query(text=word))
        for _ in range(SEARCHES):
            watch.time(partial(memory.search, Query(text=word)))
    search = watch.spread().p50 / 1000
    size = sum(map(len, found.values())) / 1e6
    return Figure(
        f"full scan over Zenoh, {size:.0f} MB: asked, opened and looked through",
        len(found),
        value=took,
        unit="s",
        floor_value=search,
        floor_name="the same word searched for in SQLite",
        remark=f"{asked:.2f} s of it asking; {hits} hits; kioku-mesh: 2.2 s at 16k, time-out at 36 MB",
    )


def _bytes(hub: Host) -> int:
    return sum(map(len, Storage(hub).sealed().values()))


def _mentions(plain: bytes, word: bytes) -> bool:
    return word in (seal.unpack(plain).body or b"")


def _memory(hub: Host) -> Figure:
    resident, node = (resident_mib(pid) * _MIB / 1e6 for pid in (hubs.pid_of(hub), hub.node_pid()))
    count = len(Storage(hub).sealed())
    disk = sum(path.stat().st_size for root in Storage(hub).databases() for path in root.rglob("*") if path.is_file())
    goals = (Goal("", resident, 150, "MB"),) if count >= RECORDS else ()
    return Figure(
        "hub: memory of zenohd",
        count,
        value=resident,
        unit="MB",
        goals=goals,
        remark=f"{node:.0f} MB its node; {disk / 1e6:.0f} MB on disk; bare, with records of 700 bytes: 83 MB",
    )


def _restart(bench: Bench, hub: Host, name: str) -> list[Figure]:
    """From the start of zenohd until it answers for a record that it kept; bare, and by our command."""
    storage, goal = Storage(hub), 1.0
    hub.ok("hub", "stop")
    command = hub.command(str(bench.engine.zenohd), "-c", str(storage.folder / "zenohd.json"))
    Path(storage.socket).unlink(missing_ok=True)
    began = time.monotonic()
    with subprocess.Popen(command, env=environment(storage.folder), stderr=subprocess.DEVNULL) as bare:
        _until(lambda: _answers(storage, name))
        took = time.monotonic() - began
        bare.kill()
    for path in (Path(storage.socket), Path(f"{storage.socket}.lock")):
        path.unlink(missing_ok=True)
    began = time.monotonic()
    hub.ok("hub", "start")
    _until(lambda: _answers(storage, name))
    by_command = time.monotonic() - began
    count = len(storage.sealed())
    return [
        Figure(
            "hub: zenohd's restart to serving",
            count,
            value=took,
            unit="s",
            goals=(Goal("", took, goal, "s"),),
            remark="bare, with records of 700 bytes: 0.3 s",
        ),
        Figure("hub: `nokosu hub start` to serving", count, value=by_command, unit="s"),
    ]


def _answers(storage: Storage, name: str) -> bool:
    with suppress(zenoh.ZError), storage.session() as session:
        return bool(hubs.read(session, name, storage.zid))
    return False


# Watching -------------------------------------------------------------------------------------------------------------


class Moment:
    """When something was first so."""

    def __init__(self) -> None:
        self._was = Event()
        self._at = 0.0

    def note(self) -> None:
        if not self._was.is_set():
            self._at = time.monotonic()
            self._was.set()

    @property
    def has_come(self) -> bool:
        return self._was.is_set()

    def seen(self) -> float:
        if not self._was.wait(SECONDS_MAX):
            raise TimeoutError(f"not within {SECONDS_MAX:g} s")
        return self._at


@contextmanager
def opened(host: Host, other: Host) -> Iterator[Moment]:
    """When the zenohd of *host* has a connection with that of *other*; now it has none."""
    moment, over = Moment(), Event()

    def watch() -> None:
        while not over.wait(0.005):
            if _connections(host, other):
                moment.note()
                return

    with _thread(watch, over):
        yield moment


def _connections(host: Host, other: Host) -> list[str]:
    found = sockets.of_process(hubs.pid_of(host)).connected
    return [there for _, there in found if there.startswith(f"{other.address}:")]


@contextmanager
def both_hold(count: int, *hosts: Host) -> Iterator[Moment]:
    """When the RocksDB of each host holds so many records."""
    moment, over = Moment(), Event()

    def watch() -> None:
        with ExitStack() as until_the_end:
            asked = [(Storage(host), until_the_end.enter_context(Storage(host).session())) for host in hosts]
            while not moment.has_come and not over.wait(0.1):
                found = [hubs.read(one, f"{keys.space(storage.space)}/rec/**", storage.zid) for storage, one in asked]
                if all(len(records) >= count for records in found):
                    moment.note()

    with _thread(watch, over):
        yield moment


@contextmanager
def _thread(work: Callable[[], None], over: Event) -> Iterator[None]:
    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _records(home: Home) -> int:
    return int(home.rows("SELECT count(*) FROM record JOIN log ON log.n = record.log JOIN space ON space.n = log.space"
                         " WHERE space.name = 'personal'")[0][0])  # fmt: skip


def _save_and_find(here: Nokosu, there: Nokosu, note: Draft) -> None:
    word = f"needle{time.time_ns()}"
    here.save(Draft(text=f"{note.text}\n{word}"))
    while not there.search(Query(text=word)).hits:
        time.sleep(0.001)


def _until(holds: Callable[[], object], every: float = 0.02) -> None:
    eventually(holds, SECONDS_MAX, every)


def _notes(count: int) -> Iterator[Draft]:
    return (note.draft() for note in Corpus().notes(count))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="parts: live split30 split120 gap large")
    parser.add_argument("--records", type=int, default=RECORDS, help="records of the part `large`")
    parser.add_argument(
        "--apart", type=float, nargs="*", default=APART_SECONDS, help="seconds of the parts `split`", metavar="SECONDS"
    )
    parser.add_argument("--folder", type=Path, help="where the homes are made: a real disk")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="docs/benchmarks.md: its part on the engine is written anew")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
