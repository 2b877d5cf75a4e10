"""`python -m bench.mesh`: two and five devices on loopback, with real nodes, and what the mesh costs.

Devices are homes in one folder, paired as a person would, with `nokosu invite` and `nokosu join`; their nodes are real
processes. Saves go through the Python door in this process, in turn with a bare insert of as many bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench import machine, report
from bench.corpus import Corpus
from bench.figures import Figure, Goal
from bench.measuring import Stopwatch
from bench.processes import NOKOSU, environment
from nokosu import Draft, Nokosu, Query
from nokosu.store.connection import Database

SAVES_PER_SECOND = 10
STEADY_SAVES = 150
BURST = 5_000
GAP = 1_192
EMPTY_JOINS = 50_000
IDLE_SECONDS = 60.0
SECONDS_MAX = 300.0


class Device:
    """One device: a home, and the commands typed there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.home = folder / name
        self.home.mkdir(mode=0o700)
        (self.home / "config.toml").write_text(f'device_name = "{name}"\n')
        self.environ = {**environment(self.home), "XDG_RUNTIME_DIR": str(self.home)}

    def run(self, *words: str, seconds: float = SECONDS_MAX) -> str:
        """Run a command, which has to succeed; its stdout."""
        done = subprocess.run(
            [*NOKOSU, *words],
            env=self.environ,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"nokosu {' '.join(words)} on {self.name}: {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout

    def open(self) -> Nokosu:
        return Nokosu.open(self.home, agent="bench")

    def node(self) -> dict[str, Any]:
        """What `nokosu node status --json` says."""
        found: dict[str, Any] = json.loads(self.run("node", "status", "--json"))
        return found

    @property
    def pid(self) -> int:
        return int(self.node()["pid"])

    def records(self) -> int:
        with self.open() as memory:
            return memory.status().records


def main() -> int:
    """Measure, print, and write what was asked for."""
    options = _options()
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", file=sys.stderr, flush=True)

    parts: dict[str, Callable[[Path], list[Figure]]] = {
        "live": live,
        "burst": burst,
        "gap": gap,
        "empty": lambda folder: empty(folder, options.empty),
        "saving": saving,
        "cost2": lambda folder: cost(folder, 2),
        "cost5": lambda folder: cost(folder, 5),
    }
    figures: list[Figure] = []
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="nokosu-bench-", dir=options.folder) as named:
        for name, part in parts.items():
            if not options.only or name in options.only:
                tell(name)
                folder = Path(named) / name
                folder.mkdir()
                figures += part(folder)
        described = machine.describe(Path(named), before, machine.load())
    print(report.as_text(figures))
    print(report.verdicts(figures))
    if options.json:
        options.json.write_text(report.as_json(figures, described, "make bench-mesh"))
    if options.markdown:
        report.write_part(options.markdown, report.as_mesh_part(figures, described))
    tell("done")
    return 0


def live(folder: Path) -> list[Figure]:
    """From the beginning of a save on one device until a search on the other one finds it."""
    watch = Stopwatch()
    with mesh(folder, 2) as (one, two), one.open() as here, two.open() as there:
        for note in list(_notes(STEADY_SAVES)):
            began = time.monotonic()
            watch.time(partial(_save_and_find, here, there, note))
            _wait_until(began + 1 / SAVES_PER_SECOND)
    spread = watch.spread()
    goals = (Goal("p50", spread.p50, 15), Goal("p99", spread.p99, 80))
    return [Figure("save on A, findable on B, 10 saves/s", STEADY_SAVES, spread=spread, goals=goals)]


def burst(folder: Path) -> list[Figure]:
    """5,000 saves, one after the other, until the other device has them all."""
    with mesh(folder, 2) as (one, two), one.open() as here:
        notes = list(_notes(BURST))
        began = time.monotonic()
        for note in notes:
            here.save(note)
        saved = time.monotonic() - began
        wanted = one.records()
        _until(lambda: two.records() >= wanted)
        took = time.monotonic() - began
        lost = wanted - two.records()
    return [
        Figure(
            f"{BURST:,} saves on A, all on B",
            BURST,
            value=took,
            unit="s",
            floor_value=saved,
            floor_name="the saves themselves",
            goals=(Goal("", took, 10, "s"), Goal("lost", lost, 0, "")),
        )
    ]


def gap(folder: Path) -> list[Figure]:
    """A device that was away while the other one saved: from its node's start to equal vectors."""
    with mesh(folder, 2) as (one, two):
        two.run("node", "stop")
        with one.open() as here:
            for note in _notes(GAP):
                here.save(note)
        began = time.monotonic()
        two.run("node", "start")
        opened = _until(lambda: _reachable(two))
        two.run("sync", "--wait", "60")
        took = time.monotonic() - began
    return [
        Figure(
            f"back after a gap of {GAP:,} records, equal vectors",
            GAP,
            value=took - (opened - began),
            unit="s",
            goals=(Goal("after the transport opened", took - (opened - began), 2, "s"),),
            remark=f"{opened - began:.1f} s until the transport was open, the node's start included",
        )
    ]


def empty(folder: Path, count: int) -> list[Figure]:
    """A new device is paired with one that holds many records."""
    one, two = Device(folder, "one"), Device(folder, "two")
    with one.open() as here:
        notes = list(_notes(count))
        for at in range(0, count, 500):
            here.save_many(notes[at : at + 500])
    try:
        began = time.monotonic()
        _pair(one, two)
        wanted = one.records()
        _until(lambda: two.records() >= wanted)
        took = time.monotonic() - began
    finally:
        _stop([one, two])
    goals = (Goal("", took, 30, "s"),) if count == EMPTY_JOINS else ()
    return [Figure(f"an empty device joins {count:,} records", count, value=took, unit="s", goals=goals)]


def saving(folder: Path) -> list[Figure]:
    """Saves and searches beside a node that is alive, dead and frozen, and without any mesh."""
    watches: dict[str, tuple[Stopwatch, Stopwatch]] = {}
    alone = Device(folder, "alone")
    watches["no mesh"] = _save_and_search(alone)
    with mesh(folder, 2) as (one, two):
        watches["node alive"] = _save_and_search(one)
        os.kill(two.pid, signal.SIGSTOP)
        watches["peer frozen"] = _save_and_search(one)
        stopped = one.pid
        os.kill(stopped, signal.SIGSTOP)
        watches["node frozen"] = _save_and_search(one)
        os.kill(stopped, signal.SIGKILL)
        watches["node dead"] = _save_and_search(one)
    figures = []
    for at, what in enumerate(("save", "search")):
        floor = watches["no mesh"][at].spread()
        for state, pair in watches.items():
            spread = pair[at].spread()
            ratio = Goal("p99 / no mesh", spread.p99 / floor.p99, 1.5, "", spread.cpu_p99 / floor.cpu_p99)
            figures.append(
                Figure(
                    f"{what}, {state}",
                    spread.count,
                    spread=spread,
                    floor=floor,
                    floor_name="the same without a mesh",
                    goals=(ratio,) if state != "no mesh" else (),
                )
            )
    return figures


def cost(folder: Path, count: int) -> list[Figure]:
    """What the nodes of a mesh of so many devices cost: memory, idle CPU time, bytes on the wire."""
    saves = 500
    with mesh(folder, count) as devices:
        idle = _idle_percent(devices)
        nodes = [device.pid for device in devices]
        before = {pid: _received(pid) for pid in nodes}
        wanted, size = _saved_bytes(devices[0], saves)
        _until(lambda: all(device.records() >= wanted for device in devices))
        for device in devices:
            device.run("sync", "--wait", "30")
        wire = max(_received(pid) - before[pid] for pid in nodes[1:]) / size
        resident = max(_resident_mib(pid) for pid in nodes)
    return [
        Figure(
            f"node: memory, {count} devices", None, value=resident, unit="MiB", goals=(Goal("", resident, 90, "MiB"),)
        ),
        Figure(f"node: idle CPU, {count} devices", None, value=idle, unit="%", goals=(Goal("", idle, 0.5, "%"),)),
        Figure(
            f"wire bytes per record byte, {count} devices",
            saves,
            value=wire,
            unit="×",
            goals=(Goal("", wire, 2, "×"),),
            remark=f"records of {size // saves} bytes, announcements included, at the device that received most",
        ),
    ]


@contextmanager
def mesh(folder: Path, count: int) -> Iterator[list[Device]]:
    """So many paired devices, nodes running and vectors equal."""
    devices = [Device(folder, f"device{at + 1}") for at in range(count)]
    try:
        with devices[0].open() as first:
            first.save(Draft(text="the first memory of this mesh"))
        for joiner in devices[1:]:
            _pair(devices[0], joiner)
        for device in devices:
            _until(partial(_peers, device))
            device.run("sync", "--wait", "60")
        yield devices
    finally:
        _stop(devices)


def _pair(inviter: Device, joiner: Device) -> None:
    command = [*NOKOSU, "invite", "--listen", "127.0.0.1"]
    with subprocess.Popen(command, env=inviter.environ, cwd=inviter.home, stdout=subprocess.PIPE, text=True) as invite:
        assert invite.stdout is not None
        found = next(filter(None, (re.search(r"nokosu join (\S+) (\S+)", line) for line in invite.stdout)))
        joiner.run("join", found[1], found[2], "--yes")
        invite.stdout.read()
    if invite.returncode:
        raise RuntimeError(f"nokosu invite ended with {invite.returncode}")


def _stop(devices: Sequence[Device]) -> None:
    for device in devices:
        subprocess.run(["pkill", "-CONT", "-f", str(device.home)], check=False)
        subprocess.run([*NOKOSU, "node", "stop"], env=device.environ, capture_output=True, check=False)


def _peers(device: Device) -> list[dict[str, Any]]:
    return [peer for space in device.node().get("spaces", []) for peer in space.get("peers", []) if peer["reachable"]]


def _reachable(device: Device) -> float:
    return time.monotonic() if _peers(device) else 0.0


def _save_and_find(here: Nokosu, there: Nokosu, note: Draft) -> None:
    word = f"needle{time.time_ns()}"
    here.save(Draft(text=f"{note.text}\n{word}"))
    while not there.search(Query(text=word)).hits:
        time.sleep(0.001)


def _save_and_search(device: Device) -> tuple[Stopwatch, Stopwatch]:
    saves, searches = Stopwatch(), Stopwatch()
    with device.open() as memory:
        for note in list(_notes(400)):
            saves.time(partial(memory.save, Draft(text=f"{note.text} {time.time_ns()}")))
            searches.time(partial(memory.search, Query(text=" ".join(note.text.split()[3:5]))))
    return saves, searches


def _saved_bytes(device: Device, count: int) -> tuple[int, int]:
    """Save so many memories, ten in a second at least; how many records there are now, and the bytes of the new ones."""
    sizes = "SELECT coalesce(sum(length(header) + length(signature) + length(body)), 0) FROM record"
    before = _sum(device, sizes)
    with device.open() as memory:
        for note in list(_notes(count)):
            began = time.monotonic()
            memory.save(Draft(text=f"{note.text} {time.time_ns()}"))
            _wait_until(began + 0.02)
    return device.records(), _sum(device, sizes) - before


def _sum(device: Device, sql: str) -> int:
    database = Database(device.home / "nokosu.db")
    try:
        return int(database.rows(sql)[0][0])
    finally:
        database.close()


def _idle_percent(devices: Sequence[Device]) -> float:
    """CPU time of the busiest node while nothing happens, in percent of a core."""
    time.sleep(5)
    pids = [device.pid for device in devices]
    before = [_cpu_seconds(pid) for pid in pids]
    time.sleep(IDLE_SECONDS)
    return max(_cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)) / IDLE_SECONDS * 100


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _received(pid: int) -> int:
    """Bytes that the process has received on its TCP connections."""
    said = subprocess.run(["ss", "-tinpHO"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if f"pid={pid}," in line]
    return sum(int(found) for line in lines for found in re.findall(r"bytes_received:(\d+)", line))


def _notes(count: int) -> Iterator[Draft]:
    return (note.draft() for note in Corpus().notes(count))


def _until(holds: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS_MAX
    while not (found := holds()):
        if time.monotonic() > until:
            raise TimeoutError(f"not within {SECONDS_MAX:g} s")
        time.sleep(0.02)
    return found


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.mesh", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="parts: live burst gap empty saving cost2 cost5")
    parser.add_argument("--empty", type=int, default=EMPTY_JOINS, help="records that an empty device joins")
    parser.add_argument("--folder", type=Path, help="where the homes are made")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="docs/benchmarks.md: its part on the mesh is written anew")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
