"""Which zenohd: the folder that was named, the wheel `nokosu-zenohd`, or the one of the system; and whether it fits.

The router and its two plugins share memory without a stable interface, so all three must be of one version and one build.
Zenoh's loader refuses most of what differs; `check` asks it, by starting the three for a moment in a folder of their own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from nokosu import limits
from nokosu.config import Config
from nokosu.engine import complaints, plugins
from nokosu.engine.guard import Guarded
from nokosu.errors import MeshError

MINOR: Final = "1.10"  # of Zenoh: names in its configuration move with it, and our own client is of it too

_WHEEL: Final = "nokosu_zenohd"
_HINT: Final = "make engine-wheel in nokosu's source, then pip install it; or install zenohd, zenoh-plugin-storage-manager and zenoh-backend-rocksdb of one version"  # noqa: E501
_VERSION_SECONDS: Final = 10.0
_LIBRARY_FOLDERS: Final = (Path("/opt/homebrew/lib"), Path("/usr/local/lib"), Path("/usr/lib"))


class Engine(Struct, frozen=True):
    """A zenohd with both plugins: the program, the folder that they lie in, its version (1.10.2), and where it was found:
    `NOKOSU_ENGINE`, `wheel` or `system`.
    """

    zenohd: Path
    plugins: Path
    version: str
    origin: str


def find(config: Config) -> Engine:
    """The zenohd that this home would run.

    Raises:
        MeshError: there is none, or a part of it is missing.
    """
    if config.engine_folder is not None:
        return _complete(config.engine_folder / plugins.PROGRAM, [config.engine_folder], "NOKOSU_ENGINE")
    wheel = _wheel()
    if wheel is not None:
        return _complete(wheel / plugins.PROGRAM, [wheel], "wheel")
    system = shutil.which(plugins.PROGRAM)
    if system is not None:
        return _complete(Path(system), list(_usual_folders(Path(system), config.user_home)), "system")
    raise MeshError("there is no zenohd here", hint=_HINT)


def check(engine: Engine) -> None:
    """Start it for a moment, with both plugins and an empty RocksDB, and end it. Takes half a second.

    Raises:
        MeshError: it is of another version than we can configure, its parts do not fit together, or it does not run here.
    """
    if engine.version.rpartition(".")[0] != MINOR:
        raise MeshError(f"{engine.zenohd} is {engine.version}, and nokosu needs {MINOR}", hint=_HINT)
    with tempfile.TemporaryDirectory(prefix="nokosu-", dir="/tmp", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        said = _tried(engine, folder)
    if said:
        raise MeshError(f"{engine.zenohd} does not fit its plugins in {engine.plugins}: {said}", hint=_HINT)


def environment(root: Path) -> dict[str, str]:
    """What every zenohd of ours is started with: where RocksDB lies, and nothing of whoever starts it.

    At `info` it would write its whole configuration, the private key included, into its log; and the RocksDB backend warns
    of a dirty database whenever somebody asks for a key that is not there.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "LC_ALL": "C",
        # glibc keeps what is freed, an arena a thread: with 50,000 records zenohd was seen to hold 200 MB, of two arenas
        # 128 to 154, of one 121, no slower.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_TRIM_THRESHOLD_": "131072",
        "NO_COLOR": "1",
        "RUST_LOG": "warn,zenoh_backend_rocksdb=error",
        "RUST_BACKTRACE": "0",
        "UHLC_MAX_DELTA_MS": "315360000000",  # ten years: a wrong clock may pass, for our order never depends on it
        "ZENOH_BACKEND_ROCKSDB_ROOT": str(root),
    }


# Finding --------------------------------------------------------------------------------------------------------------


def _wheel() -> Path | None:
    """Where the wheel has put its files; it is not imported."""
    found = importlib.util.find_spec(_WHEEL)
    places = list(found.submodule_search_locations or []) if found is not None else []
    return Path(places[0]) if places else None


def _usual_folders(program: Path, user_home: Path) -> Iterator[Path]:
    """Where zenohd itself would look, in its order, and beside a Homebrew that lies elsewhere."""
    for place in (program, program.resolve()):
        yield place.parent
        yield place.parent.parent / "lib"
    yield user_home / ".zenoh/lib"
    yield from _LIBRARY_FOLDERS


def _complete(program: Path, folders: list[Path], origin: str) -> Engine:
    if not program.is_file() or not os.access(program, os.X_OK):
        raise MeshError(f"{program} is no program ({origin})", hint=_HINT)
    folder = next((folder for folder in folders if not plugins.missing(folder)), None)
    if folder is None:
        likeliest = min(folders, key=lambda folder: len(plugins.missing(folder)))
        names = " and ".join(plugins.missing(likeliest))
        raise MeshError(f"{program} is here without {names} ({likeliest})", hint=_HINT)
    return Engine(program, folder, _version(program), origin)


def _version(program: Path) -> str:
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"RUST_LOG": "off"},
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MeshError(f"{program} does not run here ({error})", hint=_HINT) from error
    found = re.search(rb"\bv?([0-9]+\.[0-9]+\.[0-9]+)", done.stdout)
    if found is None:
        said = complaints.last_words(done.stderr.decode(errors="replace")) or f"status {done.returncode}"
        raise MeshError(f"{program} does not say its version ({said})", hint=_HINT)
    return found[1].decode()


# Trying ---------------------------------------------------------------------------------------------------------------


def _tried(engine: Engine, folder: Path) -> str:
    """Why it cannot work; empty if it can."""
    socket, configuration, log = folder / "s", folder / "zenohd.json", folder / "zenohd.log"
    configuration.write_text(json.dumps(_trial(engine, socket)))
    command = [str(engine.zenohd), "-c", str(configuration)]
    running = Guarded(command, environ=environment(folder), folder=folder, log=log)
    try:
        until = time.monotonic() + limits.ENGINE_TRIAL_SECONDS
        while (
            running.is_alive() and not socket.exists()
        ):  # it is made last, when both storages are there or have failed
            if time.monotonic() > until:
                return f"it does nothing for {limits.ENGINE_TRIAL_SECONDS:.0f} seconds"
            time.sleep(0.01)  # a socket that appears tells nobody
        status = running.ended()
    finally:
        running.stop()
    said = log.read_text(errors="replace")
    if status is not None:
        return complaints.reason(said) or complaints.last_words(said) or f"it ends with status {status}"
    return complaints.storage_fault(said)


def _trial(engine: Engine, socket: Path) -> dict[str, object]:
    return {
        "mode": "router",
        "listen": {"endpoints": [f"unixsock-stream/{socket}"]},
        "scouting": {"multicast": {"enabled": False}, "gossip": {"enabled": False}},
        "timestamping": {"enabled": True},
        "adminspace": {"permissions": {"read": False, "write": False}},
        **plugins.loading(engine.plugins, {"trial": plugins.storage("nokosu/trial", "trial", None)}),
    }
