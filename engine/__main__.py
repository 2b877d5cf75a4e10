"""Build the engine once, and have it where it is wanted. Standard library only: `python3 -m engine --help`.

key       lock, Cargo.toml, compiler: what the result depends on
cache     NOKOSU_ENGINE_CACHE, else ~/.cache/nokosu-engine: target/ is Cargo's, built/<key>/ the results
build     zenohd and both plugins, by one compiler in one target folder; strip; compare the locks; pack the wheel
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Final

from engine import building, licences, locks, toolchain, wheel
from engine.building import Failed

HERE: Final = Path(__file__).parent
KEPT: Final = 3  # results of other locks and compilers that stay in the cache


def main() -> int:
    options = _options()
    try:
        compiler = toolchain.rustc()
        version = tomllib.loads((HERE / "Cargo.toml").read_text())["package"]["version"]
        built = cache() / "built" / key(compiler, version)
        if not (built / wheel.BUILD).exists():
            _build(built, compiler, version)
    except Failed as failed:
        print(f"engine: {failed}", file=sys.stderr)
        if options.optional:
            print("engine: not built, so the tests that need it are skipped.", file=sys.stderr)
        return 0 if options.optional else 1
    if options.install:
        _install(built)
    if options.wheel is not None:
        options.wheel.mkdir(parents=True, exist_ok=True)
        print(shutil.copy(_wheel(built), options.wheel))
    elif not options.install:
        print(built)
    return 0


def cache() -> Path:
    """Where everything is built and kept."""
    named = os.environ.get("NOKOSU_ENGINE_CACHE", "")
    return Path(named).absolute() if named else Path.home() / ".cache/nokosu-engine"


def key(compiler: str, version: str) -> str:
    """A name for everything that the result depends on. *compiler* is what `rustc -vV` says."""
    lock = (HERE / "Cargo.lock").read_bytes()
    manifest = (HERE / "Cargo.toml").read_bytes()
    parts = [lock, manifest, compiler.encode(), version.encode(), str(wheel.FORMAT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m engine", description="Build zenohd and its two plugins, once.")
    parser.add_argument("--install", action="store_true", help="install the wheel beside this Python")
    parser.add_argument("--wheel", type=Path, metavar="FOLDER", help="copy the wheel there and print its path")
    parser.add_argument("--optional", action="store_true", help="without a compiler, say so and succeed")
    return parser.parse_args()


def _build(built: Path, compiler: str, version: str) -> None:
    toolchain.check(compiler)
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        _wait_for(lock.fileno())
        if (built / wheel.BUILD).exists():
            return  # while we waited
        began = time.monotonic()
        cargo = building.Cargo(folder, HERE)
        cargo.build_plugins()
        cargo.install_zenohd(version)
        theirs = (cargo.source("zenohd", version) / "Cargo.lock").read_text()
        _compare(theirs)
        made = built.with_name(f"{built.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        cargo.collect(made)
        (made / wheel.ZENOHDS_LOCK).write_text(theirs)
        licences.collect(cargo.packages(version), made / wheel.LICENCES)
        told = {"key": built.name, "zenoh": version, "rustc": compiler.partition("\n")[0]}
        wheel.write(made, version, told)
        shutil.rmtree(built, ignore_errors=True)
        made.rename(built)
        _forget_old(built)
    print(f"engine: built in {(time.monotonic() - began) / 60:.1f} minutes, and kept in {built}")


def _wait_for(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("engine: another build is at work; waiting for it ...", flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _compare(theirs: str) -> None:
    differing = locks.differing((HERE / "Cargo.lock").read_text(), theirs)
    if differing:
        raise Failed(
            f"Cargo.lock differs from zenohd's own in {', '.join(differing)}: seed it again (engine/README.md)"
        )


def _forget_old(built: Path) -> None:
    others = [path for path in built.parent.iterdir() if path != built]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def _install(built: Path) -> None:
    if _installed_key() == built.name:
        return
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--force-reinstall", _wheel(built)], check=True)


def _installed_key() -> str:
    found = importlib.util.find_spec(wheel.PACKAGE)
    places = list(found.submodule_search_locations or []) if found is not None else []
    try:
        return str(json.loads((Path(places[0]) / wheel.BUILD).read_text())["key"])
    except (IndexError, OSError, ValueError, LookupError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
