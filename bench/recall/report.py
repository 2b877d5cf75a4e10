"""The outcomes as tables to read, as JSON, and as the figures and the chart of docs/recall.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from bench.recall import chart, measures
from bench.recall.measures import Outcome, Summary
from bench.report import as_markdown

ALL: Final = "all with an answer"
AGENT_NOTES: Final = "agent-notes, report half"
_COLUMNS: Final = (
    ("hit@1", "hit_1"), ("hit@5", "hit_5"), ("hit@10", "hit_10"), ("R@5", "recall_5"), ("R@10", "recall_10"), ("MRR", "mrr"),
    ("empty", "empty"), ("no strong hit", "none_strong"), ("wrong first", "wrong_first"), ("in order", "in_order"),
)  # fmt: skip
_MARKS: Final = ("<!-- figures: begin -->", "<!-- figures: end -->")
_FIGURES: Final = re.compile(f"{_MARKS[0]}.*{_MARKS[1]}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Measured:
    """One variant on one set, or on one half of it."""

    set: str
    variant: str
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the default is to reach: on which sets, of which kind of question, by which measure."""

    set: str
    kind: str
    measure: str
    least: float


GOALS: Final = (
    *(Goal("agent-notes", kind, "hit@5", 0.95) for kind in ("keyword", "identifier", "ja")),
    Goal("agent-notes", "question", "hit@5", 0.98),
    Goal("agent-notes", "question", "MRR", 0.93),
    Goal("agent-notes", "superseded", "in order", 1.0),
    Goal("agent-notes", "temporal", "hit@5", 0.93),
    Goal("agent-notes", "unanswered", "no strong hit", 0.8),
    Goal("devmembench", ALL, "R@5", 0.9),
    Goal("devmembench", ALL, "MRR", 0.87),
    Goal("coding-agent-life", ALL, "R@5", 1.0),
)


def as_text(measured: Sequence[Measured]) -> str:
    """All figures for a terminal."""
    rows = _rows(measured)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def compared(measured: Sequence[Measured], before: Sequence[Measured]) -> str:
    """How each variant differs from itself in an earlier run, question by question."""
    earlier = {(one.set, one.variant): one for one in before}
    pairs = [(one, earlier[one.set, one.variant]) for one in measured if (one.set, one.variant) in earlier]
    return "\n".join(f"{one.set}, {one.variant}, since then: {_difference(one, other)}" for one, other in pairs)


def write_json(path: Path, measured: Sequence[Measured]) -> None:
    """Write how each question went."""
    found = [
        {"set": one.set, "variant": one.variant, "outcomes": [outcome.as_json() for outcome in one.outcomes]}
        for one in measured
    ]
    path.write_text(json.dumps(found, indent=1) + "\n")


def read_json(path: Path) -> list[Measured]:
    """What `write_json` wrote; figures that an older version did not know are 0."""
    names = {field.name for field in fields(Outcome)}
    return [
        Measured(
            one["set"],
            one["variant"],
            tuple(Outcome(**{"strong": 0} | {k: v for k, v in row.items() if k in names}) for row in one["outcomes"]),
        )
        for one in json.loads(path.read_text())
    ]


def write_page(path: Path, measured: Sequence[Measured]) -> None:
    """Put the figures in their place on the page, and draw its chart."""
    parts = [
        "Goals of the default, on each half:\n",
        as_markdown(_goals(measured)),
        "\nAll figures:\n",
        as_markdown(_rows(measured)),
        "\nThe default against the bare FTS5 table, per question, with the 95 % interval of the paired bootstrap:\n",
        *_against_floor(measured),
    ]
    figures = "\n".join([_MARKS[0], "", *parts, "", _MARKS[1]])
    path.write_text(_FIGURES.sub(lambda _: figures, path.read_text()))
    path.with_suffix(".svg").write_text(_chart(measured))


def _rows(measured: Sequence[Measured]) -> list[list[str]]:
    rows = [["set", "variant", "kind", "n", *(name for name, _ in _COLUMNS)]]
    for one in measured:
        for kind, outcomes in _kinds(one).items():
            found = measures.summary(outcomes)
            rows.append([one.set, one.variant, kind, str(found.count), *(_cell(found, name) for _, name in _COLUMNS)])
    return rows


def _kinds(one: Measured) -> dict[str, list[Outcome]]:
    """By kind, and all that have an answer; kinds of a question or two are not shown alone."""
    kinds = {kind: found for kind, found in measures.by_kind(one.outcomes).items() if len(found) > 2}
    return {**kinds, ALL: measures.answered(one.outcomes)}


def _cell(found: Summary, name: str) -> str:
    value = getattr(found, name)
    return "" if value is None else f"{value:.3f}".removeprefix("0") if value < 1 else "1.00"


def _goals(measured: Sequence[Measured]) -> list[list[str]]:
    rows = [["set", "kind", "measure", "goal", "development half", "report half", "all", ""]]
    for goal in GOALS:
        of_set = {one.set: one for one in measured if one.variant == "default" and one.set.startswith(goal.set)}
        halves = [
            _value(goal, [one])
            for half in ("development", "report")
            for one in [of_set.get(f"{goal.set}, {half} half")]
        ]
        whole = _value(goal, list(of_set.values()))
        if whole is not None:
            decides = halves[1] if halves[1] is not None and goal.set == "agent-notes" else whole
            verdict = "met" if decides >= goal.least else "**missed**"
            shown = ["" if value is None else f"{value:.3f}" for value in (*halves, whole)]
            rows.append([goal.set, goal.kind, goal.measure, f"≥ {goal.least:.2f}", *shown, verdict])
    return rows


def _value(goal: Goal, measured: Sequence[Measured | None]) -> float | None:
    outcomes = [outcome for one in measured if one is not None for outcome in _kinds(one).get(goal.kind, ())]
    if not outcomes:
        return None
    value: float | None = getattr(measures.summary(outcomes), dict(_COLUMNS)[goal.measure])
    return value


def _against_floor(measured: Sequence[Measured]) -> list[str]:
    floors = {one.set: one for one in measured if one.variant != "default"}
    ours = [one for one in measured if one.variant == "default" and one.set in floors]
    return [f"- {one.set}: {_difference(one, floors[one.set])}" for one in ours]


def _difference(one: Measured, other: Measured) -> str:
    values: tuple[tuple[str, Callable[[Outcome], float]], ...] = (
        ("hit@5", lambda outcome: outcome.hit(5)),
        ("MRR", lambda outcome: outcome.reciprocal),
    )
    shown = []
    for name, value in values:
        difference = measures.difference(measures.answered(one.outcomes), measures.answered(other.outcomes), value)
        shown.append("{} {:+.3f} ({:+.3f} to {:+.3f})".format(name, *difference))
    return ", ".join(shown)


def _chart(measured: Sequence[Measured]) -> str:
    chosen = [one for one in measured if one.set == AGENT_NOTES]
    values = {
        one.variant: {kind: measures.summary(found).hit_5 for kind, found in _kinds(one).items()} for one in chosen
    }
    kinds = [kind for kind in _kinds(chosen[0]) if kind not in (ALL, "unanswered")] if chosen else []
    goals = {goal.kind: goal.least for goal in GOALS if goal.set == "agent-notes" and goal.measure == "hit@5"}
    return chart.draw("hit@5 on agent-notes, report half", kinds, values, goals)
