"""The roster's fold: the founder and the `admit`, `revoke` and `rekey` records of a space in, who counts there out; and its
`hub` records in, the hubs out. Pure.

The same set of records gives the same roster in whatever order they came:

1. *Ever* admitted is whom the founder admitted, and whom these admitted, and so on, whatever was revoked since. They pass
   the door: their records are stored, on every device alike.
2. Every `revoke` by one of them stands, a revoked one's too: of two who revoke one another, both are out. Nobody comes
   back under the same key.
3. An `admit` or `rekey` has effect if it counts, and its author was admitted by one that has effect.
4. A record of a revoked device counts if it lies, by the chain of hashes, at or below an end in every cut set against that
   device. What is not chained to the cut yet does not count yet. So neither a wrong number nor a wrong time, which a thief
   may write as it likes, brings a later record below the cut. Only where an `admit` or `rekey` of a revoked device may
   still turn out to lie below, because the chain to the cut is not complete here, it keeps its effect until then: else all
   whom that device ever admitted were out, this one among them, with nobody left to complete the chain with.

Idea: "strong removal" of Keyhive (Ink & Switch, 2025), with the cut that design.md sets beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from nokosu import limits, records
from nokosu.records import Admission, Cut, Hub, Record, Rekeying, Revocation, RosterContent

Below = Callable[[bytes, tuple[Cut, ...]], frozenset[bytes]]
"""Gives the header hashes of a device's records that are held in a chain at or below one of some ends."""

OpenEnds = Callable[[bytes, tuple[Cut, ...]], tuple[Cut, ...]]
"""Gives those of some ends of a device's logs from which the chain to record 1 is not held yet."""

NOTHING: Final[frozenset[bytes]] = frozenset()


def none_open(_device: bytes, _cut: tuple[Cut, ...]) -> tuple[Cut, ...]:
    """Every chain to a cut is held."""
    return ()


class Standing(Struct, frozen=True, kw_only=True):
    """What the roster says of one device that was ever admitted.

    `counts` holds the header hashes of those of its records that count, None where all do; `ends` those that the cuts
    against it name. `named` is the hybrid time of
    the `admit` that gave the name, `admitted_ms` the wall time of the first; both are 0 without one.
    """

    public_key: bytes
    box_key: bytes | None
    name: str
    named: int
    admitted_ms: int
    revoked: bool
    counts: frozenset[bytes] | None
    ends: frozenset[bytes]


class Roster(Struct, frozen=True):
    """Everyone who was ever admitted, by device id, and the `rekey` records that have effect, the current one first."""

    devices: dict[bytes, Standing]
    rekeys: tuple[Record, ...]


_T = TypeVar("_T", Admission, Revocation, Rekeying, Hub)
_Said = tuple[Record, _T]


def fold(founder: bytes, found: Iterable[Record], below: Below, open_ends: OpenEnds = none_open) -> Roster:
    """The roster of the space that the device with the public key *founder* made; *found* are its roster records."""
    said = [(record, content) for record in found if (content := record.roster()) is not None]
    first = records.device_id(founder)
    admissions = _of(said, Admission)
    ever = _closure(first, admissions)
    cuts = _cuts(_of(said, Revocation), ever)
    within = {device: _within(device, sets, below) for device, sets in cuts.items()}
    above = {device: [open_ends(device, cut) for cut in sets] for device, sets in cuts.items()}

    def has_effect(record: Record) -> bool:
        return _counts(record, within) or _may_count(record, above.get(record.core.device, ()))

    effective = [(record, content) for record, content in admissions if has_effect(record)]
    proper = _closure(first, effective)
    words = _by_admitted(admissions, ever) | _by_admitted(effective, proper)
    devices = {}
    for device in sorted(ever):
        devices[device] = _standing(
            words.get(device, ()),
            device=device,
            founder=founder,
            counts=within.get(device) if device in proper else NOTHING,
            ends=frozenset(end.hash for cut in cuts.get(device, ()) for end in cut),
        )
    rekeys = [
        (record, content)
        for record, content in _of(said, Rekeying)
        if record.core.device in proper and has_effect(record)
    ]
    return Roster(devices, _chained(rekeys))


def hubs(counted: Iterable[Record]) -> tuple[Hub, ...]:
    """The hubs that some records name, retired ones too, by name: of those that count, the latest word about each holds."""
    latest: dict[str, _Said[Hub]] = {}
    for record in counted:
        content = record.roster()
        if isinstance(content, Hub):
            said = (record, content)
            latest[content.zid] = max(latest.get(content.zid, said), said, key=_time)
    found = (msgspec.structs.replace(hub, name=clean_name(hub.name)) for _, hub in latest.values())
    return tuple(sorted(found, key=lambda hub: (hub.name, hub.zid)))


def clean_name(name: str) -> str:
    """A device's name as one short line, whatever a peer says it is."""
    kept = "".join(character if character.isprintable() else " " for character in name)
    return re.sub(r"\s+", " ", kept).strip()[: limits.DEVICE_NAME_CHARS_MAX]


def _of(said: Iterable[tuple[Record, RosterContent]], kind: type[_T]) -> list[_Said[_T]]:
    return [(record, content) for record, content in said if isinstance(content, kind)]


def _closure(first: bytes, admissions: Iterable[_Said[Admission]]) -> set[bytes]:
    """*first*, whom it admitted, whom these admitted, and so on."""
    by_author: dict[bytes, list[bytes]] = {}
    for record, content in admissions:
        by_author.setdefault(record.core.device, []).append(records.device_id(content.key))
    reached, waiting = {first}, [first]
    while waiting:
        for device in by_author.get(waiting.pop(), ()):
            if device not in reached:
                reached.add(device)
                waiting.append(device)
    return reached


def _cuts(revocations: Iterable[_Said[Revocation]], ever: set[bytes]) -> dict[bytes, list[tuple[Cut, ...]]]:
    """The sets of ends that stand against each revoked device."""
    found: dict[bytes, dict[tuple[Cut, ...], None]] = {}
    for record, content in revocations:
        if record.core.device in ever and content.device in ever:
            found.setdefault(content.device, {})[content.cut] = None
    return {device: list(cuts) for device, cuts in found.items()}


def _within(device: bytes, cuts: Sequence[tuple[Cut, ...]], below: Below) -> frozenset[bytes]:
    kept = below(device, cuts[0])
    for cut in cuts[1:]:
        kept = kept & below(device, cut) if kept else NOTHING
    return kept


def _counts(record: Record, within: Mapping[bytes, frozenset[bytes]]) -> bool:
    kept = within.get(record.core.device)
    return kept is None or record.hash in kept


def _may_count(record: Record, above: Iterable[tuple[Cut, ...]]) -> bool:
    """Whether each set of ends has one that this record may lie below, as far as its number tells; the chain will tell."""
    place = record.place
    return all(any(end.log == place.log and place.seq <= end.seq for end in ends) for ends in above)


def _by_admitted(admissions: Iterable[_Said[Admission]], authors: set[bytes]) -> dict[bytes, list[_Said[Admission]]]:
    """What some devices said of each device, the earliest first."""
    found: dict[bytes, list[_Said[Admission]]] = {}
    for record, content in sorted(admissions, key=_time):
        if record.core.device in authors:
            found.setdefault(records.device_id(content.key), []).append((record, content))
    return found


def _standing(
    words: Sequence[_Said[Admission]],
    *,
    device: bytes,
    founder: bytes,
    counts: frozenset[bytes] | None,
    ends: frozenset[bytes],
) -> Standing:
    """The name is the one given last. The box key is the device's own word where there is one: were it anyone's, a member
    could have the next secret sealed to a key of its own, in another's name.
    """
    own = [word for word in words if word[0].core.device == device]
    record, latest = words[-1] if words else (None, None)
    return Standing(
        public_key=latest.key if latest is not None else founder,
        box_key=(own or words)[-1][1].box if words else None,
        name=clean_name(latest.name) if latest is not None else "",
        named=record.core.hlc if record is not None else 0,
        admitted_ms=words[0][0].core.wall if words else 0,
        revoked=counts is not None,
        counts=counts,
        ends=ends,
    )


def _chained(rekeys: Iterable[_Said[Rekeying]]) -> tuple[Record, ...]:
    """Those whose epoch follows that of the secret they name, the greatest (epoch, time, id) first.

    So nobody can jump ahead to an epoch that the next `rekey` could not exceed.
    """
    known: set[tuple[int, bytes]] = set()
    chained: dict[bytes, _Said[Rekeying]] = {}
    for record, content in sorted(rekeys, key=lambda one: one[1].epoch):
        if content.epoch == 1 or (content.epoch - 1, content.previous) in known:
            known.add((content.epoch, content.key_id))
            chained[record.id] = (record, content)
    ordered = sorted(chained.values(), key=lambda one: (one[1].epoch, *_time(one)), reverse=True)
    return tuple(record for record, _ in ordered)


def _time(one: tuple[Record, object]) -> tuple[int, bytes]:
    return (one[0].core.hlc, one[0].id)
