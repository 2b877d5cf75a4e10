"""doctor: all green on a healthy install, and each fault by its name, with what to type next."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from nokosu.config import DATABASE_NAME, Config
from nokosu.doctor import Result, examine
from nokosu.drafts import Draft
from nokosu.nokosu import Nokosu
from nokosu.store import moving, roster
from nokosu.store.connection import Database
from nokosu.testing import SAMPLE_DRAFTS, Peer, SeededRandom, Store
from tests.announcing import announce
from tests.doctor.outside import VERSION, outside_of
from tests.promises import promise

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """As somebody whom modes stop: root ignores them."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may reach; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="nokosu-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def filled(config: Config) -> Config:
    """A home with a healthy store that nobody has open."""
    with Nokosu(config) as memory:
        saved = memory.save_many(SAMPLE_DRAFTS)
        memory.forget(saved[0].id)
        memory.purge(saved[1].id)
    return config


def faults(results: list[Result]) -> dict[str, Result]:
    found = {result.name: result for result in results if result.level != "ok"}
    for result in found.values():
        assert result.hint, f"{result.name} does not say what to type"
        assert "\n" not in f"{result.summary}{result.hint}"
    return found


# Healthy --------------------------------------------------------------------------------------------------------------


@promise("doctor-names-the-fault")
def test_a_healthy_install_is_green(filled: Config) -> None:
    results = examine(filled)
    assert faults(results) == {}
    assert [result.name for result in results] == [
        "home", "privacy", "disk", "file system", "config", "sqlite", "store", "index", "schema", "logs", "wal"
    ]  # fmt: skip
    assert len({result.summary for result in results}) == len(results)


@promise("doctor-names-the-fault")
def test_a_home_that_is_still_to_be_made_is_green_and_stays_unmade(config: Config) -> None:
    results = examine(config)
    assert faults(results) == {}
    assert results[-1].hint == "nokosu save TEXT"
    assert not config.home.exists()


def test_it_is_green_while_others_write_and_after_a_rebuild(filled: Config) -> None:
    with Nokosu(filled) as memory:
        memory.save(Draft(text="one more"))
        memory.rebuild()
        assert faults(examine(filled)) == {}


def test_records_that_came_before_their_cause_are_told_and_nothing_else_is_wrong(store: Store, config: Config) -> None:
    peer = Peer(store.personal.id, random=SeededRandom(3))
    store.admit(peer)
    saved = peer.save("came never")
    store.log.append(peer.forget(saved))
    store.log.append(peer.write("star", "0" * 12))
    here = msgspec.structs.replace(config, home=store.database.path.parent)
    here.home.chmod(0o700)
    announce(store.database, peer, store.log.vector(store.personal), version=VERSION)
    found = faults(examine(here, outside=outside_of(store, peer)))
    assert (set(found), found["gaps (personal)"].level) == ({"gaps (personal)"}, "warn")


def test_a_restored_backup_is_green(filled: Config, tmp_path: Path) -> None:
    target = tmp_path / "restored" / DATABASE_NAME
    target.parent.mkdir(mode=0o700)
    with Nokosu(filled) as memory:
        memory.backup(target)
    restored = msgspec.structs.replace(filled, home=target.parent)
    assert faults(examine(restored)) == {}


def test_examining_writes_nothing(filled: Config) -> None:
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in filled.home.iterdir() if not path.name.endswith("-shm")}

    before = files()
    examine(filled)
    assert files() == before


# Faults ---------------------------------------------------------------------------------------------------------------


@promise("doctor-names-the-fault")
@pytest.mark.parametrize("content", [b"", b"garbage " * 1000, b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_store_is_named(filled: Config, content: bytes) -> None:
    filled.database.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        Path(f"{filled.database}{suffix}").unlink(missing_ok=True)
    found = faults(examine(filled))
    assert set(found) == {"store"}
    assert found["store"].level == "fail"
    assert "restore a backup" in found["store"].hint


@promise("doctor-names-the-fault")
def test_a_damaged_page_is_named(filled: Config) -> None:
    Database(filled.database).truncate_wal()
    root = page_of(filled.database, "record_memory")
    with filled.database.open("r+b") as file:
        file.seek((root - 1) * 4096 + 3)
        file.write(b"\xff" * 60)
    found = faults(examine(filled))
    assert (found["store"].level, found["store"].hint) == ("fail", "nokosu verify")
    assert found["store"].details


def page_of(path: Path, name: str) -> int:
    database = Database(path)
    (row,) = database.rows("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
    database.close()
    return int(row[0])


@promise("doctor-names-the-fault")
def test_memories_that_no_word_leads_to_are_named(filled: Config) -> None:
    database = Database(filled.database)
    with database.write() as connection:
        connection.run("INSERT INTO word (word) VALUES ('delete-all')")
    database.close()
    found = faults(examine(filled))
    assert (found["index"].level, found["index"].hint) == ("fail", "nokosu rebuild")
    with Nokosu(filled) as memory:
        memory.rebuild()
    assert faults(examine(filled)) == {}


@promise("doctor-names-the-fault")
@pytest.mark.parametrize("name", ["", DATABASE_NAME, f"{DATABASE_NAME}-wal", "config.toml"])
def test_what_others_may_read_is_named(filled: Config, name: str) -> None:
    path = filled.home / name
    path.touch()
    path.chmod(0o755 if path.is_dir() else 0o644)
    privacy = faults(examine(filled))["privacy"]
    assert (privacy.level, privacy.details) == ("fail", (str(path),))
    assert privacy.hint == f"chmod -R go-rwx {filled.home}"


@promise("doctor-names-the-fault")
def test_a_read_only_folder_is_named(filled: Config, open_folder: Path) -> None:
    home = open_folder / "home"
    shutil.copytree(filled.home, home)
    for path in home.iterdir():
        path.chmod(0o444)
    home.chmod(0o555)
    with as_nobody():
        found = faults(examine(msgspec.structs.replace(filled, home=home)))
    home.chmod(0o755)
    assert found["home"].level == "warn"
    assert "searching works, saving does not" in found["home"].summary
    assert found["home"].hint == f"ls -ld {home}"
    assert "store" not in found


def test_a_folder_that_may_not_be_read_is_named_and_nothing_more_is_tried(filled: Config, open_folder: Path) -> None:
    home = open_folder / "home"
    shutil.copytree(filled.home, home)
    home.chmod(0o000)
    with as_nobody():
        results = examine(msgspec.structs.replace(filled, home=home))
    home.chmod(0o755)
    assert (faults(results)["home"].level, faults(results)["home"].hint) == ("fail", f"ls -ld {home}")
    assert "store" not in [result.name for result in results]


def test_a_store_that_may_not_be_read_is_not_called_damaged(filled: Config, open_folder: Path) -> None:
    home = open_folder / "home"
    shutil.copytree(filled.home, home)
    home.chmod(0o755)
    (home / DATABASE_NAME).chmod(0o000)
    here = msgspec.structs.replace(filled, home=home)
    with as_nobody():
        found = faults(examine(here))
    assert (found["store"].level, found["store"].hint) == ("fail", f"ls -l {here.database}")


def test_a_home_that_cannot_be_made_is_named(filled: Config, open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with as_nobody():
        found = faults(examine(msgspec.structs.replace(filled, home=open_folder / "not" / "there")))
    open_folder.chmod(0o755)
    assert (found["home"].level, found["home"].hint) == ("fail", f"ls -ld {open_folder}")


def test_a_home_that_is_a_file_is_named(config: Config) -> None:
    config.home.write_text("not a folder")
    assert faults(examine(config))["home"].hint == f"mv {config.home} {config.home}.old"


@promise("doctor-names-the-fault")
def test_a_full_disk_is_named(filled: Config) -> None:
    free = shutil.disk_usage(filled.home).free
    nearly, quite = (faults(examine(filled, free_bytes_min=free * times))["disk"] for times in (2, 100))
    assert (nearly.level, quite.level) == ("warn", "fail")
    assert quite.hint == f"df -h {filled.home}"
    assert "disk" not in faults(examine(filled, free_bytes_min=1))


@promise("doctor-names-the-fault")
@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs", "smbfs"])
def test_a_network_file_system_is_named(filled: Config, kind: str) -> None:
    mounts = [("/", "ext4"), (str(filled.home.resolve()), kind)]
    found = faults(examine(filled, mounts=mounts))["file system"]
    assert found.level == "fail"
    assert f"({kind})" in found.summary
    assert found.hint == "set NOKOSU_HOME to a folder on a local disk"


@promise("doctor-names-the-fault")
@pytest.mark.parametrize(
    ("version", "good"), [("3.51.2", False), ("3.9.99", False), ("3.51.3", True), ("3.60.0", True)]
)
def test_an_old_sqlite_is_named(filled: Config, version: str, good: bool) -> None:
    found = faults(examine(filled, sqlite=version))
    assert ("sqlite" not in found) == good
    if not good:
        assert (found["sqlite"].level, found["sqlite"].hint) == ("fail", "pip install -U apsw")


def test_a_store_of_a_newer_nokosu_is_named(filled: Config) -> None:
    database = Database(filled.database)
    with database.write() as connection:
        connection.pragma("user_version", 99_000)
    database.close()
    store = faults(examine(filled))["store"]
    assert "upgraded" in store.summary
    assert "backup" not in store.hint


@promise("branches-kept")
def test_a_log_that_was_continued_twice_is_told(store: Store, config: Config) -> None:
    peer = Peer(store.personal.id, random=SeededRandom(3))
    store.admit(peer)
    peer.save("before")
    clone = peer.clone()
    peer.save("here")
    clone.save("there")
    store.log.append_many([*peer.log, *clone.log])
    here = msgspec.structs.replace(config, home=store.database.path.parent)
    here.home.chmod(0o700)
    announce(store.database, peer, store.log.vector(store.personal), version=VERSION)
    found = faults(examine(here, outside=outside_of(store, peer)))
    assert (set(found), found["logs"].level) == ({"logs"}, "warn")
    assert "nothing is lost" in found["logs"].summary


def test_memories_that_have_not_moved_yet_are_told_and_damaged_ones_are_named(store: Store, config: Config) -> None:
    here = msgspec.structs.replace(config, home=store.database.path.parent)
    here.home.chmod(0o700)
    with Nokosu(here) as memory:
        ids = [memory.save(Draft(text=f"note {number}")).id for number in range(2)]
        with store.database.write() as connection:
            personal, local = roster.spaces(connection)
            moving.begin_move(connection, personal, local)
        told = [result for result in examine(here) if result.name == "moving"]
        assert [(one.level, one.summary) for one in told] == [
            ("ok", "2 memories of 'personal (moving)' are still to move")
        ]
        with store.database.write() as connection:
            connection.run("UPDATE record SET body = x'9200' WHERE memory = ?", (ids[0],))
        while moving.move_some(store.database, store.log):
            pass
        told = [result for result in examine(here) if result.name == "moving"]
    assert [(one.level, one.hint) for one in told] == [("warn", "nokosu verify")]
    assert told[0].summary.endswith("1 of them are damaged")
