"""`python -m bench`: measure nokosu at several sizes, each figure beside its bare floor, and print a table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import command_line, library, machine, report, searching, servers, stores
from bench.figures import Figure
from bench.stores import Store

_SIZES = [0, 1_000, 10_000, 50_000, 200_000]
_QUICK_SIZES = [0, 1_000, 10_000]
_GOAL_SIZE = 50_000

Part = Callable[[], list[Figure]]


def main() -> int:
    """Measure, print, and write what was asked for."""
    options = _options()
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="nokosu-bench-", dir=options.folder) as named:
        folder = Path(named)
        before = machine.load()
        grown = stores.grow(folder, options.sizes, tell)
        figures: list[Figure] = []
        for name, part in _parts(grown, _goal_size(options.sizes), folder).items():
            if not options.only or name in options.only:
                tell(name)
                figures += part()
        described = machine.describe(folder, before, machine.load())
        largest = grown[max(grown)]
    command = _command(options)
    print(report.as_text(figures))
    print(report.verdicts(figures))
    if options.json:
        options.json.write_text(report.as_json(figures, described, command))
    if options.markdown:
        page = report.as_page(figures, described, command, largest.text_bytes // max(largest.notes, 1))
        report.write_page(options.markdown, page)
    tell("done")
    return 0


def _parts(grown: dict[int, Store], goal_size: int, folder: Path) -> dict[str, Part]:
    goal_store = grown[goal_size]
    return {
        "loading": lambda: library.loading(grown),
        "opening": lambda: library.opening(grown, goal_size),
        "command": lambda: command_line.searching_by_command(_up_to(grown, goal_size), goal_size, folder),
        "saving": lambda: library.saving(grown, goal_size, folder),
        "searching": lambda: searching.searching(grown, goal_size),
        "reading": lambda: library.reading(grown, goal_size),
        "rebuilding": lambda: library.rebuilding(grown, goal_size, folder),
        "serving": lambda: servers.serving(goal_store),
    }


def _up_to(grown: dict[int, Store], size: int) -> dict[int, Store]:
    return {notes: store for notes, store in grown.items() if notes <= size}


def _goal_size(sizes: list[int]) -> int:
    """The goals are set for 50,000 notes; a smaller run shows them at its largest size."""
    return _GOAL_SIZE if _GOAL_SIZE in sizes else max(sizes)


def _command(options: argparse.Namespace) -> str:
    """What makes the same table again, wherever the files go."""
    sizes = ",".join(map(str, options.sizes))
    return (
        "python -m bench" + (f" --sizes {sizes}" if options.sizes != _SIZES else "") + " --markdown docs/benchmarks.md"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--sizes", type=_sizes, metavar="N,N,...", help="notes in each store (default: 0,1000,...,200000)"
    )
    parser.add_argument("--quick", action="store_true", help="sizes 0, 1000 and 10000: a minute and a half")
    parser.add_argument(
        "--only", action="append", metavar="PART", help="one part (loading, opening, command, saving, ...)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page docs/benchmarks.md")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        default=os.environ.get("TMPDIR"),
        help="where to put the stores: a real disk",
    )
    options = parser.parse_args()
    options.sizes = options.sizes or (_QUICK_SIZES if options.quick else _SIZES)
    return options


def _sizes(text: str) -> list[int]:
    return sorted({int(size) for size in text.split(",")})


if __name__ == "__main__":
    raise SystemExit(main())
