"""The benchmark of recall: what it reads, and what it makes of answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.recall import measures, sets, variants
from bench.recall.crowd import crowded
from bench.recall.measures import Answer
from bench.recall.sets import DEVELOPMENT, NO_ANSWER, REPORT, Question

SAMPLE = {
    "sample_id": "conv-1",
    "conversation": {
        "speaker_a": "Ann",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "I adopted a hedgehog."},
            {"speaker": "Bob", "dia_id": "D1:2", "text": "How lovely!"},
        ],
        "session_2_date_time": "12:09 am on 9 May, 2023",
        "session_2": [{"speaker": "Bob", "dia_id": "D2:1", "text": "My canoe sank."}],
    },
    "qa": [
        {"question": "What did Ann adopt?", "answer": "a hedgehog", "evidence": ["D1:1"], "category": 4},
        {"question": "What did nobody say?", "adversarial_answer": "x", "evidence": ["D1:1"], "category": 5},
        {"question": "Without evidence?", "answer": "y", "evidence": [], "category": 1},
    ],
}


def test_every_question_of_the_agent_notes_is_in_one_half_by_its_project() -> None:
    labelled = sets.agent_notes(sets.AGENT_NOTES)
    assert labelled is not None
    halves = {half.name: half.questions for half in sets.halves(labelled)}
    assert sum(map(len, halves.values())) == len(labelled.questions) == 360
    of_half = {name: {question.project for question in questions} - {None} for name, questions in halves.items()}
    development, report = of_half.values()
    assert not development & report
    assert len(development | report) == 7
    unanswered = [question for question in labelled.questions if question.kind == NO_ANSWER]
    assert [sum(question.half == half for question in unanswered) for half in (DEVELOPMENT, REPORT)] == [20, 20]


def test_more_development_questions_are_about_the_development_half_alone() -> None:
    labelled, more = sets.agent_notes(sets.AGENT_NOTES), sets.more_for_development()
    assert labelled is not None
    project_of = {note.unit: note.draft.project for note in labelled.notes}
    development = {question.project for question in sets.halves(labelled)[0].questions} - {None}
    assert {project_of[unit] for question in more.questions for unit in question.relevant} == development
    assert len({question.text for question in (*labelled.questions, *more.questions)}) == 360 + len(more.questions)


def test_a_set_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert sets.agent_notes(tmp_path) is sets.devmembench(tmp_path) is sets.coding_agent_life(tmp_path) is None


@pytest.mark.parametrize(("of_turns", "units", "right"), [(True, 3, "conv-1/D1:1"), (False, 2, "conv-1/D1")])
def test_locomo_is_read_by_turns_or_sessions_and_asked_through_the_door(
    tmp_path: Path, of_turns: bool, units: int, right: str
) -> None:
    file = tmp_path / "locomo10.json"
    file.write_text(json.dumps([SAMPLE]))
    labelled = sets.locomo(file, of_turns=of_turns)
    assert len(labelled.notes) == units
    (question,) = labelled.questions
    assert question.relevant == (right,)
    for variant in (variants.Default(), variants.BareFullText()):
        with variant.opened(labelled, tmp_path / variant.name) as ask:
            assert ask(question, False).units[0] == right


def test_a_crowd_is_spread_over_projects_and_times_and_changes_no_question() -> None:
    alone = sets.agent_notes(sets.AGENT_NOTES)
    assert alone is not None
    among = crowded(alone, 70)
    others = among.notes[len(alone.notes) :]
    assert (among.questions, among.notes[: len(alone.notes)]) == (alone.questions, alone.notes)
    projects = [note.draft.project for note in others]
    assert {projects.count(name) for name in {note.draft.project for note in alone.notes}} == {10}
    assert len({note.draft.text for note in others}) == len({note.created_ms for note in others}) == 70
    with pytest.raises(ValueError, match="fewer than 1000000"):
        crowded(alone, 1_000_000)


def test_an_outcome_tells_rank_share_and_order() -> None:
    question = Question("q", "?", "superseded", relevant=("new", "other"), wrong_first=("old",))
    found = measures.outcome(question, Answer(("old", "new"), strong=1), both=Answer(("new", "x", "old"), strong=3))
    assert (found.rank, found.recall_5, found.wrong_first, found.in_order, found.strong) == (2, 0.5, True, True, 1)
    assert [found.hit(k) for k in (1, 5)] == [0.0, 1.0]
    turned = measures.outcome(question, Answer((), 0), both=Answer(("old", "new"), 2))
    assert (turned.rank, turned.reciprocal, turned.in_order, turned.shown) == (0, 0.0, False, 0)


def test_a_difference_that_is_the_same_for_each_question_is_certain() -> None:
    questions = [Question(str(number), "?", "question", relevant=("a",)) for number in range(8)]
    ours = [measures.outcome(question, Answer(("a",), 1)) for question in questions]
    theirs = [measures.outcome(question, Answer(("b", "a"), 2)) for question in questions]
    assert measures.difference(ours, theirs, lambda outcome: outcome.reciprocal) == (0.5, 0.5, 0.5)
