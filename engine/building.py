"""Cargo at work: both plugins and zenohd in one target folder, with progress, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

CRATES: Final = 440  # compiled for the plugins and for zenohd together, on Linux
CORE_SECONDS: Final = 2340  # what all of it took, times the two cores that it had
LINES_SHOWN: Final = 20  # of Cargo's own words, when it fails

SUFFIX: Final = ".dylib" if sys.platform == "darwin" else ".so"
LIBRARIES: Final = (f"libzenoh_plugin_storage_manager{SUFFIX}", f"libzenoh_backend_rocksdb{SUFFIX}")


class Failed(Exception):
    """The engine cannot be built; says why in a line."""


class Cargo:
    """Cargo, in the folder *cache*, for the package in *package*."""

    def __init__(self, cache: Path, package: Path) -> None:
        self._cache = cache
        self._package = package
        self._installed = cache / "install"
        self._progress = Progress()

    def build_plugins(self) -> None:
        self._run(["cargo", "build", "--release", "--locked", "--manifest-path", str(self._package / "Cargo.toml")])

    def install_zenohd(self, version: str) -> None:
        root = str(self._installed)
        self._run(
            [
                *("cargo", "install", "zenohd", "--version", f"={version}"),
                *("--locked", "--no-track", "--force", "--root", root),
            ]
        )

    def collect(self, folder: Path) -> None:
        """Copy the three files into *folder*, without their symbols."""
        shutil.copy(self._installed / "bin/zenohd", folder / "zenohd")
        for name in LIBRARIES:
            stem, _, suffix = name.rpartition(".")
            made = sorted((self._cache / "target/release/deps").glob(f"{stem}-*.{suffix}"), key=_changed)
            if not made:
                raise Failed(f"Cargo has made no {name}")
            shutil.copy(made[-1], folder / name)
        _strip(folder / "zenohd", *(folder / name for name in LIBRARIES))

    def packages(self, version: str) -> list[dict[str, Any]]:
        """All crates that are in one of the three, as Cargo describes them."""
        manifests = (self._package / "Cargo.toml", self.source("zenohd", version) / "Cargo.toml")
        found = {package["id"]: package for manifest in manifests for package in self._metadata(manifest)}
        return [found[id] for id in sorted(found) if found[id]["name"] != "nokosu-engine"]

    def source(self, name: str, version: str) -> Path:
        """Where Cargo has unpacked a crate."""
        beside = next(p for p in self._metadata(self._package / "Cargo.toml") if p["name"] == "zenoh")
        return Path(beside["manifest_path"]).parents[1] / f"{name}-{version}"

    def _metadata(self, manifest: Path) -> list[dict[str, Any]]:
        host = next(line.split()[1] for line in _said("rustc", "-vV").splitlines() if line.startswith("host:"))
        told = _said(
            *("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host),
            *("--manifest-path", str(manifest)),
        )
        packages: list[dict[str, Any]] = json.loads(told)["packages"]
        return packages

    def _run(self, command: Sequence[str]) -> None:
        with subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._cache,
        ) as process:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                self._progress.told(line)
        self._progress.clear()
        if process.returncode:
            last = "".join(said[-LINES_SHOWN:])
            raise Failed(f"{' '.join(command[:2])} failed:\n{last}")

    def _environment(self) -> dict[str, str]:
        """No path of this machine in the result, and the same flags each time: others would build everything anew."""
        home = os.environ.get("CARGO_HOME", "") or str(Path.home() / ".cargo")
        return {
            **os.environ,
            "CARGO_TARGET_DIR": str(self._cache / "target"),
            "CARGO_TERM_COLOR": "never",
            "CARGO_TERM_PROGRESS_WHEN": "never",
            "RUSTFLAGS": f"--remap-path-prefix={home}=/cargo --remap-path-prefix={self._cache}=/build",
        }


class Progress:
    """How far it is: a line that changes on a terminal, one each half minute elsewhere."""

    def __init__(self) -> None:
        self._began = self._shown = time.monotonic()
        self._crates = 0
        self._is_terminal = sys.stdout.isatty()

    def told(self, line: str) -> None:
        """Take note of a line of Cargo's."""
        if not line.lstrip().startswith("Compiling "):
            return
        self._crates += 1
        if self._crates == 1:
            print(f"engine: building zenohd and its plugins, once: about {_minutes(_expected())} here ...", flush=True)
        now = time.monotonic()
        if now - self._shown >= (1 if self._is_terminal else 30):
            self._shown = now
            left = max(_expected() - (now - self._began), 0)
            shown = f"engine: {self._crates} of {CRATES} crates, about {_minutes(left)} more"
            print(f"\r\x1b[K{shown}" if self._is_terminal else shown, end="" if self._is_terminal else "\n", flush=True)

    def clear(self) -> None:
        if self._is_terminal:
            print("\r\x1b[K", end="", flush=True)


def _expected() -> float:
    return CORE_SECONDS / min(os.cpu_count() or 2, 8)


def _minutes(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _strip(program: Path, *libraries: Path) -> None:
    if shutil.which("strip") is None:
        print("engine: no strip here, so the files stay large: apt-get install binutils", file=sys.stderr)
        return
    keep_dynamic = ["-x"] if sys.platform == "darwin" else ["--strip-unneeded"]
    subprocess.run(["strip", program], check=True)
    subprocess.run(["strip", *keep_dynamic, *libraries], check=True)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failed(f"{' '.join(command[:2])} failed: {done.stderr.strip()}")
    return done.stdout


def _changed(path: Path) -> float:
    return path.stat().st_mtime
