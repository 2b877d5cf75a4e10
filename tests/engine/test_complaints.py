"""What zenohd says when it cannot work, as one line; each log is what zenohd 1.10.2 has written, folders shortened."""

from __future__ import annotations

import time

import pytest

from nokosu.engine.complaints import last_words, reason, storage_fault

AT = "2026-11-23T04:30:05.168463Z"
SPAWN = f"{AT} ERROR ThreadId(03) zenoh_plugin_storage_manager: Cannot spawn"
CRATES = "/cargo/registry/src/crates"
PANIC = f"\nthread 'main' (27918) panicked at {CRATES}/zenoh-1.10.2/src/api/loader.rs:66:17:\n"
NOTE = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
NO_VOLUME = f"{SPAWN} storage 'rec': Cannot find volume 'rocksdb' to spawn storage 'rec'\n"
WARNING = f"{AT}  WARN acc-0 ThreadId(04) zenoh_link_tls::unicast: received fatal alert: UnknownCA.\n"


def listener(address: str, problem: str) -> str:
    said = (
        f"Can not create a new TLS listener on {address}: {address}: {problem} at {CRATES}/zenoh-link-commons-1.10.2/src/"
        f"tcp.rs:61. at {CRATES}/zenoh-link-tls-1.10.2/src/unicast.rs:432."
    )
    return (
        f"{AT}  WARN main ThreadId(01) zenoh::net::runtime::orchestrator: Unable to open listener tls/{address}: {said}\n"
        f"{said}. Exiting...\n"
    )


def mismatch(what: str, host: str, plugin: str) -> str:
    return f"Error loading /e/libzenoh_x.so: Plugin compatibility mismatch:\n {what}:\n host: {host}\n plugin: {plugin}"


LOGS = [
    (
        (
            f"{PANIC}Plugin load failure: Library file 'libzenoh_plugin_storage_manager.so' not found at "
            f"{CRATES}/zenoh-util-1.10.2/src/lib_loader.rs:128.\n{NOTE}"
        ),
        "the plugin libzenoh_plugin_storage_manager.so is not there",
    ),
    (
        (
            f"{SPAWN} volume 'rocksdb': Library file 'libzenoh_backend_rocksdb.so' not found at "
            f"{CRATES}/zenoh-util-1.10.2/src/lib_loader.rs:128.\n{NO_VOLUME}"
        ),
        "the plugin libzenoh_backend_rocksdb.so is not there",
    ),
    (
        f"{PANIC}Plugin load failure: /a folder/libzenoh_plugin_storage_manager.so: file too short\n{NOTE}",
        "the plugin libzenoh_plugin_storage_manager.so cannot be loaded (file too short)",
    ),
    (
        f"{PANIC}Plugin load failure: Error loading /e/libzenoh_x.so: /e/libzenoh_x.so: undefined symbol: get_loader\n{NOTE}",
        "the plugin libzenoh_x.so cannot be loaded (/e/libzenoh_x.so: undefined symbol: get_loader)",
    ),
    (
        (
            f"{PANIC}Plugin load failure: "
            f"{mismatch('Incompatible Zenoh versions', 'v1.10.2-release', 'v1.9.0-release')}\n{NOTE}"
        ),
        "the plugin libzenoh_x.so is of Zenoh 1.9.0, and zenohd of 1.10.2",
    ),
    (
        (
            f"{SPAWN} volume 'rocksdb': "
            f"{mismatch('Incompatible rustc versions', 'Rust 1.95.0 commit 59', 'Rust 1.94.0 commit 4a')}\n{NO_VOLUME}"
        ),
        "the plugin libzenoh_x.so was built by Rust 1.94.0 commit 4a, and zenohd by Rust 1.95.0 commit 59",
    ),
    (
        f"{SPAWN} volume 'rocksdb': {mismatch('Incompatible Zenoh feature sets', ' zenoh/a', ' zenoh/b')}\n{NO_VOLUME}",
        "the plugin libzenoh_x.so was built with other features than zenohd",
    ),
    (
        (
            f"{SPAWN} storage 'rec': Failed to open data-info database from \"/h/rec\": IO error: While lock file: "
            f"/h/rec/LOCK: Resource temporarily unavailable at {CRATES}/zenoh-backend-rocksdb-1.10.2/src/lib.rs:213.\n"
        ),
        "RocksDB in /h/rec is in use by another process",
    ),
    (
        (
            f"{SPAWN} storage 'vec': Failed to open data-info database from \"/h/vec\": Corruption: CURRENT file does not end "
            f"with newline at {CRATES}/zenoh-backend-rocksdb-1.10.2/src/lib.rs:213.\n"
        ),
        "RocksDB in /h/vec cannot be opened (Corruption: CURRENT file does not end with newline)",
    ),
    (listener("0.0.0.0:7447", "Address already in use (os error 98)"), "0.0.0.0:7447 is taken by another program"),
    (listener("[::]:7447", "Address already in use (os error 48)"), "[::]:7447 is taken by another program"),
    (
        listener("192.0.2.1:7447", "Cannot assign requested address (os error 99)"),
        "192.0.2.1:7447 is not an address of this machine",
    ),
    (
        (
            "Can not create a new UnixSocketStream listener on /r/x - Unable to acquire lock: EAGAIN: Try again at "
            f"{CRATES}/zenoh-link-unixsock_stream-1.10.2/src/unicast.rs:340.. Exiting...\n"
        ),
        "another zenohd answers at /r/x already",
    ),
    (f"{WARNING}something quite new happened at {CRATES}/x/y.rs:1.. Exiting...\n", "something quite new happened"),
    (f"\x1b[2m{AT}\x1b[0m \x1b[31mERROR\x1b[0m main ThreadId(01) \x1b[2mx::y\x1b[0m\x1b[2m:\x1b[0m new\n", "new"),
]


@pytest.mark.parametrize(("log", "line"), LOGS, ids=[line[:40] for _, line in LOGS])
def test_the_cause_is_found_in_the_log(log: str, line: str) -> None:
    assert reason(log) == line
    assert reason(WARNING + log + WARNING) == line


@pytest.mark.parametrize("log", ["", WARNING, WARNING * 3 + "\n", NOTE])
def test_a_warning_is_no_reason(log: str) -> None:
    assert reason(log) == ""


def test_a_storage_that_failed_is_found_though_zenohd_goes_on() -> None:
    other = f"{AT} ERROR ThreadId(09) zenoh_transport: somebody did something wrong\n"
    failed = LOGS[1][0]
    assert storage_fault(other + failed + WARNING) == "the plugin libzenoh_backend_rocksdb.so is not there"
    assert storage_fault(other + WARNING) == ""


def test_the_last_words_are_the_last_line_that_says_something() -> None:
    assert last_words(f"first\nsecond \x1b[31mred\x1b[0m\n\n{NOTE}") == "second red"
    assert last_words("\n") == ""


def test_a_line_is_short_and_can_be_shown() -> None:
    told = reason(f"{SPAWN} storage 'rec': {'x' * 1000}\x07\x1b]0;title\n")
    assert len(told) == 300
    assert told.isprintable()


@pytest.mark.parametrize("pattern", [":", "/", " ", "\n", ".", "a: ", "/a", " ERROR ", "listener on a: ", " at /x"])
def test_a_hostile_log_takes_no_time(pattern: str) -> None:
    began = time.monotonic()
    for prefix in (f"{PANIC}Plugin load failure: /", f"{SPAWN} volume 'rocksdb': /", f"{SPAWN} storage 'x': ", ""):
        log = prefix + pattern * (60_000 // len(pattern))
        reason(log)
        storage_fault(log)
        last_words(log)
    assert time.monotonic() - began < 10, "not a measurement: it would be minutes"
