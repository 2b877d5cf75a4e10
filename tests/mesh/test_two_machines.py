"""Two homes on this machine become one memory: the whole story with real commands and real nodes, on loopback only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import pytest

from nokosu import Draft
from nokosu.errors import Refused
from tests.faults.vfs import Operation, watched
from tests.homes import Home, agree, eventually, pair, settled, stop

MakeHome = Callable[[str], Home]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[MakeHome]:
    """Makes devices; whatever they have left running ends with the test."""
    made: list[Home] = []

    def make(name: str) -> Home:
        made.append(Home(tmp_path, name))
        return made[-1]

    yield make
    stop(made)


def bytes_of(home: Home) -> bytes:
    """Everything that lies in its home."""
    return b"".join(path.read_bytes() for path in home.home.iterdir() if path.is_file())


def refuses_to_save(home: Home) -> bool:
    try:
        home.save("Written on a device that was revoked.")
    except Refused:
        return True
    return False


def test_two_devices_are_paired_by_one_line_and_share_everything_from_then_on(device: MakeHome) -> None:
    laptop, desktop = device("laptop"), device("desktop")
    laptop.save("Slot holds live in Postgres.")
    desktop.save("Deploys run from main.")

    said = pair(laptop, desktop)
    assert "laptop" in said
    agree(laptop, desktop)
    assert laptop.texts() == {"Slot holds live in Postgres.", "Deploys run from main."}

    # Apart: one node is down, both go on.
    desktop.ok("node", "stop")
    [forgotten] = laptop.save("The staging password is on the wiki.")
    both = laptop.save("Written on the laptop while they were apart.")
    both += desktop.save("Written on the desktop while they were apart.")
    [there] = [one["id"] for one in desktop.exported() if one["text"] == "Slot holds live in Postgres."]
    desktop.forget(there)
    desktop.ok("node", "start")
    agree(laptop, desktop)
    assert (
        laptop.texts()
        == desktop.texts()
        == {
            "Deploys run from main.",
            "The staging password is on the wiki.",
            "Written on the laptop while they were apart.",
            "Written on the desktop while they were apart.",
        }
    )

    # Forgotten for good: not a byte of it stays on the other device.
    assert b"staging password" in bytes_of(desktop)
    laptop.ok("forget", forgotten, "--purge", "--yes")
    eventually(lambda: b"staging password" not in bytes_of(desktop), 10)
    agree(laptop, desktop)
    assert b"staging password" not in bytes_of(laptop) + bytes_of(desktop)
    assert desktop("show", forgotten).out.count("purged") >= 1


def test_a_third_device_is_invited_by_the_second_and_a_revoked_one_counts_no_more(device: MakeHome) -> None:
    laptop, desktop, phone = device("laptop"), device("desktop"), device("phone")
    laptop.save("From the laptop.")
    pair(laptop, desktop)
    phone.save("From the phone.")
    pair(desktop, phone)
    agree(laptop, desktop, phone)
    assert laptop.texts() == {"From the laptop.", "From the phone."}

    laptop.ok("revoke", "phone", "--yes")
    agree(laptop, desktop)
    eventually(lambda: refuses_to_save(phone), 10)  # it was connected, so it knows
    laptop.save("Written after that, for those who are left.")
    agree(laptop, desktop)
    expected = {"From the laptop.", "From the phone.", "Written after that, for those who are left."}
    assert laptop.texts() == desktop.texts() == expected
    assert "Written after that, for those who are left." not in phone.texts()


def test_a_space_is_shared_with_another_person_and_nothing_else_is(device: MakeHome) -> None:
    mine, theirs = device("mine"), device("theirs")
    mine.save("Only mine.")
    theirs.save("Only theirs.")
    mine.ok("space", "create", "harbour")
    mine.ok("save", "--space", "harbour", "For both of us.")
    pair(mine, theirs, space="harbour")
    agree(mine, theirs, space="harbour")
    assert mine.texts() == {"Only mine.", "For both of us."}
    assert theirs.texts() == {"Only theirs.", "For both of us."}


def test_a_save_that_the_disk_takes_long_to_confirm_is_passed_on_as_soon_as_it_is_there(device: MakeHome) -> None:
    laptop, desktop = device("laptop"), device("desktop")
    laptop.save("Deploys run from main.")
    pair(laptop, desktop)
    agree(laptop, desktop)
    sleep(3)  # until the nodes have nothing more to tell each other: what they write down would wake them

    def slow(operation: Operation) -> None:
        if operation.is_sync_of_wal:  # the bytes are written and the node is woken, and nobody can see them yet
            sleep(0.3)

    with watched(slow) as vfs, laptop.open(vfs=vfs) as memory:
        memory.save(Draft(text="Written to a slow disk."))
        settled(laptop, desktop, seconds=10)
    assert "Written to a slow disk." in desktop.texts()
