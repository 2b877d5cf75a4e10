"""The real zenohd, from the wheel: it keeps what is put, says in one line why it cannot, and never outlives us."""

from __future__ import annotations

import base64
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest
import zenoh

from engine import locks, wheel
from engine.__main__ import HERE
from nokosu.clock import system_wall_clock
from nokosu.engine import located, plugins
from nokosu.engine.located import Engine
from nokosu.engine.process import CONFIG_NAME, LOG_NAME, Zenohd
from nokosu.engine.settings import STORAGES, EngineSettings, root
from nokosu.errors import MeshError
from nokosu.identity.secrets import key_id
from nokosu.mesh import certificates
from nokosu.mesh.certificates import Tls
from nokosu.store.roster import Secret
from tests.homes import eventually
from tests.mesh.sharing import free_port

pytestmark = pytest.mark.system

SECONDS = 30.0
SPACE = bytes(range(16))
KEYS = root(SPACE)

Start = Callable[..., Zenohd]
Connect = Callable[..., zenoh.Session]


@pytest.fixture(scope="module")
def tls() -> Tls:
    secret = os.urandom(32)
    known = Secret(key_id(secret), 0, secret)
    return certificates.mint([known], known, os.urandom(16), now_ms=system_wall_clock())


@pytest.fixture
def settings(tmp_path: Path, tls: Tls) -> EngineSettings:
    return EngineSettings(
        space=SPACE,
        zid=f"a1{os.urandom(15).hex()}",
        roots=tls.roots,
        certificate=tls.certificate,
        key=tls.key,
        listen=(f"127.0.0.1:{free_port()}",),
        connect=(),
        socket=tmp_path / "sock",
        folder=tmp_path / "folder",
        interval_s=2.0,
    )


@pytest.fixture
def start(engine: Engine, settings: EngineSettings) -> Iterator[Start]:
    running: list[Zenohd] = []

    def started(wanted: EngineSettings = settings, by: Engine = engine) -> Zenohd:
        running.append(Zenohd.start(by, wanted, wait_seconds=SECONDS))
        return running[-1]

    yield started
    for process in running:
        process.stop()


@pytest.fixture
def connect(settings: EngineSettings) -> Iterator[Connect]:
    """A local client, or with *endpoint* another."""
    opened: list[zenoh.Session] = []

    def made(endpoint: str = f"unixsock-stream/{settings.socket}", **more: object) -> zenoh.Session:
        config = zenoh.Config()
        told = {"mode": "client", "connect/endpoints": [endpoint], "scouting/multicast/enabled": False, **more}
        for key, value in told.items():
            config.insert_json5(key, json.dumps(value))
        opened.append(zenoh.open(config))
        return opened[-1]

    yield made
    for session in opened:
        session.close()  # type: ignore[no-untyped-call]


def get(session: zenoh.Session, selector: str) -> dict[str, bytes]:
    replies = session.get(selector, target=zenoh.QueryTarget.ALL, consolidation=zenoh.ConsolidationMode.NONE, timeout=5)
    return {str(reply.ok.key_expr): reply.ok.payload.to_bytes() for reply in replies if reply.ok is not None}


def put(session: zenoh.Session, key: str, value: bytes) -> None:
    """Put until it is there: a storage that was just made may not have subscribed yet."""

    def is_kept() -> bool:
        session.put(key, value, congestion_control=zenoh.CongestionControl.BLOCK)
        return get(session, key) == {key: value}

    eventually(is_kept)


# It works -------------------------------------------------------------------------------------------------------------


def test_the_engine_of_the_wheel_fits_together(engine: Engine) -> None:
    assert engine.version == "1.10.2"
    located.check(engine)


def test_both_storages_keep_what_is_put_and_have_it_after_kill_9(start: Start, connect: Connect) -> None:
    process = start()
    session = connect()
    for name in STORAGES:
        put(session, f"{KEYS}/{name}/a/1", name.encode())
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not process.is_alive())
    process.stop()
    start()
    again = connect()
    eventually(lambda: get(again, f"{KEYS}/**") == {f"{KEYS}/rec/a/1": b"rec", f"{KEYS}/vec/a/1": b"vec"})


def test_an_answer_of_a_storage_names_the_zenohd_that_has_it(
    start: Start, connect: Connect, settings: EngineSettings
) -> None:
    start()
    session = connect()
    put(session, f"{KEYS}/vec/x", b"1")
    (reply,) = session.get(f"{KEYS}/vec/x", timeout=5)
    assert reply.replier_id is not None
    assert str(reply.replier_id.zid) == settings.zid


def test_memory_and_disk_are_told(start: Start, connect: Connect) -> None:
    process = start()
    put(connect(), f"{KEYS}/rec/x", os.urandom(100_000))
    assert 5_000_000 < process.rss_bytes() < 500_000_000
    assert process.disk_bytes() > 100_000


def test_two_of_them_align(
    start: Start, connect: Connect, engine: Engine, settings: EngineSettings, tmp_path: Path
) -> None:
    start()
    put(connect(), f"{KEYS}/rec/before", b"1")
    other = msgspec.structs.replace(
        settings,
        zid=f"b2{os.urandom(15).hex()}",
        listen=(),
        connect=settings.listen,
        socket=tmp_path / "other.sock",
        folder=tmp_path / "other",
    )
    start(other)
    there = connect(f"unixsock-stream/{other.socket}")

    def has_it() -> bool:
        replies = there.get(f"{KEYS}/rec/*", target=zenoh.QueryTarget.ALL, consolidation=zenoh.ConsolidationMode.NONE)
        return other.zid in {str(reply.replier_id.zid) for reply in replies if reply.ok and reply.replier_id}

    eventually(has_it)


# Who may do what ------------------------------------------------------------------------------------------------------


def test_a_local_client_is_seen_and_served_and_may_not_delete(start: Start, connect: Connect) -> None:
    start()
    session, other = connect(), connect()
    put(session, f"{KEYS}/rec/a", b"1")
    for key in (f"{KEYS}/rec/a", f"{KEYS}/rec/*", f"{KEYS}/**"):
        session.delete(key)
    arrived: list[str] = []
    subscriber = other.declare_subscriber(f"{KEYS}/rec/**", lambda sample: arrived.append(str(sample.key_expr)))
    seen: list[str] = []
    watcher = other.liveliness().declare_subscriber(
        f"{KEYS}/here/**", lambda sample: seen.append(str(sample.key_expr)), history=True
    )
    queryable = session.declare_queryable(f"{KEYS}/dev/x/**", lambda query: query.reply(f"{KEYS}/dev/x/1", b"answer"))
    token = session.liveliness().declare_token(f"{KEYS}/here/me")

    def has_arrived() -> bool:  # what was declared a moment ago is not known everywhere yet
        put(session, f"{KEYS}/rec/b", b"2")
        return f"{KEYS}/rec/b" in arrived

    eventually(has_arrived)
    eventually(lambda: f"{KEYS}/here/me" in seen)
    eventually(lambda: get(other, f"{KEYS}/dev/x/**") == {f"{KEYS}/dev/x/1": b"answer"})
    eventually(lambda: {str(r.ok.key_expr) for r in other.liveliness().get(f"{KEYS}/here/*") if r.ok} == set(seen))
    assert get(other, f"{KEYS}/rec/*") == {f"{KEYS}/rec/a": b"1", f"{KEYS}/rec/b": b"2"}
    for declared in (subscriber, watcher, queryable, token):
        declared.undeclare()  # type: ignore[no-untyped-call]


def test_other_keys_and_the_admin_space_are_shut(start: Start, connect: Connect, settings: EngineSettings) -> None:
    start()
    session, other = connect(), connect()
    put(session, f"{KEYS}/rec/a", b"1")
    served = session.declare_queryable("nokosu/1/ffff/**", lambda query: query.reply("nokosu/1/ffff/x", b"no"))
    assert get(other, "nokosu/1/ffff/**") == {}
    assert [key for key in get(other, f"@/{settings.zid}/**") if settings.zid in key] == []
    for part in ("linkstate/*", "linkstate/**", "queryable/**", "route/successor/**", "*"):
        assert get(other, f"@/{settings.zid}/router/{part}") == {}
    told = get(other, f"@/{settings.zid}/router")
    assert list(told) == [f"@/{settings.zid}/router"], "its own state alone is told, through the socket"
    assert {one["whatami"] for one in json.loads(*told.values())["sessions"]} == {"client"}
    other.put(f"@/{settings.zid}/router/config/plugins/rest", b"{}")
    served.undeclare()  # type: ignore[no-untyped-call]


def test_it_tells_of_itself_while_others_declare(start: Start, connect: Connect, settings: EngineSettings) -> None:
    """Asked for its graph of routers instead, 1.10.2 stands still for good within a second of this: eclipse-zenoh/zenoh#2619."""
    start()
    asking, declaring = connect(), connect()
    is_over = Event()

    def declare() -> None:
        for number in count():
            if is_over.is_set():
                return
            declaring.declare_subscriber(f"{KEYS}/rec/{number}", lambda sample: None).undeclare()  # type: ignore[no-untyped-call]

    busy = Thread(target=declare, daemon=True)  # it hangs where the router does
    busy.start()
    state = f"@/{settings.zid}/router"
    assert all(list(get(asking, state)) == [state] for _ in range(500))
    is_over.set()
    busy.join(5)
    assert not busy.is_alive()


def test_a_member_comes_in_by_tls_and_nobody_else(
    start: Start, connect: Connect, settings: EngineSettings, tls: Tls
) -> None:
    start()
    put(connect(), f"{KEYS}/rec/a", b"1")
    endpoint = f"tls/{settings.listen[0]}"

    def certificate(shown: Tls) -> dict[str, object]:
        return {
            "transport/link/tls": {
                "root_ca_certificate_base64": base64.b64encode(shown.roots).decode(),
                "connect_certificate_base64": base64.b64encode(shown.certificate).decode(),
                "connect_private_key_base64": base64.b64encode(shown.key).decode(),
                "enable_mtls": True,
                "verify_name_on_connect": False,
            }
        }

    member = connect(endpoint, **certificate(tls))
    assert get(member, f"{KEYS}/rec/*") == {f"{KEYS}/rec/a": b"1"}
    assert get(member, f"@/{settings.zid}/router") == {}
    secret = os.urandom(32)
    stranger = certificates.mint(
        [Secret(key_id(secret), 0, secret)], Secret(key_id(secret), 0, secret), bytes(16), now_ms=system_wall_clock()
    )
    mixed = msgspec.structs.replace(stranger, roots=tls.roots)
    for shown in (stranger, mixed):
        with pytest.raises(zenoh.ZError):
            connect(endpoint, **certificate(shown), **{"connect/timeout_ms": 0})


def test_the_private_key_is_in_no_log_and_everything_is_its_owners(
    start: Start, connect: Connect, settings: EngineSettings
) -> None:
    process = start()
    assert settings.socket.stat().st_mode & 0o077 == 0
    session = connect()
    put(session, f"{KEYS}/rec/a", b"1")
    assert get(session, f"{KEYS}/rec/nothing") == {}
    log = (settings.folder / LOG_NAME).read_text()
    body = base64.b64encode(settings.key).decode()
    assert body in (settings.folder / CONFIG_NAME).read_text()
    assert "PRIVATE" not in log
    assert body[:40] not in log
    assert process.last_words() == ""
    process.stop()  # RocksDB moves its files about
    for path in [settings.folder, *settings.folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


# Why it does not ------------------------------------------------------------------------------------------------------


def refused(start: Start, *arguments: object) -> str:
    with pytest.raises(MeshError) as error:
        start(*arguments)
    assert error.value.message.isprintable()
    assert error.value.hint
    return error.value.message


def nothing_runs(engine: Engine, settings: EngineSettings) -> bool:
    done = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True)
    return str(settings.folder) not in done.stdout


def test_a_port_that_is_taken_is_said_and_whoever_has_it_goes_on(
    start: Start, engine: Engine, settings: EngineSettings, tmp_path: Path
) -> None:
    first = start()
    second = msgspec.structs.replace(settings, folder=tmp_path / "second", socket=tmp_path / "second.sock")
    assert refused(start, second) == f"zenohd did not start: {settings.listen[0]} is taken by another program"
    assert first.is_alive()
    assert nothing_runs(engine, second)


def test_an_address_of_another_machine_is_said(start: Start, settings: EngineSettings) -> None:
    elsewhere = msgspec.structs.replace(settings, listen=("192.0.2.1:7447",))
    assert refused(start, elsewhere) == "zenohd did not start: 192.0.2.1:7447 is not an address of this machine"


def test_a_rocksdb_that_another_one_holds_is_said(start: Start, settings: EngineSettings, tmp_path: Path) -> None:
    start()
    second = msgspec.structs.replace(settings, listen=(), socket=tmp_path / "second.sock")
    assert (
        refused(start, second) == f"zenohd did not start: RocksDB in {settings.folder}/rec is in use by another process"
    )


def test_a_rocksdb_that_cannot_be_opened_is_said(start: Start, engine: Engine, settings: EngineSettings) -> None:
    start().stop()
    (settings.folder / "vec/CURRENT").write_text("MANIFEST-999999\n")
    said = refused(start)
    assert said.startswith(f"zenohd did not start: RocksDB in {settings.folder}/vec cannot be opened (")
    assert nothing_runs(engine, settings)


@pytest.fixture
def copied(engine: Engine, tmp_path: Path) -> Engine:
    """A copy of the engine that may be spoilt."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in (plugins.PROGRAM, *plugins.LIBRARIES):
        shutil.copy(engine.plugins / name, folder / name)
    return Engine(folder / plugins.PROGRAM, folder, engine.version, "NOKOSU_ENGINE")


def renamed(old: bytes, new: bytes) -> Callable[[Path], object]:
    """What makes a library of another version: the very bytes that the loader compares."""

    def spoil(path: Path) -> None:
        assert len(old) == len(new)
        before = path.read_bytes()
        assert old in before
        path.write_bytes(before.replace(old, new))

    return spoil


def by_an_older_compiler(path: Path) -> None:
    """The same for the compiler, whichever has built it here: its version is followed by its commit."""
    changed, count = re.subn(rb"1\.\d\d\.0([0-9a-f]{40})", rb"1.80.0\1", path.read_bytes())
    assert count
    path.write_bytes(changed)


@pytest.mark.parametrize("name", plugins.LIBRARIES)
@pytest.mark.parametrize(
    "case",
    [
        (Path.unlink, "the plugin {} is not there"),
        (lambda path: path.write_bytes(b"no library"), "the plugin {} cannot be loaded (file too short)"),
        (lambda path: path.write_bytes(b"no library" * 1000), "the plugin {} cannot be loaded (invalid ELF header)"),
        (lambda path: shutil.copy("/lib64/ld-linux-x86-64.so.2", path), "the plugin {} cannot be loaded ("),
        (renamed(b"v1.10.2-release", b"v1.10.1-release"), "the plugin {} is of Zenoh 1.10.1, and zenohd of 1.10.2"),
        (by_an_older_compiler, "the plugin {} was built by Rust 1.80.0 commit "),
    ],
    ids=["missing", "short", "none", "another", "version", "compiler"],
)
def test_a_plugin_that_does_not_load_is_named(
    start: Start, copied: Engine, settings: EngineSettings, name: str, case: tuple[Callable[[Path], object], str]
) -> None:
    spoil, said = case
    spoil(copied.plugins / name)
    expected = said.format(name)
    told = refused(start, settings, copied)
    assert told.startswith(f"zenohd did not start: {expected}")
    assert nothing_runs(copied, settings)
    with pytest.raises(MeshError, match="does not fit its plugins") as tried:
        located.check(copied)
    assert expected in tried.value.message
    assert tried.value.message.isprintable()


# It ends --------------------------------------------------------------------------------------------------------------

PARENT = """
import sys, time
from pathlib import Path
from threading import Event, Thread
import msgspec
from nokosu.engine.located import Engine
from nokosu.engine.process import Zenohd
from nokosu.engine.settings import EngineSettings
engine, settings = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[Engine, EngineSettings], dec_hook=lambda t, v: Path(v))
print(Zenohd.start(engine, settings, wait_seconds=30).pid, flush=True)
time.sleep(600)
"""


def test_kill_9_of_the_node_leaves_no_zenohd(start: Start, engine: Engine, settings: EngineSettings) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        parent.stdin.write(msgspec.json.encode((engine, settings), enc_hook=str).decode())
        parent.stdin.close()
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.kill()
        parent.wait()
    eventually(lambda: nothing_runs(engine, settings))
    assert start().pid != pid


def test_one_that_was_killed_is_seen_to_be_gone(start: Start, settings: EngineSettings) -> None:
    process = start()
    os.kill(process.pid, signal.SIGTERM)
    eventually(lambda: not process.is_alive())
    process.stop()
    assert not settings.socket.exists()
    start()


# How it was built -----------------------------------------------------------------------------------------------------


def test_it_is_built_from_the_versions_that_zenohd_publishes(engine: Engine) -> None:
    theirs = (engine.plugins / wheel.ZENOHDS_LOCK).read_text()
    assert "zenohd" in theirs
    assert locks.differing((HERE / "Cargo.lock").read_text(), theirs) == []


def test_the_wheel_has_the_licences_of_what_is_in_it(engine: Engine) -> None:
    (folder,) = engine.plugins.parent.glob("nokosu_zenohd-*.dist-info/licenses")
    listed = (folder / "THIRD-PARTY.md").read_text()
    for name in ("zenohd 1.10.2", "zenoh 1.10.2", "zenoh-backend-rocksdb 1.10.2", "librocksdb-sys", "tokio 1.53.2"):
        assert f"| {name}" in listed
    texts = "".join(path.read_text(errors="replace") for path in folder.glob("*.txt"))
    assert "Apache License" in texts
    assert "Eclipse Public License - v 2.0" in texts
    assert "The LevelDB Authors" in texts


def test_no_path_of_the_machine_that_built_it_is_in_it(engine: Engine) -> None:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)  # HOME is another in tests
    for name in (plugins.PROGRAM, *plugins.LIBRARIES):
        content = (engine.plugins / name).read_bytes()
        assert b"/cargo/registry/src" in content
        assert f"{home}/.".encode() not in content
