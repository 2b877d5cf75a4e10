"""Which secrets are shown and trusted in TLS while a new one is on its way to all devices."""

from __future__ import annotations

import pytest

from nokosu import times
from nokosu.mesh import trust
from nokosu.mesh.trust import Trust, Truster
from nokosu.store import membership, roster
from nokosu.store.roster import Secret
from nokosu.testing import ManualClock, Peer, SeededRandom, Store
from tests.announcing import announce


@pytest.fixture
def desk(store: Store, clock: ManualClock) -> Peer:
    return _peer(store, clock, "desk", 2)


@pytest.fixture
def nas(store: Store, clock: ManualClock) -> Peer:
    return _peer(store, clock, "nas", 3)


def _peer(store: Store, clock: ManualClock, name: str, seed: int) -> Peer:
    made = Peer(store.personal.id, wall_clock=clock, random=SeededRandom(seed), name=name)
    store.admit(made)
    return made


def rekey(store: Store, seed: int) -> None:
    space = store.personal
    with store.database.write() as connection:
        membership.rekey(store.log, connection, space, SeededRandom(seed))


def secrets(store: Store) -> list[Secret]:
    space = store.personal
    with store.database.reading() as connection:
        return roster.secrets(connection, space)


def needed(store: Store, clock: ManualClock) -> Trust:
    space = store.personal
    with store.database.reading() as connection:
        return trust.needed(connection, space, clock())


def told(store: Store, *peers: Peer) -> None:
    for peer in peers:
        announce(store.database, peer, store.log.vector(store.personal))


def test_before_any_rekey_there_is_one_secret(store: Store, clock: ManualClock, desk: Peer) -> None:
    [founding] = secrets(store)
    assert needed(store, clock) == Trust((founding,), founding)
    assert not needed(store, clock).is_changing


def test_the_older_one_signs_until_every_device_has_announced_the_rekey(
    store: Store, clock: ManualClock, desk: Peer, nas: Peer
) -> None:
    told(store, desk, nas)
    rekey(store, 7)
    new, old = secrets(store)
    assert needed(store, clock) == Trust((new, old), old)
    told(store, desk)
    assert needed(store, clock) == Trust((new, old), old)
    told(store, nas)
    assert needed(store, clock) == Trust((new,), new)


def test_two_rekeys_in_a_row_keep_the_oldest_that_somebody_needs(
    store: Store, clock: ManualClock, desk: Peer, nas: Peer
) -> None:
    rekey(store, 7)
    told(store, desk)
    rekey(store, 8)
    newest, new, old = secrets(store)
    assert needed(store, clock) == Trust((newest, new, old), old)
    told(store, nas)
    assert needed(store, clock) == Trust((newest, new), new), "all know the first, and one does not know the second"
    told(store, desk)
    assert needed(store, clock) == Trust((newest,), newest)


def test_a_revoked_device_is_waited_for_by_nobody_and_a_sleeper_for_thirty_days(
    store: Store, clock: ManualClock, desk: Peer, nas: Peer
) -> None:
    space = store.personal
    with store.database.write() as connection:
        membership.revoke(store.log, connection, space, nas.device, SeededRandom(7))
    new, old = secrets(store)
    assert needed(store, clock) == Trust((new, old), old)
    clock.advance(ms=trust.DAYS_MAX * times.DAY_MS)
    assert needed(store, clock).signer == old
    clock.advance(ms=1)
    assert needed(store, clock) == Trust((new,), new)


def test_the_other_certificate_is_by_the_other_secret(store: Store, clock: ManualClock, desk: Peer) -> None:
    rekey(store, 7)
    new, old = secrets(store)
    assert trust.other(needed(store, clock)) == Trust((new, old), new)
    assert trust.other(trust.other(needed(store, clock))) == needed(store, clock)


def test_a_node_goes_on_for_two_hours_so_that_nobody_is_turned_away_before_it_can_hear(
    store: Store, clock: ManualClock, desk: Peer, nas: Peer
) -> None:
    seconds = [0.0]
    truster = Truster(lambda: seconds[0])

    def now() -> Trust:
        with store.database.reading() as connection:
            return truster.now(connection, space, clock())

    space = store.personal
    rekey(store, 7)
    new, old = secrets(store)
    assert now() == Trust((new, old), old)
    seconds[0] = 1e6
    assert now() == Trust((new, old), old), "one has not heard of it"
    told(store, desk, nas)
    assert now() == Trust((new, old), old)
    seconds[0] += trust.SHOWN_SECONDS
    assert now() == Trust((new, old), new)
    seconds[0] += trust.TRUSTED_SECONDS
    assert now() == Trust((new,), new)
