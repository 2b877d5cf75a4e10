"""What is known of another node, for people and for whoever waits until all hold the same."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from nokosu.mesh import vectors
from nokosu.mesh.reconcile import Peer
from nokosu.store import vectors as store_vectors
from nokosu.store.log import Head


class PeerState(Struct, frozen=True, kw_only=True):
    """What is known of one node of another device (or of a copy of this one).

    `equal`: its heads are ours, hash for hash. `missing` is how many records we lack of what it holds, `behind` how many
    of ours it lacks, both as its last announcement tells; `left_at` is the monotonic second at which it went, if it did;
    `clock_offset_ms` is its clock minus ours.
    """

    device: bytes
    node: str
    name: str
    version: str
    reachable: bool
    left_at: float | None
    equal: bool
    missing: int
    behind: int
    clock_offset_ms: int | None
    seen_ms: int | None
    addresses: tuple[str, ...]
    pending: tuple[str, ...]
    refused: int


def state_of(
    peer: Peer, ours: Sequence[Head], holds: store_vectors.Holds, now: float, *, seen_ms: int | None, refused: int
) -> PeerState:
    """What is known of a peer, *ours* being our heads; *refused* is how many records of it were."""
    said = peer.heard
    theirs = said.heads if said is not None else ()
    lacks = vectors.missing(ours, theirs, holds)
    return PeerState(
        device=peer.device,
        node=peer.node,
        name=said.name if said is not None else "",
        version=said.version if said is not None else "",
        reachable=peer.is_reachable(now),
        left_at=None if peer.is_here else peer.left_at,
        equal=said is not None and set(theirs) == set(ours),
        missing=sum(lack.records for lack in lacks),
        behind=store_vectors.behind(ours, theirs, holds) if said is not None else 0,
        clock_offset_ms=peer.clock_offset_ms,
        seen_ms=seen_ms,
        addresses=said.addresses if said is not None else (),
        pending=said.pending if said is not None else (),
        refused=refused,
    )
