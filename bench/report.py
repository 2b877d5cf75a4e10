"""The figures as a table to read, as JSON, and as the page docs/benchmarks.md."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, Verdict
from bench.machine import Machine

_HEADINGS = ("figure", "notes", "p50", "p99", "CPU p50 / p99", "floor", "× floor", "goal", "")
_SIGNS = {Verdict.MET: "met", Verdict.MET_IN_CPU_TIME: "met in CPU time only", Verdict.MISSED: "**missed**"}

_PAGE = """\
# Benchmarks

Written by `{command}`; do not edit. `make bench` measures the same on your machine (`make bench ARGS=--quick` in a minute and a
half), `make bench-peer` beside kioku-mesh. No test depends on a time.

## How it is measured

- **Notes**: about 110 words each, {text_bytes} bytes of text, from a vocabulary of 12,000 made-up words under Zipf's law with English
  function words on top, identifiers, tags and references; 12 projects, three agents; one note in 50 supersedes an earlier one.
  Seeded: each run has the same. "0" is a store with a single note.
- **Floors**: beside each figure, in the same run and in turn with it, the same work by SQLite, Python or the MCP SDK alone.
  What holds on another machine is the ratio; the milliseconds hold on this one.
- **p50 and p99** are of wall time; CPU time stands beside them, because others used the machine.
- **Save**: one note at a time into each store in turn, and after each a bare insert of as many bytes with the same durability.
- **Search**: words are drawn from the notes, function words left out, as a person would; the question is 16 such words of one
  note, which is harder than a question with "how" and "the" in it. "In a project" is what an agent gets: its project first, then
  stronger hits from elsewhere. Its floor is one full-text query for the same words, without project, filters or checks.
- **`nokosu search`** is the whole process, from start to end, in a git repository; **MCP** is a server over pipes.

## Machine

{system}, {cores} cores, {memory} GiB of memory, {file_system}; Python {python}, SQLite {sqlite}. Load average {load_before:.1f} before
and {load_after:.1f} after; a fixed loop took {loop_before:.1f} ms of CPU before and {loop_after:.1f} ms after.

## Figures

{table}

Floors: {floors}.

## Goals

{verdicts}
"""


MESH_HEADING = "## Mesh"
ENGINE_HEADING = "## Engine"
PEER_HEADING = "## Beside kioku-mesh"
_PARTS = (MESH_HEADING, ENGINE_HEADING, PEER_HEADING)

_MESH_PART = """\
## Mesh

Written by `make bench-mesh ARGS="--markdown docs/benchmarks.md"`: devices on loopback, paired with `nokosu invite` and
`nokosu join`, their nodes real processes on the same {cores} cores. Load average
{load_before:.1f} before and {load_after:.1f} after; a fixed loop took {loop_before:.1f} ms of CPU before and {loop_after:.1f} ms after.

{table}

{verdicts}
"""

_ENGINE_PART = """\
## Engine

Written by `make bench-engine ARGS="--markdown docs/benchmarks.md"`: the real zenohd with its storage manager, RocksDB and
replication every 10 s, on hosts that are network namespaces of the same {cores} cores. A transport counts as open from its
TCP connection on. Figures of kioku-mesh are those that it has published. Load average
{load_before:.1f} before and {load_after:.1f} after; a fixed loop took {loop_before:.1f} ms of CPU before and {loop_after:.1f} ms after.

{table}

{verdicts}
"""


def write_page(path: Path, page: str) -> None:
    """Write the first part of docs/benchmarks.md, and keep the parts that other benchmarks wrote."""
    _, *others = _split(path)
    _join(path, [page, *others])


def write_part(path: Path, part: str) -> None:
    """Put *part*, which begins with one of the headings, in its place behind the other figures."""
    first, *others = _split(path)
    by_heading = {_heading(other): other for other in others} | {_heading(part): part}
    _join(path, [first, *(by_heading[name] for name in _PARTS if name in by_heading)])


def _heading(part: str) -> str:
    return next(name for name in _PARTS if part.startswith(name))


def _split(path: Path) -> list[str]:
    text = path.read_text() if path.exists() else ""
    return re.split(f"^(?={'|'.join(map(re.escape, _PARTS))})", text, flags=re.MULTILINE)


def _join(path: Path, parts: Sequence[str]) -> None:
    path.write_text("\n\n".join(part.strip() for part in parts if part.strip()) + "\n")


def as_mesh_part(figures: Sequence[Figure], machine: Machine) -> str:
    """The part of docs/benchmarks.md on the mesh."""
    return _filled(_MESH_PART, figures, machine)


def as_engine_part(figures: Sequence[Figure], machine: Machine) -> str:
    """The part of docs/benchmarks.md on zenohd."""
    return _filled(_ENGINE_PART, figures, machine)


def _filled(part: str, figures: Sequence[Figure], machine: Machine) -> str:
    return part.format(
        cores=machine.cores,
        load_before=machine.load_before,
        load_after=machine.load_after,
        loop_before=machine.loop_ms_before,
        loop_after=machine.loop_ms_after,
        table=as_markdown(table(figures)),
        verdicts=verdicts(figures),
    )


def table(figures: Sequence[Figure]) -> list[list[str]]:
    """The rows of the table, headings first."""
    return [list(_HEADINGS), *(_row(figure) for figure in figures)]


def as_text(figures: Sequence[Figure]) -> str:
    """The table for a terminal."""
    rows = table(figures)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(figures: Sequence[Figure], machine: Machine, command: str) -> str:
    """Everything that was measured."""
    found: dict[str, Any] = {
        "command": command,
        "machine": dataclasses.asdict(machine),
        "figures": [_json(figure) for figure in figures],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def as_page(figures: Sequence[Figure], machine: Machine, command: str, text_bytes: int) -> str:
    """docs/benchmarks.md."""
    floors = {figure.name.split(",")[0]: figure.floor_name for figure in figures if figure.floor_name}
    named = {
        name: ", ".join(dict.fromkeys(one for one, floor in floors.items() if floor == name))
        for name in floors.values()
    }
    return _PAGE.format(
        command=command,
        text_bytes=text_bytes,
        system=machine.system,
        cores=machine.cores,
        memory=machine.memory_gib,
        file_system=machine.file_system,
        python=machine.python,
        sqlite=machine.sqlite,
        load_before=machine.load_before,
        load_after=machine.load_after,
        loop_before=machine.loop_ms_before,
        loop_after=machine.loop_ms_after,
        table=as_markdown(table(figures)),
        floors="; ".join(f"{figure_names}: {floor}" for floor, figure_names in named.items()),
        verdicts=verdicts(figures),
    )


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows, headings first, as a table in Markdown."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{'---|' * len(rows[0])}", *body])


def verdicts(figures: Sequence[Figure]) -> str:
    """How many goals are met, and each that is not, with what was measured."""
    goals = [(figure, goal) for figure in figures for goal in figure.goals]
    met = sum(goal.verdict is Verdict.MET for _, goal in goals)
    lines = [f"{met} of {len(goals)} goals are met."]
    for figure, goal in goals:
        if goal.verdict is not Verdict.MET:
            in_cpu_time = f", {_number(goal.cpu_value)} in CPU time" if goal.cpu_value is not None else ""
            lines.append(
                f"- {_SIGNS[goal.verdict]}: {figure.name}, {_count(figure.notes)} notes: {goal}, "
                f"measured {_number(goal.value)}{in_cpu_time}"
            )
    return "\n".join(lines)


def _row(figure: Figure) -> list[str]:
    spread, floor = figure.spread, figure.floor
    unit = f" {figure.unit}".rstrip()
    if spread is not None:
        values = [
            _number(spread.p50) + unit,
            _number(spread.p99) + unit,
            f"{_number(spread.cpu_p50)} / {_number(spread.cpu_p99)}",
        ]
    else:
        values = [_number(figure.value) + unit, "", figure.remark]
    floor_value = floor.p50 if floor is not None else figure.floor_value
    return [
        figure.name,
        _count(figure.notes),
        *values,
        "" if floor_value is None else _number(floor_value) + unit,
        _ratio(figure),
        "; ".join(str(goal).strip() for goal in figure.goals),
        "; ".join(dict.fromkeys(_SIGNS[goal.verdict] for goal in figure.goals)),
    ]


def _ratio(figure: Figure) -> str:
    if figure.ratio_to_floor is None:
        return ""
    in_cpu_time = figure.cpu_ratio_to_floor
    return f"{figure.ratio_to_floor:.1f}" + ("" if in_cpu_time is None else f" (CPU {in_cpu_time:.1f})")


def _json(figure: Figure) -> dict[str, Any]:
    goals = [{**dataclasses.asdict(goal), "goal": str(goal), "verdict": goal.verdict.value} for goal in figure.goals]
    found = {**dataclasses.asdict(figure), "ratio_to_floor": figure.ratio_to_floor, "goals": goals}
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def _count(notes: int | None) -> str:
    return "" if notes is None else f"{notes:,}"
