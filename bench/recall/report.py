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
SEMANTIC: Final = "[semantic]"
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
    """What the default and `[semantic]` are to reach: on which sets, of which kind of question, by which measure; None where words
    alone promise nothing.
    """

    set: str
    kind: str
    measure: str
    default: float | None
    semantic: float


GOALS: Final = (
    *(Goal("agent-notes", kind, "hit@5", 0.95, 0.98) for kind in ("keyword", "identifier", "ja")),
    Goal("agent-notes", "question", "hit@5", 0.98, 0.99),
    Goal("agent-notes", "question", "MRR", 0.93, 0.95),
    Goal("agent-notes", "paraphrase", "hit@5", None, 0.72),
    Goal("agent-notes", "paraphrase", "MRR", None, 0.50),
    Goal("agent-notes", "crosslingual", "hit@5", None, 0.90),
    Goal("agent-notes", "superseded", "in order", 1.0, 1.0),
    Goal("agent-notes", "temporal", "hit@5", 0.93, 0.93),
    Goal("agent-notes", "unanswered", "no strong hit", 0.8, 0.8),
    Goal("devmembench", ALL, "R@5", 0.9, 0.93),
    Goal("devmembench", ALL, "MRR", 0.87, 0.88),
    Goal("coding-agent-life", ALL, "R@5", 1.0, 1.0),
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
        as_markdown(_goals(measured, "default")),
        "\nGoals of `[semantic]`:\n",
        as_markdown(_goals(measured, SEMANTIC)),
        "\nAll figures:\n",
        as_markdown(_rows(measured)),
        "\nThe default against the bare FTS5 table, per question, with the 95 % interval of the paired bootstrap:\n",
        *_against(measured, "default", "bare FTS5"),
        "\n`[semantic]` against the default, likewise:\n",
        *_against(measured, SEMANTIC, "default"),
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


def _goals(measured: Sequence[Measured], variant: str) -> list[list[str]]:
    rows = [["set", "kind", "measure", "goal", "development half", "report half", "all", ""]]
    for goal in GOALS:
        least = goal.semantic if variant == SEMANTIC else goal.default
        if least is None:
            continue
        of_set = {one.set: one for one in measured if one.variant == variant and one.set.startswith(goal.set)}
        halves = [
            _value(goal, [one])
            for half in ("development", "report")
            for one in [of_set.get(f"{goal.set}, {half} half")]
        ]
        whole = _value(goal, list(of_set.values()))
        if whole is not None:
            decides = halves[1] if halves[1] is not None and goal.set == "agent-notes" else whole
            verdict = "met" if decides >= least else "**missed**"
            shown = ["" if value is None else f"{value:.3f}" for value in (*halves, whole)]
            rows.append([goal.set, goal.kind, goal.measure, f"≥ {least:.2f}", *shown, verdict])
    return rows


def _value(goal: Goal, measured: Sequence[Measured | None]) -> float | None:
    outcomes = [outcome for one in measured if one is not None for outcome in _kinds(one).get(goal.kind, ())]
    if not outcomes:
        return None
    value: float | None = getattr(measures.summary(outcomes), dict(_COLUMNS)[goal.measure])
    return value


def _against(measured: Sequence[Measured], variant: str, other: str) -> list[str]:
    others = {one.set: one for one in measured if one.variant == other}
    ours = [one for one in measured if one.variant == variant and one.set in others]
    return [f"- {one.set}: {_difference(one, others[one.set])}" for one in ours]


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
    goals = {goal.kind: goal.semantic for goal in GOALS if goal.set == "agent-notes" and goal.measure == "hit@5"}
    return chart.draw("hit@5 on agent-notes, report half", kinds, values, goals)
