"""The id of a zenohd: one a folder, and of a copied home another."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from nokosu.errors import MeshError
from nokosu.ids import is_zenoh_id
from nokosu.mesh import engine_home
from nokosu.testing import SeededRandom

SPACE = bytes(range(16))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def copied(home: Path) -> Path:
    return Path(shutil.copytree(home, home.parent / "copy"))


def test_an_id_is_kept(home: Path) -> None:
    random = SeededRandom(1)
    zid = engine_home.zid(home, SPACE, random)
    assert is_zenoh_id(zid)
    assert engine_home.zid(home, SPACE, random) == zid
    assert stat.S_IMODE(engine_home.folder(home, SPACE).joinpath("zid").stat().st_mode) == 0o600


def test_a_home_that_was_renamed_keeps_its_id(home: Path) -> None:
    random = SeededRandom(1)
    zid = engine_home.zid(home, SPACE, random)
    assert engine_home.zid(home.rename(home.parent / "elsewhere"), SPACE, random) == zid


def test_a_copied_home_has_an_id_of_its_own_and_leaves_the_other_alone(home: Path) -> None:
    random = SeededRandom(1)
    zid = engine_home.zid(home, SPACE, random)
    copy = copied(home)
    other = engine_home.zid(copy, SPACE, random)
    assert other != zid
    assert engine_home.zid(copy, SPACE, random) == other
    assert engine_home.zid(home, SPACE, random) == zid


def test_a_hub_keeps_its_id_wherever_its_home_is_put(home: Path) -> None:
    random = SeededRandom(1)
    zid = engine_home.hub_zid(home, SPACE, random)
    assert engine_home.zid(copied(home), SPACE, random) == zid
    assert engine_home.hub_zid(home, SPACE, random) == zid


@pytest.mark.parametrize("text", ["", "0123 everywhere", "1a2b everywhere and more", "not hex"])
def test_what_is_no_id_is_refused_and_stays(home: Path, text: str) -> None:
    path = engine_home.made(home, SPACE) / "zid"
    path.write_text(text)
    with pytest.raises(MeshError, match="is not an id of Zenoh"):
        engine_home.zid(home, SPACE, SeededRandom(1))
    assert path.read_text() == text
