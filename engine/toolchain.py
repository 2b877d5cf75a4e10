"""The compilers that the engine needs; what is missing is told before anything is built, with the package that has it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.building import Failed

RUST_MIN: Final = (1, 89)  # the newest that a crate of the lock asks for
_LIBCLANG: Final = (
    "/usr/lib/llvm-*/lib", "/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/homebrew/opt/llvm/lib",
    "/usr/local/opt/llvm/lib", "/Library/Developer/CommandLineTools/usr/lib",
    "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
)  # fmt: skip


def rustc() -> str:
    """What the Rust compiler says of itself.

    Raises:
        Failed: there is none.
    """
    try:
        return subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        raise Failed(f"no Rust here: {_advice('rustc-web cargo-web', 'rust')}") from None


def check(compiler: str) -> None:
    """See that everything is there. *compiler* is what `rustc` has said.

    Raises:
        Failed: names what is missing, all of it.
    """
    missing = list(_missing(compiler))
    if missing:
        raise Failed("; ".join(missing))


def _missing(compiler: str) -> Iterator[str]:
    found = re.search(r"^release: (\d+)\.(\d+)", compiler, re.MULTILINE)
    if found is None or (int(found[1]), int(found[2])) < RUST_MIN:
        least = ".".join(map(str, RUST_MIN))
        yield f"Rust {least} or newer is needed: {_advice('rustc-web cargo-web', 'rust')}"
    if shutil.which("cargo") is None:
        yield f"no cargo here: {_advice('cargo-web', 'rust')}"
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        yield f"no C++ compiler here, for RocksDB: {_advice('g++', 'llvm')}"
    if shutil.which("make") is None:
        yield f"no make here: {_advice('make', 'make')}"
    if not _has_libclang():
        yield f"no libclang here, for RocksDB: {_advice('libclang-dev', 'llvm')}"


def _has_libclang() -> bool:
    folders = [Path(os.environ["LIBCLANG_PATH"])] if os.environ.get("LIBCLANG_PATH") else []
    folders += [folder for pattern in _LIBCLANG for folder in Path("/").glob(pattern[1:])]
    return any(
        next(folder.glob("libclang*.so*"), None) or next(folder.glob("libclang.dylib"), None) for folder in folders
    )


def _advice(debian: str, homebrew: str) -> str:
    return f"brew install {homebrew}" if sys.platform == "darwin" else f"apt-get install {debian}"
