"""Which zenohd is found, and what is said when a part of it is missing or differs."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from nokosu.config import Config
from nokosu.engine import located, plugins
from nokosu.engine.located import Engine
from nokosu.errors import MeshError
from tests.engine.conftest import FOREVER, SERVING, Pretender


@pytest.fixture(autouse=True)
def _no_other_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a wheel nor a zenohd of this machine's."""
    monkeypatch.setitem(sys.modules, "nokosu_zenohd", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_without_any_the_hint_says_how_to_get_one(config: Config) -> None:
    with pytest.raises(MeshError, match=r"^there is no zenohd here$") as refused:
        located.find(config)
    assert "make engine-wheel" in refused.value.hint


def test_the_folder_that_was_named_goes_first(config: Config, pretend: Pretender) -> None:
    named = pretend("")
    config = msgspec.structs.replace(config, engine_folder=named.plugins)
    assert located.find(config) == Engine(named.zenohd, named.plugins, "1.10.2", "NOKOSU_ENGINE")


def test_a_named_folder_without_it_is_said_though_another_is_there(config: Config, tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="elsewhere/zenohd is no program"):
        located.find(msgspec.structs.replace(config, engine_folder=tmp_path / "elsewhere"))


@pytest.mark.parametrize("name", plugins.LIBRARIES)
def test_a_plugin_that_is_missing_is_named(config: Config, pretend: Pretender, name: str) -> None:
    folder = pretend("").plugins
    (folder / name).unlink()
    with pytest.raises(MeshError, match=f"zenohd is here without {name}"):
        located.find(msgspec.structs.replace(config, engine_folder=folder))


def test_the_wheel_is_found_without_being_imported(
    config: Config, pretend: Pretender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pretend("", folder="nokosu_zenohd")
    (packed.plugins / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.delitem(sys.modules, "nokosu_zenohd")
    monkeypatch.syspath_prepend(tmp_path)
    assert located.find(config) == Engine(packed.zenohd, packed.plugins, "1.10.2", "wheel")


@pytest.mark.parametrize("libraries", ["bin", "lib", ".zenoh/lib"])
def test_the_systems_own_is_found_with_its_plugins_in_their_usual_places(
    config: Config, pretend: Pretender, tmp_path: Path, libraries: str
) -> None:
    system = pretend("", version="1.10.9", folder="bin")
    (tmp_path / libraries).mkdir(exist_ok=True, parents=True)
    for name in plugins.LIBRARIES:
        (system.plugins / name).rename(tmp_path / libraries / name)
    found = located.find(config)
    assert (found.zenohd, found.version, found.origin) == (system.zenohd, "1.10.9", "system")
    assert found.plugins.samefile(tmp_path / libraries)


def test_a_program_that_does_not_run_here_is_said_in_one_line(config: Config, pretend: Pretender) -> None:
    named = pretend("")
    named.zenohd.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(MeshError, match="zenohd does not run here") as refused:
        located.find(msgspec.structs.replace(config, engine_folder=named.plugins))
    assert "\n" not in refused.value.message


def test_a_program_without_a_version_is_said(config: Config, pretend: Pretender) -> None:
    named = pretend("", version="?")
    with pytest.raises(MeshError, match="does not say its version"):
        located.find(msgspec.structs.replace(config, engine_folder=named.plugins))


FAULT = "2026-01-01T00:00:00Z ERROR ThreadId(01) x: Cannot spawn volume 'rocksdb': gone"


# The trial ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.9.0", "1.11.0", "2.10.0"])
def test_another_minor_version_is_refused_without_a_trial(pretend: Pretender, version: str) -> None:
    with pytest.raises(MeshError, match=rf"is {version}, and nokosu needs 1\.10"):
        located.check(pretend("sys.exit('tried')", version=version))


def test_one_that_serves_passes(pretend: Pretender) -> None:
    located.check(pretend(SERVING + FOREVER))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sys.exit('boom')", r"does not fit its plugins in .*: boom"),
        ("sys.exit(3)", "it ends with status 3"),
        (f"print({FAULT!r}, flush=True){SERVING}{FOREVER}", "Cannot spawn volume 'rocksdb': gone"),
    ],
)
def test_one_that_does_not_is_told_with_its_own_words(pretend: Pretender, script: str, said: str) -> None:
    with pytest.raises(MeshError, match=said) as refused:
        located.check(pretend(script))
    assert "\n" not in refused.value.message


def test_a_trial_ends_though_nothing_comes_of_it(pretend: Pretender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nokosu.limits.ENGINE_TRIAL_SECONDS", 0.3)
    with pytest.raises(MeshError, match="it does nothing for"):
        located.check(pretend(FOREVER))
