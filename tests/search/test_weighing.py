"""How memories are weighed: what FTS5 tells of a real table, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import apsw
import pytest

from nokosu.search import text, weighing
from nokosu.search.weighing import Answered, Scales

TABLE = (
    "CREATE VIRTUAL TABLE word USING fts5 (subject, body, tags, extra, scope, content='', tokenize='porter unicode61')"
)


def weighed(query: str, *notes: tuple[str, str, Sequence[str]]) -> tuple[Scales, list[tuple[float, Answered]]]:
    """The scales for a query, and the score and answer of each note: a subject, a text and tags."""
    connection = apsw.Connection(":memory:")
    connection.execute(TABLE)
    for n, (subject, body, tags) in enumerate(notes):
        words = text.indexed(subject, body, tags, ())
        row = (n, words.subject, words.body, words.tags, words.extra, "")
        connection.execute("INSERT INTO word (rowid, subject, body, tags, extra, scope) VALUES (?, ?, ?, ?, ?, ?)", row)
    terms = text.parse(query)
    counts = {
        token: len(connection.execute("SELECT 1 FROM word WHERE word MATCH ?", (token.expression,)).fetchall())
        for token in terms.tokens
    }
    present = [token for token in terms.tokens if counts[token]]
    scales = weighing.scales(terms, {token: at for at, token in enumerate(present)}, counts, len(notes))
    connection.register_fts5_function("tell", cast("Any", weighing.tell))
    found = connection.execute(
        "SELECT rowid, tell(word, ?) FROM word WHERE word MATCH ?",
        (scales.phrases, " OR ".join(token.expression for token in present)),
    )
    results = {n: scales.weigh(told) for n, told in found}
    none = (0.0, 0)
    pairs = [results.get(n, none) for n in range(len(notes))]
    return scales, [(score, scales.answered(held)) for score, held in pairs]


def about(share: float, matched: tuple[str, ...]) -> Any:
    """An answer with about this share."""
    return Answered(pytest.approx(share), matched)  # type: ignore[arg-type]


FILLER = [("", f"nothing to see number {number}", ()) for number in range(10)]


def test_a_word_in_the_subject_weighs_more_than_one_in_the_text() -> None:
    _, found = weighed("lamp", ("lamp", "one two", ()), ("one", "lamp two", ()), ("one", "two", ("lamp",)), *FILLER)
    (in_subject, _), (in_text, _), (in_tags, _), *_ = found
    assert in_subject > in_tags > in_text > 0


def test_a_word_said_often_saturates_and_a_long_text_counts_for_less() -> None:
    long = ("", "lamp " + "filler " * 60, ())
    _, found = weighed("lamp", ("", "lamp", ()), ("", "lamp lamp", ()), ("", "lamp lamp lamp lamp", ()), long, *FILLER)
    once, twice, four, in_long = (score for score, _ in found[:4])
    assert in_long < once < twice < four < 2 * twice


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    _, found = weighed("lamp zebra", *[("", f"lamp {number}", ()) for number in range(4)], ("", "zebra 1", ()), *FILLER)
    assert found[4][0] > found[0][0]


def test_the_share_counts_each_word_once_and_absent_words_too() -> None:
    _, found = weighed("getUserById timeout unicorn", ("", "get_user_by_id has a timeout", ()), *FILLER)
    assert found[0][1] == about(2 / 3, ("getuserbyid", "timeout"))


def test_parts_of_a_name_are_parts_of_a_word() -> None:
    _, found = weighed("getUserById", ("", "the user of it", ()), *FILLER)
    assert found[0][1] == about(1 / 3, ("user",))


def test_of_an_unbroken_run_the_stretches_that_are_there_are_named() -> None:
    _, found = weighed("予約一覧表示", ("", "予約一覧が読めない", ()), ("", "予約の表示", ()), *FILLER)
    assert found[0][1] == about(3 / 5, ("予約一覧",))
    assert found[1][1] == about(2 / 5, ("予約", "表示"))


def test_a_word_left_out_for_being_common_does_not_count() -> None:
    terms = text.parse("lamp zebra unicorn")
    lamp, together, zebra, unicorn = terms.tokens
    scales = weighing.scales(terms, {zebra: 0}, {lamp: 900, together: 0, zebra: 1, unicorn: 0}, 1000)
    assert [word.text for word, _ in scales.words] == ["zebra", "unicorn"]
    assert scales.answered(1) == Answered(0.5, ("zebra",))
    assert scales.answered(0) == Answered(0.0, ())


def test_a_phrase_is_held_by_whatever_was_found() -> None:
    terms = text.parse('"rolling restart" unicorn')
    scales = weighing.scales(terms, {}, dict.fromkeys(terms.tokens, 0), 10)
    assert scales.answered(0) == Answered(0.5, ("rolling restart",))


def test_what_is_fulfilled_besides_counts_as_a_word() -> None:
    terms = text.parse("zebra unicorn")
    scales = weighing.scales(terms, {}, dict.fromkeys(terms.tokens, 0), 10)
    assert scales.answered(0, besides=1) == about(1 / 3, ())
