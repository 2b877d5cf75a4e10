"""doctor on the engine: silent without one, green when all is well, and each fault by its name, with what to type next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu.config import Config
from nokosu.doctor import Result, engine
from nokosu.doctor.engine import Outside, Running, Space
from nokosu.engine import plugins
from nokosu.engine.located import Engine
from nokosu.errors import MeshError
from nokosu.mesh import engine_home
from nokosu.testing import DAY_MS, NEW_YEAR_MS
from tests.promises import promise

SPACE = bytes(range(16))
RUNNING = Running(
    pid=7, version="1.10.2", rss=80 << 20, disk=36 << 20, restarts=0, ready=True, listening=("0.0.0.0:4000",)
)


def storage(**changed: Any) -> dict[str, Any]:
    """A hub that has everything, as the node tells of it."""
    return {
        "zid": "4f00",
        "name": "nas",
        "version": "1.10.2",
        "fingerprint": "abc",
        "reachable": True,
        "lacking": 0,
        "pending": 0,
        "announcements": 2,
        "seen_ms": NEW_YEAR_MS,
        "problem": "",
        "own": False,
        **changed,
    }


class Doctor:
    """A home whose space goes through a zenohd, with one hub besides."""

    def __init__(self, home: Path, config: Config) -> None:
        self.config = msgspec.structs.replace(config, home=home, engine="zenohd")
        self.space = Space(
            id=SPACE,
            name="personal",
            port=4000,
            zenohd=RUNNING,
            storages=(storage(), storage(zid="77", name="", own=True)),
        )
        self.engine = Engine(home / "zenohd", home, "1.10.2", "wheel")
        self.folder = engine_home.made(home, SPACE)
        for name in ("rec", "vec"):
            (self.folder / name).mkdir()
            (self.folder / name / "000008.sst").write_bytes(bytes(1 << 20))

    def results(self, *, answers: bool = True, find: Any = None, check: Any = None, **space: Any) -> dict[str, Result]:
        """What is found, by name without the space."""
        outside = Outside(
            answers=answers, find=find or (lambda config: self.engine), check=check or (lambda engine: None)
        )
        here = msgspec.structs.replace(self.space, **space)
        found = engine.checks(self.config, [here], outside, NEW_YEAR_MS + DAY_MS)
        return {result.name.removesuffix(" (personal)"): result for result in found}

    def fault(self, **changed: Any) -> Result:
        """The one that is not ok; it is one line and has a next step."""
        (found,) = [result for result in self.results(**changed).values() if result.level != "ok"]
        assert found.hint
        assert "\n" not in f"{found.summary}{found.hint}"
        return found


@pytest.fixture
def doctor(tmp_path: Path, config: Config) -> Doctor:
    return Doctor(tmp_path, config)


def test_of_a_home_without_an_engine_and_without_hubs_nothing_is_said(doctor: Doctor) -> None:
    doctor.config = msgspec.structs.replace(doctor.config, engine="embedded")
    assert doctor.results(zenohd=None, storages=()) == {}
    assert doctor.results(zenohd=None).keys() == {"replication", "storages"}, "where there are hubs, they are told of"


@promise("doctor-names-the-fault")
def test_a_healthy_engine_is_green(doctor: Doctor) -> None:
    found = doctor.results()
    assert found.keys() == {"engine", "zenohd", "ports", "rocksdb", "replication", "storages"}
    assert {result.level for result in found.values()} == {"ok"}
    assert "hub nas has everything" in found["storages"].details
    assert "rec 1.0 MiB, vec 1.0 MiB" in found["rocksdb"].summary


@promise("doctor-names-the-fault")
def test_an_engine_that_is_missing_or_does_not_fit_is_named(doctor: Doctor) -> None:
    def missing(_: object) -> Engine:
        raise MeshError("there is no zenohd here", hint="make engine-wheel")

    found = doctor.fault(find=missing)
    assert (found.name, found.level, found.summary) == ("engine", "fail", "there is no zenohd here")
    assert "make engine-wheel" in found.hint
    results = doctor.results(check=missing, zenohd=None)
    assert results["engine"].level == "fail", "what does not run is tried"
    assert doctor.results(check=missing)["engine"].level == "ok", "what runs, fits"


@promise("doctor-names-the-fault")
def test_a_zenohd_that_does_not_run_or_serve_is_named(doctor: Doctor) -> None:
    found = doctor.fault(zenohd=None, error="zenohd did not start: RocksDB in vec is in use by another process")
    assert (found.name, found.level, "RocksDB" in found.summary) == ("zenohd (personal)", "fail", True)
    slow = doctor.fault(zenohd=msgspec.structs.replace(RUNNING, ready=False))
    assert (slow.level, "do not answer yet" in slow.summary) == ("warn", True)
    dying = doctor.fault(zenohd=msgspec.structs.replace(RUNNING, restarts=9))
    assert (dying.level, "9 times" in dying.summary) == ("warn", True)
    assert "zenohd" not in doctor.results(answers=False), "what no node tells is not made up"


@promise("doctor-names-the-fault")
def test_a_port_that_zenohd_should_not_have_is_named(doctor: Doctor) -> None:
    more = msgspec.structs.replace(RUNNING, listening=("0.0.0.0:4000", "127.0.0.1:8000"))
    found = doctor.fault(zenohd=more)
    assert (found.name, found.level) == ("ports (personal)", "fail")
    assert "127.0.0.1:8000" in found.summary
    assert "REST" in found.summary
    assert "ports" not in doctor.results(zenohd=msgspec.structs.replace(RUNNING, listening=()))


def test_a_rest_plugin_that_lies_about_is_told(doctor: Doctor) -> None:
    assert doctor.results()["engine"].details == ()
    (doctor.engine.plugins / plugins.REST).touch()
    assert plugins.REST in doctor.results()["engine"].details[0]


@promise("doctor-names-the-fault")
def test_a_rocksdb_that_has_complained_is_named(doctor: Doctor) -> None:
    (doctor.folder / "rec" / "LOG").write_text(
        "2026/01/01-00:00:00 1 [db_impl] Recovered\n"
        "2026/01/01-00:00:01 2 [WARN] Compaction error: Corruption: block checksum mismatch in 000008.sst\n"
    )
    found = doctor.fault()
    assert (found.name, found.level) == ("rocksdb (personal)", "fail")
    assert "block checksum mismatch" in found.details[0]
    assert str(doctor.folder / "rec") in found.hint


@promise("doctor-names-the-fault")
def test_storages_that_do_not_replicate_with_one_another_are_named(doctor: Doctor) -> None:
    other = storage(problem="its replication is set otherwise")
    found = doctor.fault(storages=(storage(own=True), other))
    assert (found.name, found.level) == ("replication (personal)", "warn")
    assert found.details == ("hub nas: its replication is set otherwise",)


@promise("doctor-names-the-fault")
def test_records_that_a_storage_lacks_are_told(doctor: Doctor) -> None:
    found = doctor.fault(storages=(storage(lacking=12),))
    assert (found.name, found.level, found.hint) == ("storages (personal)", "warn", "nokosu sync --wait")
    assert "12 on hub nas" in found.summary
    away = doctor.results(storages=(storage(lacking=12, reachable=False),))
    assert away["storages"].level == "ok", "a hub that is off is no fault"
    assert "12 not yet on hub nas" in away["storages"].details[0]
