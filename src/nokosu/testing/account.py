"""What people were told on the hosts of a mesh, and whether the stores keep to it.

`Account` is written by a `Story` as it goes on, and knows nothing of the exchange: it compares what was acknowledged with
what the hosts hold and show in the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from nokosu import records
from nokosu.fold import Status
from nokosu.memory import Problem
from nokosu.store.verify import verify
from nokosu.testing.host import Host

GONE: Final = (Status.FORGOTTEN, Status.PURGED)

Shown = dict[str, tuple[Any, ...]]
"""What a host shows of each memory: status, text, and all the rest."""


class Acknowledged(Struct, frozen=True):
    """A record that somebody was told is saved."""

    host: str
    device: bytes
    memory: str
    kind: str
    log: bytes
    seq: int


class Account:
    """What was said and done, by the hashes of the headers and the ids of the memories."""

    def __init__(self) -> None:
        self.acknowledged: dict[bytes, Acknowledged] = {}
        self.texts: dict[str, set[str]] = defaultdict(set)  # what somebody tried to make each memory say
        self.restored: set[str] = set()  # memories that somebody tried to restore
        self.excused: set[bytes] = set()  # records that a disk put back, or a revoked device, took with it
        self.revoked: bytes | None = None
        self.beyond_cut: set[bytes] = set()  # what the revoked device wrote after all that the revoker had seen
        self.set_back: set[bytes] = set()  # devices whose disk went back in time
        self._forgotten: dict[int, set[str]] = defaultdict(set)

    def note(self, host: Host, memory: str, kind: str) -> None:
        """The last record of *host* is saved: somebody was told so."""
        row = host.database.row(
            "SELECT hash, log.id, seq FROM record JOIN log ON log.n = record.log ORDER BY record.n DESC LIMIT 1"
        )
        assert row is not None
        self.acknowledged[row[0]] = Acknowledged(host.name, host.device, memory, kind, row[1], row[2])

    def revoke(self, by: Host, device: bytes) -> None:
        """A device is revoked by a host, which has records of it up to certain numbers: what it wrote after them must
        count nowhere.
        """
        reached: dict[bytes, int] = dict(
            by.database.rows("SELECT log.id, max(seq) FROM record JOIN log ON log.n = record.log GROUP BY 1")
        )
        self.revoked = device
        self.beyond_cut = {
            hash
            for hash, one in self.acknowledged.items()
            if one.device == device and one.seq > reached.get(one.log, 0)
        }

    def forget_what_was_seen(self, host: Host) -> None:
        """The disk of a host went back in time."""
        self._forgotten[host.number].clear()

    def watch(self, host: Host) -> str | None:
        """What is wrong if a host shows a memory again that it has shown as forgotten, and nobody tried to restore."""
        rows = host.database.rows("SELECT id, status FROM memory WHERE space = ?", (host.space.n,))
        states: dict[str, int] = dict(rows)
        seen = self._forgotten[host.number]
        back = [memory for memory in seen - self.restored if states.get(memory) == Status.LIVE]
        seen |= {memory for memory, status in states.items() if status in GONE}
        if back and self.revoked is None:  # what a revoked device forgot beyond its cut comes back, as it should
            return f"{host.name} shows {back[0]} again, which it had forgotten"
        return None

    def problems(self, hosts: list[Host], *, verified: Iterable[Host]) -> list[str]:
        """What does not hold on *hosts*, which ought to be equal; those *verified* are checked to the last byte."""
        first = hosts[0]
        shown = visible(first)
        found = [problem for host in hosts[1:] for problem in _differences(first, shown, host)]
        found += self._lost(first)
        found += self._phantoms(shown)
        found += self._returned(shown)
        for host in verified:
            wrong = [
                problem for problem in verify(host.database).problems if not self._is_gap_of_its_own(host, problem)
            ]
            found += [f"{host.name}: verify says {problem}" for problem in wrong[:3]]
        return found

    def _lost(self, host: Host) -> list[str]:
        here = held(host)
        return [
            f"the {one.kind} of {one.memory} that was acknowledged on {one.host} is lost"
            for hash, one in self.acknowledged.items()
            if hash not in here
            and hash not in self.excused
            and hash not in self.beyond_cut
            and one.device != self.revoked
        ]

    def _phantoms(self, shown: Shown) -> list[str]:
        found = [f"{memory} is there, and nobody saved it" for memory in shown.keys() - self.texts.keys()]
        for memory, (status, text, *_) in shown.items():
            if text is not None and text not in self.texts[memory]:
                found.append(f"{memory} says what nobody wrote")
            if status == Status.DAMAGED:
                found.append(f"{memory} is damaged")
        return found

    def _returned(self, shown: Shown) -> list[str]:
        found = []
        for hash, one in self.acknowledged.items():
            if hash in self.excused or one.device == self.revoked:
                continue
            status = shown[one.memory][0] if one.memory in shown else None
            if one.kind in ("forget", "purge") and one.memory not in self.restored and status not in GONE:
                found.append(f"{one.memory} was forgotten or purged, never restored, and is {status}")
            if one.kind == "purge" and status != Status.PURGED and not self.is_torn and not self._has_others(one):
                found.append(f"{one.memory} was purged, and is {status}")
        found += [
            f"{memory} shows what a revoked device wrote beyond its cut"
            for memory, (_, _, hash, *_) in shown.items()
            if hash in self.beyond_cut
        ]
        return found

    def _has_others(self, purge: Acknowledged) -> bool:
        """Whether another device wrote in a memory as well: if the purge did not know of that, it is hidden, and kept."""
        return any(
            one.memory == purge.memory and one.device != purge.device and one.kind not in ("forget", "purge")
            for one in self.acknowledged.values()
        )

    @property
    def is_torn(self) -> bool:
        """Whether records may be missing for good, or count no more: what others made of those is not erased at once."""
        return bool(self.set_back) or self.revoked is not None

    def _is_gap_of_its_own(self, host: Host, problem: Problem) -> bool:
        """A device whose disk went back says so, where nobody has what it wrote in between."""
        return host.device in self.set_back and "missing" in problem.what


def held(host: Host) -> set[bytes]:
    """The hashes of all records of the space that a host holds."""
    rows = host.database.rows(
        "SELECT hash FROM record JOIN log ON log.n = record.log WHERE log.space = ?", (host.space.n,)
    )
    return {hash for (hash,) in rows}


def visible(host: Host) -> Shown:
    """What the memories of the space show."""
    found: Shown = {}
    for id, status, hash, body, created, *rest in host.database.rows(
        "SELECT memory.id, status, hash, CAST(body AS BLOB), created, type, agent, importance, conflict, updated, hlc, expires, "
        "forgotten FROM memory LEFT JOIN record ON record.n = memory.record WHERE memory.space = ?",
        (host.space.n,),
    ):
        if status == Status.UNKNOWN and created is None:
            continue  # nothing that counts says anything of it: nobody ever sees it
        text = records.read_content(body).text if body is not None else None
        found[id] = (Status(status), text, hash, created, *rest)
    edges = host.database.rows("SELECT older, newer FROM edge WHERE space = ? ORDER BY 1, 2", (host.space.n,))
    for older, newer in edges:
        if older in found:
            found[older] = (*found[older], newer)
    return found


def _differences(first: Host, shown: Shown, host: Host) -> list[str]:
    found = []
    if held(host) != held(first):
        found.append(f"{host.name} holds other records than {first.name}")
    there = visible(host)
    different = sorted(memory for memory in shown.keys() | there.keys() if shown.get(memory) != there.get(memory))
    return found + [
        f"{host.name} shows {memory} as {there.get(memory)}, {first.name} as {shown.get(memory)}"
        for memory in different[:2]
    ]
