"""The wheel `nokosu-zenohd`: three files and their licences, in the format of PEP 427, the same bytes for the same files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from engine.building import LIBRARIES

PACKAGE: Final = "nokosu_zenohd"
FORMAT: Final = 2  # of what is packed: another number has it packed anew
BUILD: Final = "build.json"  # written last: where it is, everything is
LICENCES: Final = "licences"
ZENOHDS_LOCK: Final = "zenohd.lock"  # as zenohd publishes it, so that ours can be compared with it at any time
SUMMARY: Final = "zenohd with its storage manager and RocksDB, for nokosu"
LICENCE: Final = "EPL-2.0 OR Apache-2.0; what it is made of has licences of its own, see licenses/THIRD-PARTY.md"

_PROGRAM: Final = 0o755
_FILE: Final = 0o644
_INIT: Final = f'"""{SUMMARY}: files only; `nokosu.engine.located` finds them."""\n'


def write(folder: Path, version: str, told: dict[str, Any]) -> Path:
    """Pack what lies in *folder* into a wheel there; *told* becomes its `build.json`."""
    tag = f"py3-none-{platform_tag(folder)}"
    info = f"{PACKAGE}-{version}.dist-info"
    text = json.dumps(told, indent=1) + "\n"
    files: list[tuple[str, bytes, int]] = [
        (f"{PACKAGE}/__init__.py", _INIT.encode(), _FILE),
        (f"{PACKAGE}/{BUILD}", text.encode(), _FILE),
        (f"{PACKAGE}/zenohd", (folder / "zenohd").read_bytes(), _PROGRAM),
        *((f"{PACKAGE}/{name}", (folder / name).read_bytes(), _PROGRAM) for name in LIBRARIES),
        (f"{PACKAGE}/{ZENOHDS_LOCK}", (folder / ZENOHDS_LOCK).read_bytes(), _FILE),
        (f"{info}/METADATA", _metadata(version).encode(), _FILE),
        (
            f"{info}/WHEEL",
            f"Wheel-Version: 1.0\nGenerator: nokosu\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
            _FILE,
        ),
        *((f"{info}/licenses/{path.name}", path.read_bytes(), _FILE) for path in sorted((folder / LICENCES).iterdir())),
    ]
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data, _ in files) + f"{info}/RECORD,,\n"
    made = folder / f"{PACKAGE}-{version}-{tag}.whl"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in [*files, (f"{info}/RECORD", record.encode(), _FILE)]:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    (folder / BUILD).write_text(text)
    return made


def platform_tag(folder: Path) -> str:
    """Which systems the files in *folder* run on: on Linux, from the newest symbol of glibc that they ask for."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return f"macosx_{platform.mac_ver()[0].split('.')[0]}_0_{machine}"
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names or not os.confstr("CS_GNU_LIBC_VERSION"):
        return f"linux_{machine}"
    newest = max(_glibc_versions(folder), default=17)
    return f"manylinux_2_{newest}_{machine}"


def _glibc_versions(folder: Path) -> Iterator[int]:
    for name in ("zenohd", *LIBRARIES):
        yield from (int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", (folder / name).read_bytes()))


def _metadata(version: str) -> str:
    return (
        f"Metadata-Version: 2.1\nName: nokosu-zenohd\nVersion: {version}\nSummary: {SUMMARY}\n"
        f"License: {LICENCE}\nRequires-Python: >=3.11\n\n"
        "Unmodified builds of Eclipse zenoh's zenohd, zenoh-plugin-storage-manager and zenoh-backend-rocksdb, made from\n"
        "their published crates by one compiler.\n"
    )


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
