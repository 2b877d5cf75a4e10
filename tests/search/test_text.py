"""What is found by what: each test tells a real FTS5 table of some notes and asks it."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nokosu import limits
from nokosu.errors import UsageError
from nokosu.search.text import Terms, Token, indexed, parse, scoped

TOKENISER: Final = ("porter", "unicode61", "remove_diacritics", "2")
TABLE: Final = (
    "CREATE VIRTUAL TABLE word USING fts5 (subject, body, tags, extra, scope, content='', "
    f"tokenize='{' '.join(TOKENISER)}')"
)
RANKED: Final = "SELECT rowid FROM word WHERE word MATCH ? ORDER BY bm25(word, 4.0, 1.0, 3.0, 1.0, 0.0), rowid LIMIT 50"
COMMIT: Final = "91ab3e4f0c2d5b6a7988776655443322110fface"
AGENT_NOTES: Final = Path(__file__).parents[1] / "data" / "agent-notes"


class Shelf:
    """A full-text table, and what it answers; notes are numbered from 1."""

    def __init__(self, *texts: str) -> None:
        self._connection = apsw.Connection(":memory:")
        self._connection.execute(TABLE)
        self._count = 0
        for text in texts:
            self.add(text=text)

    def add(
        self, *, text: str = "", subject: str = "", tags: Sequence[str] = (), refs: Sequence[str] = (), scope: str = ""
    ) -> None:
        self._count += 1
        words = indexed(subject, text, tags, refs)
        row = (self._count, words.subject, words.body, words.tags, words.extra, scope)
        self._connection.execute(
            "INSERT INTO word (rowid, subject, body, tags, extra, scope) VALUES (?, ?, ?, ?, ?, ?)", row
        )

    def ranked(self, expression: str) -> list[int]:
        if not expression:
            return []
        return [int(str(rowid)) for (rowid,) in self._connection.execute(RANKED, (scoped(expression),))]

    def holding(self, query: str) -> list[int]:
        """The notes that hold each phrase and each word of the query, by number."""
        return sorted(self.ranked(" AND ".join(_expressions(parse(query)))))

    def hinting(self, query: str) -> list[int]:
        """The notes that hold any token of the query, best first."""
        return self.ranked(" OR ".join(token.expression for token in parse(query).tokens))

    def tokenised(self, text: str) -> list[str]:
        tokeniser = self._connection.fts5_tokenizer(TOKENISER[0], list(TOKENISER[1:]))
        utf8 = text.encode()
        return list(
            map(str, tokeniser(utf8, apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=False, include_colocated=False))
        )


def _expressions(terms: Terms) -> list[str]:
    return [phrase.expression for phrase in terms.phrases] + [word.expression for word in terms.words]


def _words(query: str) -> list[str]:
    return [word.text for word in parse(query).words]


@pytest.fixture(scope="module")
def empty() -> Shelf:
    return Shelf()


# Plain words ----------------------------------------------------------------------------------------------------------


def test_plain_prose_is_left_to_fts5() -> None:
    words = indexed("Deploys wait", "The deploy waits for the health check. It did not, before.", ["release"], [])
    assert (words.subject, words.tags, words.extra) == ("Deploys wait", "release", "")
    assert words.body == "The deploy waits for the health check. It did not, before."


def test_a_word_is_found_in_its_other_endings_and_in_any_case() -> None:
    shelf = Shelf("We DEPLOYED twice", "Nothing else")
    assert shelf.holding("deploys") == [1]
    assert shelf.holding("deploying Nothing") == []


def test_each_text_column_is_searched_and_the_scope_is_not() -> None:
    shelf = Shelf()
    shelf.add(subject="alpha", text="beta", tags=["gamma-ray"], refs=["delta.md"], scope="4711")
    for query in ("alpha", "beta", "gamma", "gammaray", "delta", "alpha beta gamma-ray delta.md"):
        assert shelf.holding(query) == [1], query
    assert shelf.holding("4711") == []


def test_control_characters_are_blanks() -> None:
    words = indexed("a\0b", "c\x1bd", ["e\x07é"], [])
    assert (words.subject, words.body, words.tags) == ("a b", "c d", "e é")


def test_function_words_count_only_when_nothing_else_is_left() -> None:
    assert _words("Where is the timeout of the worker?") == ["timeout", "worker"]
    assert _words("don't, customer's") == ["customer"]
    assert _words("to be or not to be") == ["to", "be", "or", "not"]
    assert Shelf("to be or not to be").holding("to be or not to be") == [1]
    assert _words('what is "the end"') == []


def test_repeated_words_count_once_and_keep_their_order() -> None:
    assert _words("queue worker Queue retry WORKER") == ["queue", "worker", "retry"]


@pytest.mark.parametrize(
    "query", ["", " ", '"', '""', "*", "(" * 500, "-.-", "\0", "\u200b", "\ud800", "_", "「」", "...", "\u0301"]
)
def test_a_query_without_a_word_asks_for_nothing(query: str) -> None:
    assert parse(query) == Terms((), ())


# Names ----------------------------------------------------------------------------------------------------------------

SPELLINGS: Final = ("getUserById", "get_user_by_id", "get-user-by-id", "GetUserByID", "get user by id", "getuserbyid")
NO_TELLING_WHERE_TO_CUT: Final = ("get user by id", "getuserbyid")


@pytest.mark.parametrize(("note", "query"), sorted({*product(SPELLINGS, repeat=2)} - {NO_TELLING_WHERE_TO_CUT}))
def test_a_name_is_found_however_it_is_spelt(note: str, query: str) -> None:
    shelf = Shelf(f"call {note} first", "call setUserName, or get the user")
    assert shelf.holding(query) == [1]


@pytest.mark.parametrize(
    ("note", "query"),
    [
        ("def parse_iban(text):", "parse_iban()"),
        ("def parse_iban(text):", "parseIban"),
        ("we call parseIban() here", "parse_iban"),
        ("an HTTPServerError was raised", "http_server_error"),
        ("an HTTPServerError was raised", "server error"),
        ("HTTP_SERVER_ERROR", "HTTPServerError"),
        ("a utf8Decode of bytes", "decode utf8"),
        ("a sha256sum of the file", "sha256"),
        ("class HTTP2Server", "http2 server"),
        ("class HTTP2Server", "Http2Server"),
        ("encoded as UTF-8", "utf8"),
        ("encoded as utf8", "UTF-8"),
        ("timeout of 250ms", "250 ms"),
        ("timeout of 250 ms", "250ms"),
        ("fetch the URLs", "url"),
        ("service.getUser was slow", "get_user"),
        ("app.user_service.UserService", "userservice"),
        ("app.user_service", "UserService"),
        ("a well-known bug", "wellknown"),
        ("settings of __init__", "__init__"),
        ("foo__bar", "foo_bar"),
        ("a back\u2011end", "backend"),
        ("caféLatte", "cafe latte"),
        ("IllegalStateException: no bean", "illegal state exception"),
    ],
)
def test_names_and_their_parts_are_found(note: str, query: str) -> None:
    assert Shelf(note, "something else").holding(query) == [1]


def test_a_name_asks_for_its_joined_form_or_for_its_parts_side_by_side() -> None:
    (word,) = parse("getUserById").words
    assert word.expression == '("getuserbyid" OR "get user by id")'
    assert word.tokens == (Token("getuserbyid"), Token("get"), Token("user"), Token("id"))


def test_the_exact_name_ranks_above_its_parts() -> None:
    shelf = Shelf("get the user by the id of his account", "the id of the user", "getUserById fails")
    assert shelf.hinting("get_user_by_id")[0] == 3


def test_long_names_are_data_and_add_no_words() -> None:
    assert indexed("", "aB" * 100, [], []).extra == ""
    assert indexed("", "a-" * 100, [], []).extra == ""
    assert indexed("", f"{COMMIT} dGhpcyBpcyBub3QgYSBuYW1lIGF0IGFsbA 0x8007000E", [], []).extra == ""
    assert Shelf("x" * 300, "y").holding("x" * 300) == [1]


# Versions, numbers, codes ---------------------------------------------------------------------------------------------


def test_a_version_is_one_word() -> None:
    shelf = Shelf("Python 3.11.7", "Python 3.7.11", "11 of 3 and 7", "python3.11.7-slim", "V3.11.7", "3 11 7")
    assert shelf.holding("3.11.7") == [1, 4, 5, 6]
    assert sorted(shelf.hinting("3.11.7")) == [1, 4, 5]


def test_the_beginning_of_a_version_finds_it() -> None:
    shelf = Shelf("since 2.0.0", "since v2.0", "20.0", "1.2.0", "the address 192.168.10.4")
    assert sorted(shelf.hinting("2.0")) == [1, 2]
    assert shelf.holding("v2.0.0") == [1]
    assert shelf.holding("192.168.10") == [5]


@pytest.mark.parametrize(
    ("note", "query"),
    [
        ("failed with E1234.", "e1234"),
        ("HRESULT 0x80070005 (access denied)", "0x80070005"),
        ("HRESULT 0X8007000E", "0x8007000e"),
        ("listens on localhost:8080", "8080"),
        ("listens on :8080", "localhost:8080 8080"),
        ("error ORA-00942", "ora00942"),
        ("ERR_CONNECTION_REFUSED", "errConnectionRefused"),
        ("on 2026-03-06 at noon", "20260306"),
        ("TS2345: not assignable", "ts2345"),
    ],
)
def test_codes_and_ports_are_found(note: str, query: str) -> None:
    shelf = Shelf(note, "E12345, 0x80070057, port 80, ORA-0094")
    assert 1 in shelf.hinting(query)
    assert 2 not in shelf.hinting(query)


# References -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "src/nokosu/search/text.py",
        '"nokosu/search/text.py"',
        "search/text.py",
        "text.py",
        "nokosu.search.text",
        "TestWords",
        "test_words.kt",
        "https://example.org/issues/42#note-7",
        "example.org",
        "issues 42",
        COMMIT,
        COMMIT[:7],
        COMMIT[:12].upper(),
        COMMIT[:39],
    ],
)
def test_references_are_found_by_path_name_and_parts(query: str) -> None:
    shelf = Shelf("the other note: src, nokosu, tests, text and py")
    refs = ["src/nokosu/search/text.py:12", "app/src/TestWords.kt", "https://example.org/issues/42#note-7", COMMIT]
    shelf.add(text="Words", refs=refs)
    assert shelf.holding(query) == [2]


@pytest.mark.parametrize("end", ["e", "ed", "eed", "dded", "ee", "0"])
def test_the_beginning_of_a_commit_finds_it_in_spite_of_the_stemmer(end: str) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"[: -len(end)] + end
    shelf = Shelf(f"fixed in {commit}")
    for length in (7, 8, 12, 36, 40):
        assert shelf.holding(commit[:length]) == [1]


@pytest.mark.parametrize("length", [7, 8, 10, 12])
def test_a_whole_commit_id_finds_the_note_that_shortened_it(length: int) -> None:
    assert Shelf(f"fixed in {COMMIT[:length]}", "fixed in 91ab3e5").holding(COMMIT) == [1]


# Scripts without blanks -----------------------------------------------------------------------------------------------


def test_a_japanese_sentence_is_found_by_its_words() -> None:
    shelf = Shelf(
        "デプロイの手順を変更した。本番環境では再起動が必要です。", "本番のデータベースを移行する前に環境を確認"
    )
    assert shelf.holding("デプロイ") == [1]
    assert shelf.holding("デプロイの手順は?") == [1]
    assert shelf.holding("再起動が必要ですか") == [1]
    assert shelf.holding("本番 環境") == [1, 2]
    assert shelf.holding("本番環境") == [1]
    assert shelf.holding("再起") == [1]


@pytest.mark.parametrize("query", [*"東京都庁値", "都庁"])
def test_any_single_character_is_found_at_any_place(query: str) -> None:
    assert Shelf("東京都庁", "x値", "大阪府").holding(query) == ([2] if query == "値" else [1])


def test_latin_glued_to_japanese_is_freed() -> None:
    shelf = Shelf("DockerのcontainerをBuildKitで作る", "PodmanのcontainerをBuildで作る")
    for query in ("docker", "buildkit", "build_kit", "Dockerは作る", "Docker を作る"):
        assert shelf.holding(query) == [1], query
    assert shelf.holding("container") == [1, 2]


def test_the_words_of_a_run_are_its_stretches_of_one_script() -> None:
    assert _words("本番環境でデプロイを取り消した") == ["本番環境", "デプロイ", "取", "消"]
    (word,) = parse("本番環境").words
    assert word.tokens == (Token("本番"), Token("番環"), Token("環境"))
    assert word.expression == '("本番" AND "番環" AND "環境")'
    assert parse("値").words[0].tokens == (Token("値", prefix=True),)


def test_hiragana_counts_only_when_nothing_else_is_left() -> None:
    assert _words("設定ですから") == ["設定"]
    assert _words("Mac の 設定 です") == ["mac", "設定"]
    assert _words("ふりがな") == ["ふりがな"]
    assert Shelf("ふりがなを付ける", "仮名").holding("ふりがな") == [1]


def test_a_long_run_becomes_several_words_that_overlap() -> None:
    run = "一二三四五六七八九十百千"
    assert _words(run) == ["一二三四五六七八九", "九十百千"]
    assert Shelf(run).holding(run) == [1]


@pytest.mark.parametrize(
    ("note", "query"),
    [
        ("部署之前必须回滚数据库迁移", "数据库"),
        ("部署之前必须回滚数据库迁移", "回滚 迁移"),
        ("배포 스크립트를 수정했다", "스크립트"),
        ("배포 스크립트를 수정했다", "배포"),
        ("배포 스크립트를 수정했다", "했"),
        ("野家は𠮷野家", "𠮷野家"),
        ("人々のカード・ケース", "人々 カード"),
        ("ภาษาไทยใช้งานได้", "ใช้งาน"),
        ("ﾊﾝｶｸのｶﾞｲﾄﾞ", "ハンカク ガイド"),
        ("ガイド", "ｶﾞｲﾄﾞ"),
    ],
)
def test_other_scripts_without_blanks_are_found(note: str, query: str) -> None:
    assert Shelf(note, "別の記事", "别的", "다른 글을").holding(query) == [1]


def test_a_chinese_question_finds_its_note_by_any_pair() -> None:
    shelf = Shelf("今天没有变化", "部署之前必须回滚数据库迁移")
    assert shelf.hinting("如何在部署之前回滚数据库") == [2]


# Accents, widths, symbols ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "query"),
    [
        ("réserve à Zürich", "reserve zurich"),
        ("reserve a Zurich", "Réserve Zürich"),
        ("cafe\u0301", "café"),
        ("Straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("ｇｅｔＵｓｅｒ", "getUser"),
        ("getUser", "ｇｅｔ＿ｕｓｅｒ"),
        ("ﬁle", "file"),
        ("co\u00adoperate", "cooperate"),
        ("zero\u200bwidth", "width"),
        ("\u202emirror\u202c", "mirror"),
        ("הודעת שגיאה", "שגיאה"),
        ("שָׁלוֹם", "שלום"),
        ("رسالة خطأ في الخادم", "خطأ"),
        ("हिन्दी में", "हिन्दी"),
        ("Ошибка подключения", "ОШИБКА"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("x\u0303y", "x\u0303y"),
        ("deployed 🚀 at last", "🚀"),
        ("rust🦀now", "🦀 rust now"),
        ("family 👨‍👩‍👧", "👩"),
        ("family 👨‍👩‍👧", "👨‍👩‍👧"),
        ("thumbs 👍🏽", "👍"),
        ("thumbs 👍", "👍🏽"),
        ("heart ❤️", "❤"),
        ("flag 🇯🇵", "🇯🇵"),
        ("price 5 €", "€"),
        ("a\0b\x07c", "a c b"),
        ("\ue0a0 branch", "\ue0a0"),
        ("ﷺ", "ﷺ"),
    ],
)
def test_any_script_and_any_form_of_it_is_found(note: str, query: str) -> None:
    assert Shelf(note, "another").holding(query) == [1]


def test_signs_count_only_when_nothing_else_is_left_and_pictures_always() -> None:
    assert _words("p95 ≥ 300 → alert") == ["p95", "300", "alert"]
    assert _words("≥") == ["≥"]
    assert _words("release 🚀") == ["release", "🚀"]


def test_normalising_is_bounded_in_size_and_in_time() -> None:
    assert len(indexed("", "\ufdfa" * 20_000, [], []).body) <= 2 * 20_000 + 1024
    for marks, letter in ((29, "é"), (30, "e")):  # 16,000 marks would take more than a second
        assert indexed("", "e" + "\u0316" * marks + "\u0301 b", [], []).body == f"{letter} b"


# Phrases --------------------------------------------------------------------------------------------------------------


def test_quoted_words_stand_side_by_side() -> None:
    shelf = Shelf("the retry budget is spent", "a budget to retry", "spent, is the budget: retry")
    for query in ('"retry budget"', "“retry budget”", "「retry budget」", '"Retries budgets"'):
        assert shelf.holding(query) == [1], query
    assert shelf.holding("retry budget") == [1, 2, 3]
    assert shelf.holding('"retry budget" spent') == [1]
    assert shelf.holding('"retry budget" missing') == []


def test_a_phrase_is_looked_for_in_subject_text_and_tags() -> None:
    shelf = Shelf()
    shelf.add(subject="retry budget", text="x")
    shelf.add(text="x", tags=["retry-budget"])
    shelf.add(text="retry", tags=["budget"])
    assert shelf.holding('"retry budget"') == [1, 2]


def test_a_quoted_japanese_phrase_is_a_substring() -> None:
    shelf = Shelf("東京都の設定を変えた", "京都と東京の設定", "Dockerの設定を東京で")
    assert shelf.holding("「東京都」") == [1]
    assert shelf.holding('"東京"') == [1, 2, 3]
    assert shelf.holding('"の設定を"') == [1, 3]
    assert shelf.holding('"Dockerの設定"') == [3]
    assert shelf.holding('"庁"') == []
    assert shelf.holding('"都"') == [1, 2]


def test_a_lone_quote_is_literal_text() -> None:
    assert _words('the 5" screen') == ["5", "screen"]
    assert parse('5" screen').phrases == ()
    assert [phrase.text for phrase in parse('a "b c" d "e').phrases] == ["b c"]


def test_more_quotes_than_the_limit_are_words() -> None:
    query = " ".join(f'"key{number} value"' for number in range(limits.QUERY_PHRASES_MAX + 2))
    terms = parse(query)
    assert len(terms.phrases) == limits.QUERY_PHRASES_MAX
    assert [word.text for word in terms.words] == ["key8", "value", "key9"]


# Anything a person can type -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "deploy AND",
        "NEAR(deploy",
        "deploy*",
        "deploy NOT",
        "-deploy",
        "body:deploy",
        "^deploy",
        "{body}: deploy",
        "(deploy OR",
    ],
)
def test_operators_are_literal_text(query: str) -> None:
    shelf = Shelf("deploy not near body", "nothing")
    assert 1 in shelf.hinting(query)
    assert isinstance(shelf.holding(query), list)


def test_more_words_than_the_limit_leave_the_longest_in_their_order() -> None:
    words = [f"w{number}" for number in range(limits.QUERY_TERMS_MAX)] + ["internationalisation", "the", "w1", "retry"]
    kept = _words(" ".join(words))
    assert len(kept) == limits.QUERY_TERMS_MAX
    assert kept[-2:] == ["internationalisation", "retry"]
    assert kept[:-2] == sorted(kept[:-2], key=words.index)


def test_far_more_words_than_the_limit_are_refused() -> None:
    with pytest.raises(UsageError, match="at most 128") as refused:
        parse(" ".join(map(str, range(129))))
    assert refused.value.field == "query"
    assert parse("same " * 50_000).words[0].text == "same"


def test_the_worst_query_within_the_limit_of_bytes_stays_small() -> None:
    for query in ("一丁丂七" * 85, "aB" * 512, "a-" * 512, "".join(map(chr, range(0x4E00, 0x4E00 + 340))), COMMIT * 25):
        terms = parse(query)
        assert len(terms.words) <= limits.QUERY_TERMS_MAX
        assert len(terms.tokens) <= 16 * limits.QUERY_TERMS_MAX


def test_20000_strings_of_metacharacters_raise_nothing() -> None:
    shelf, seed = Shelf("deploy near body", "x y z"), random.Random(10)
    pieces = [
        '"',
        '""',
        "*",
        "(",
        ")",
        ":",
        "^",
        "-",
        "+",
        "{",
        "}",
        ",",
        "'",
        "\\",
        "%",
        "_",
        ".",
        "/",
        "\0",
        "\n",
        "“",
        "”",
        "「",
    ]
    pieces += [
        " ",
        " ",
        "AND",
        "OR",
        "NOT",
        "NEAR(",
        "deploy",
        "body",
        "x",
        "3.11",
        "aB",
        "東京",
        "の",
        "🚀",
        "\u0301",
        "E1",
    ]
    for _ in range(20_000):
        query = "".join(seed.choices(pieces, k=seed.randint(1, 12)))
        for expression in _expressions(parse(query)):
            shelf.ranked(expression)


ANY_TEXT: Final = st.text(st.characters(), max_size=40) | st.text(
    st.sampled_from('aB1_-./ "“”「」日本のカ한ไ🚀é\u0301\u200dßﷺ'), max_size=40
)


@settings(max_examples=3000)
@given(ANY_TEXT)
@example("19b0 \u19b0 a\u19b0b")
@example("ﬀ\u0149ǰ İ ϓ")
def test_each_token_is_one_token_to_fts5(empty: Shelf, query: str) -> None:
    for token in parse(query).tokens:
        assert len(empty.tokenised(token.text)) == 1, token


@settings(max_examples=3000)
@given(ANY_TEXT)
@example("ᎧᏃᎮᏍᎩ")
@example('"ᎧᏃᎮᏍᎩ Ა"')
def test_each_text_is_found_by_itself(text: str) -> None:
    shelf = Shelf(text)
    if _expressions(parse(text)):
        assert shelf.holding(text) == [1]


@settings(max_examples=1000)
@given(st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_normal_forms_ask_for_the_same(query: str, form: Any) -> None:
    assert parse(unicodedata.normalize(form, query)).words == parse(query).words


# The development notes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "goal"), [("keyword", 1.0), ("identifier", 1.0), ("question", 0.98), ("ja", 0.95)])
@pytest.mark.parametrize("first_all_words", [False, True])
def test_the_development_notes_are_found(kind: str, goal: float, first_all_words: bool) -> None:
    notes, shelf = list(_lines("notes.jsonl")), Shelf()
    for note in notes:
        shelf.add(subject=note["subject"], text=note["text"], tags=note["tags"])
    queries = [query for query in _lines("queries.jsonl") if query["kind"] == kind]
    ranked = []
    for query in queries:
        strict = shelf.ranked(" AND ".join(_expressions(parse(query["query"])))) if first_all_words else []
        ranked.append([notes[number - 1]["id"] for number in dict.fromkeys([*strict, *shelf.hinting(query["query"])])])
    assert all(ranked)
    hits = sum(not set(ids[:5]).isdisjoint(query["relevant"]) for ids, query in zip(ranked, queries, strict=True))
    assert hits / len(queries) >= goal


def _lines(name: str) -> Iterator[dict[str, Any]]:
    lines: Iterable[str] = (AGENT_NOTES / name).read_text(encoding="utf-8").splitlines()
    return (json.loads(line) for line in lines)
