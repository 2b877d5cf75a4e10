"""The licences of everything that is in the wheel, as far as the crates ship them: each text once, and a list of whose."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Final

LIST: Final = "THIRD-PARTY.md"
_NAMED: Final = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE|EPL)", re.IGNORECASE)
_TEXT: Final = frozenset({"", ".md", ".txt", ".apache", ".leveldb", ".mit"})
_BYTES_MAX: Final = 256 * 1024


def collect(packages: list[dict[str, Any]], folder: Path) -> None:
    """Write into *folder* the list of *packages*, as `cargo metadata` describes them, and their texts."""
    folder.mkdir(parents=True)
    lines = ["# What this wheel is made of", "", "| crate | licence | source | texts |", "| --- | --- | --- | --- |"]
    for package in packages:
        texts = [_keep(path, folder) for path in _texts(Path(package["manifest_path"]).parent)]
        cells = (
            f"{package['name']} {package['version']}",
            package["license"] or package["license_file"] or "see its texts",
            package["repository"] or "",
            ", ".join(sorted(set(texts))),
        )
        lines.append(f"| {' | '.join(cells)} |")
    (folder / LIST).write_text("\n".join(lines) + "\n")


def _texts(crate: Path) -> list[Path]:
    """Files that say whose it is: its own, and one level below, those of the C or C++ library that it carries."""
    found = [path for pattern in ("*", "*/*") for path in crate.glob(pattern)]
    return sorted(path for path in found if _is_text(path))


def _is_text(path: Path) -> bool:
    if not _NAMED.match(path.name) or not path.is_file() or path.stat().st_size > _BYTES_MAX:
        return False
    return path.suffix.lower() in _TEXT or path.suffix[1:].isupper() or "-" in path.suffix


def _keep(path: Path, folder: Path) -> str:
    text = path.read_bytes()
    name = f"{path.stem[:24]}-{hashlib.sha256(text).hexdigest()[:8]}.txt"
    (folder / name).write_bytes(text)
    return name
