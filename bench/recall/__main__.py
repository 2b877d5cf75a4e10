"""`python -m bench.recall`: does a search find the right memory?

Parameters are chosen on the development half of agent-notes only; everything else is for reporting. `--misses` therefore shows
single questions of that half and of no other.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.recall import measures, report, sets, variants
from bench.recall.crowd import crowded
from bench.recall.measures import Outcome
from bench.recall.report import Measured
from bench.recall.sets import Labelled
from bench.recall.variants import Variant
from nokosu.semantic import known

_BESIDE: Final = Path(__file__).parents[3] / "shared" / "bench-data"
_VARIANTS: Final[tuple[Variant, ...]] = (variants.BareFullText(), variants.Default(), variants.Semantic())


def main() -> int:
    """Ask, print, and write what was asked for."""
    options = _options()
    measured = []
    for labelled in _sets(options):
        if options.only and labelled.name not in options.only:
            continue
        try:
            asked = crowded(labelled, options.among) if options.among else labelled
        except ValueError as error:
            raise SystemExit(f"--among: {error}") from None
        for variant in _VARIANTS:
            if options.variant and variant.name not in options.variant:
                continue
            if isinstance(variant, variants.Semantic) and not variant.is_installed():
                print(f"not installed, left out: {variant.name}, {known.INSTALL}", file=sys.stderr)
                continue
            outcomes = _asked(asked, variant, misses=options.misses)
            measured.append(Measured(asked.name, variant.name, tuple(outcomes)))
    print(report.as_text(measured))
    if options.baseline:
        print(report.compared(measured, report.read_json(options.baseline)))
    if options.json:
        report.write_json(options.json, measured)
    if options.markdown:
        report.write_page(options.markdown, measured)
    return 0


def _sets(options: argparse.Namespace) -> Iterator[Labelled]:
    """The sets that are there, in halves where they are split; of the others, a line says what is not."""
    found = {
        options.agent_notes: sets.agent_notes(options.agent_notes),
        options.data / "devmembench": sets.devmembench(options.data / "devmembench"),
        options.data / "coding-agent-life": sets.coding_agent_life(options.data / "coding-agent-life"),
    }
    for folder, labelled in found.items():
        if labelled is None:
            print(f"not there, left out: {folder}", file=sys.stderr)
        else:
            yield from sets.halves(labelled)
    if options.agent_notes == sets.AGENT_NOTES:
        yield sets.more_for_development()
    if options.locomo:
        yield sets.locomo(options.locomo, of_turns=options.turns)


def _asked(labelled: Labelled, variant: Variant, *, misses: bool) -> list[Outcome]:
    outcomes = []
    shows_misses = misses and sets.DEVELOPMENT in labelled.name
    with tempfile.TemporaryDirectory(prefix="nokosu-recall-") as named, variant.opened(labelled, Path(named)) as ask:
        for question in labelled.questions:
            answer = ask(question, False)
            both = ask(question, True) if question.kind == "superseded" else None
            one = measures.outcome(question, answer, both)
            outcomes.append(one)
            if shows_misses and (one.rank != 1 if question.relevant else one.shown):
                print(f"{variant.name}: {question.kind} {question.id} ({question.project}) {question.text}")
                print(f"    rank {one.rank} of {one.shown}; wants {question.relevant}; got {answer.units}")
    return outcomes


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.recall", description=__doc__)
    parser.add_argument(
        "--data", type=Path, metavar="DIR", default=_BESIDE, help="folder of devmembench and coding-agent-life"
    )
    parser.add_argument(
        "--agent-notes", type=Path, metavar="DIR", default=sets.AGENT_NOTES, help="another set of that form"
    )
    parser.add_argument("--locomo", type=Path, metavar="FILE", help="locomo10.json, for whoever has it")
    parser.add_argument("--turns", action="store_true", help="LoCoMo: a note a turn rather than a session")
    parser.add_argument("--among", type=int, metavar="N", help="save N docstrings of Python's library beside each set")
    parser.add_argument("--only", action="append", metavar="SET", help="one set, by the name that the table shows")
    parser.add_argument("--variant", action="append", metavar="NAME", help="one variant")
    parser.add_argument("--misses", action="store_true", help="show what the development half did not find at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write how each question went")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="compare with such a file, question by question")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the figures into docs/recall.md")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
