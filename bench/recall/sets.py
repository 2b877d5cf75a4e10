"""Labelled sets: notes, questions about them, and which notes answer.

Each is read from a folder as it was published. A set that is not there is None, which a report says; a set that is there and
cannot be read is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from nokosu import times
from nokosu.drafts import Draft

HERE: Final = Path(__file__).parent / "data"
AGENT_NOTES: Final = Path(__file__).parents[2] / "tests" / "data" / "agent-notes"
DEVELOPMENT, REPORT = "development", "report"
NO_ANSWER: Final = "unanswered"
MORE: Final = "more development questions"

_QUERY_BYTES: Final = 1000
_LOCOMO_DATE: Final = re.compile(r"(\d+):(\d+) (am|pm) on (\d+) (\w+), (\d+)")


@dataclass(frozen=True, slots=True)
class Note:
    """A memory to save; `unit` is what the labels name, which several notes may share, as the turns of a session do."""

    key: str
    unit: str
    draft: Draft
    created_ms: int
    agent: str = "claude-code"
    supersedes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the units that answer it (none: it has no answer), and the notes that would be wrong at rank 1."""

    id: str
    text: str
    kind: str
    relevant: tuple[str, ...]
    project: str | None = None
    wrong_first: tuple[str, ...] = ()
    half: str = REPORT


@dataclass(frozen=True, slots=True)
class Labelled:
    """A labelled set, and the time at which its questions are asked."""

    name: str
    notes: tuple[Note, ...]
    questions: tuple[Question, ...]
    now_ms: int


def halves(labelled: Labelled) -> list[Labelled]:
    """The same notes with the questions of each half; a set that is not split stays as it is."""
    if not any(question.half == DEVELOPMENT for question in labelled.questions):
        return [labelled]
    return [
        replace(
            labelled,
            name=f"{labelled.name}, {half} half",
            questions=tuple(question for question in labelled.questions if question.half == half),
        )
        for half in (DEVELOPMENT, REPORT)
    ]


def agent_notes(folder: Path) -> Labelled | None:
    """Agent notes of seven projects, or a set of the same form; ours are also asked what they have no answer for."""
    if not (folder / "notes.jsonl").exists():
        return None
    split = _split("agent-notes")
    rows = _lines(folder / "notes.jsonl")
    project_of = {row["id"]: row["project"] for row in rows}
    notes = tuple(_agent_note(row) for row in rows)
    asked = _lines(folder / "queries.jsonl")
    if folder == AGENT_NOTES:
        asked += _lines(HERE / "unanswered.jsonl")
    questions = tuple(
        _agent_question(row, _half(split, [row.get("about") or project_of[row["relevant"][0]]])) for row in asked
    )
    return Labelled("agent-notes", notes, questions, _a_day_after(notes))


def more_for_development() -> Labelled:
    """More questions about the development half of agent-notes, by its projects' notes alone; to choose by, not to report."""
    labelled = agent_notes(AGENT_NOTES)
    assert labelled is not None
    asked = _lines(HERE / "development.jsonl")
    return replace(labelled, name=MORE, questions=tuple(_agent_question(row, DEVELOPMENT) for row in asked))


def devmembench(folder: Path) -> Labelled | None:
    """Coding sessions, an exchange of question and answer to a note; the labels name sessions."""
    if not (folder / "sessions.json").exists():
        return None
    sessions = _json(folder / "sessions.json")
    split = _split("devmembench")
    project_of = {session["sessionId"]: session["metadata"]["project"] for session in sessions}
    notes = tuple(note for session in sessions for note in _exchanges(session))
    questions = tuple(
        Question(
            id=row["questionId"],
            text=row["question"],
            kind=NO_ANSWER if not row["haystackSessionIds"] else row["questionType"],
            relevant=tuple(row["haystackSessionIds"]),
            half=_half(split, [project_of[id] for id in row["haystackSessionIds"]]),
        )
        for row in _json(folder / "questions.json")
    )
    return Labelled("devmembench", notes, questions, _a_day_after(notes))


def coding_agent_life(folder: Path) -> Labelled | None:
    """Coding sessions, each a note."""
    if not (folder / "sessions.json").exists():
        return None
    notes = tuple(
        Note(row["id"], row["id"], Draft(text=row["content"]), times.parse(row["timestamp"], field="timestamp"))
        for row in _json(folder / "sessions.json")
    )
    questions = tuple(
        Question(id=row["id"], text=row["question"], kind=row["type"], relevant=tuple(row["goldSessionIds"]))
        for row in _json(folder / "queries.json")
    )
    return Labelled("coding-agent-life", notes, questions, _a_day_after(notes))


def locomo(file: Path, *, of_turns: bool) -> Labelled:
    """LoCoMo (`locomo10.json`): a note a session or a turn, a project a conversation; dates and captions are left out.

    Questions without evidence, and those on what nobody said, are left out too.
    """
    notes: list[Note] = []
    questions: list[Question] = []
    for sample in _json(file):
        name = sample["sample_id"]
        talks = list(_locomo_sessions(sample["conversation"]))
        notes += [note for talk in talks for note in _locomo_notes(name, talk, of_turns=of_turns)]
        for number, row in enumerate(sample["qa"]):
            evidence = re.findall(r"D\d+:\d+", " ".join(row.get("evidence", ())))
            units = dict.fromkeys(f"{name}/{turn if of_turns else turn.split(':')[0]}" for turn in evidence)
            if units and "answer" in row:
                text = _cut(row["question"])
                questions.append(Question(f"{name}/{number}", text, f"category {row['category']}", tuple(units), name))
    return Labelled(
        f"LoCoMo, {'turns' if of_turns else 'sessions'}", tuple(notes), tuple(questions), _a_day_after(notes)
    )


def _agent_note(row: dict[str, Any]) -> Note:
    draft = Draft(
        text=row["text"], subject=row["subject"], type=row["type"], project=row["project"], tags=tuple(row["tags"])
    )
    older = (row["supersedes"],) if row["supersedes"] else ()
    return Note(row["id"], row["id"], draft, times.parse(row["created"], field="created"), row["agent"], older)


def _agent_question(row: dict[str, Any], half: str) -> Question:
    return Question(
        id=row["id"],
        text=row["query"],
        kind=row["kind"],
        relevant=tuple(row["relevant"]),
        project=row["project"],
        wrong_first=tuple(row["must_not_first"]),
        half=half,
    )


def _split(name: str) -> dict[str, list[str]]:
    split: dict[str, list[str]] = json.loads((HERE / "split.json").read_text())[name]
    return split


def _half(split: dict[str, list[str]], projects: Iterable[str]) -> str:
    """A question is of the development half if an answer to it is in a project of that half."""
    return DEVELOPMENT if set(projects) & set(split[DEVELOPMENT]) else REPORT


def _exchanges(session: dict[str, Any]) -> Iterable[Note]:
    """What the person said and what came back, as one note, under a line with the date and the project."""
    messages, about = session["messages"], session["metadata"]
    created = times.parse(about["date"], field="date")
    for at in range(0, len(messages), 2):
        said = [f"{message['role']}: {message['content']}" for message in messages[at : at + 2]]
        text = "\n".join((f"{about['date']} {about['project']}", *said))
        yield Note(f"{session['sessionId']}#{at // 2}", session["sessionId"], Draft(text=text), created + at)


def _locomo_sessions(conversation: dict[str, Any]) -> Iterable[tuple[int, int, list[dict[str, Any]]]]:
    """The number, the time and the turns of each session that has any."""
    for name, turns in conversation.items():
        found = re.fullmatch(r"session_(\d+)", name)
        if found and turns:
            yield int(found[1]), _locomo_ms(conversation[f"{name}_date_time"]), turns


def _locomo_notes(name: str, talk: tuple[int, int, list[dict[str, Any]]], *, of_turns: bool) -> Iterable[Note]:
    number, created, turns = talk
    said = [f"{turn['speaker']}: {turn['text']}" for turn in turns]
    if not of_turns:
        key = f"{name}/D{number}"
        yield Note(key, key, Draft(text="\n".join(said), project=name), created)
        return
    for at, (turn, text) in enumerate(zip(turns, said, strict=True)):
        key = f"{name}/{turn['dia_id']}"
        yield Note(key, key, Draft(text=text, project=name), created + at)


def _locomo_ms(text: str) -> int:
    found = _LOCOMO_DATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"not a date of LoCoMo: {text!r}")
    hour, minute, half, day, month, year = found.groups()
    noon = 12 if half == "pm" else 0
    moment = datetime.strptime(f"{day} {month} {year}", "%d %B %Y").replace(tzinfo=UTC)
    return round((moment + timedelta(hours=int(hour) % 12 + noon, minutes=int(minute))).timestamp() * 1000)


def _a_day_after(notes: Iterable[Note]) -> int:
    return max(note.created_ms for note in notes) + times.DAY_MS


def _cut(text: str) -> str:
    return text.encode()[:_QUERY_BYTES].decode(errors="ignore")


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
