"""How the engine is built and packed, as far as no compiler is needed: the comparison of locks, licences, the wheel."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engine import licences, locks, toolchain, wheel
from engine.__main__ import HERE, cache, key
from engine.building import LIBRARIES, Failed


def lock(**versions: str) -> str:
    return "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
        for name, several in versions.items()
        for version in several.split()
    )


# Locks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "differing"),
    [
        (lock(tokio="1.53.2", serde="1.0.1"), lock(tokio="1.53.2", ring="0.17.1"), []),
        (lock(aa="1.0.1", tokio="1.54.1"), lock(aa="1.0.2", tokio="1.53.2"),
         ["tokio 1.54.1 (zenohd: 1.53.2)", "aa 1.0.1 (zenohd: 1.0.2)"]),
        (lock(nom="7.1.3 8.0.0"), lock(nom="7.1.3"), []),
        (lock(uhlc="0.7.0 0.8.2"), lock(uhlc="0.8.2"), []),
        (lock(uhlc="0.8.1"), lock(uhlc="0.8.2"), ["uhlc 0.8.1 (zenohd: 0.8.2)"]),
        (lock(x="0.0.1"), lock(x="0.0.2"), []),
        (lock(x="1.0.0+a"), lock(x="1.0.0+b"), ["x 1.0.0+a (zenohd: 1.0.0+b)"]),
    ],
)  # fmt: skip
def test_a_crate_that_both_locks_share_has_one_version_of_each_compatible_line(
    ours: str, theirs: str, differing: list[str]
) -> None:
    assert locks.differing(ours, theirs) == differing


def test_the_lock_pins_the_plugins_and_everything_of_zenoh_to_one_version() -> None:
    manifest = tomllib.loads((HERE / "Cargo.toml").read_text())
    version = manifest["package"]["version"]
    assert set(manifest["dependencies"].values()) == {f"={version}"}
    found = {
        package["name"]: package["version"]
        for package in tomllib.loads((HERE / "Cargo.lock").read_text())["package"]
        if package["name"].startswith(("zenoh", "nokosu"))
    }
    assert set(found.values()) == {version}
    assert len(found) > 20


def test_nothing_is_taken_from_anywhere_but_the_registry() -> None:
    packages = tomllib.loads((HERE / "Cargo.lock").read_text())["package"]
    sources = {package.get("source", "") for package in packages if package["name"] != "nokosu-engine"}
    assert len(sources) == 1
    assert next(iter(sources)).startswith("registry+")
    assert all("checksum" in package for package in packages if package["name"] != "nokosu-engine")


# What it needs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "is_enough"), [("1.63.0", False), ("1.88.9", False), ("1.89.0", True), ("2.0.0", True)]
)
def test_a_compiler_that_is_too_old_is_said_before_anything_is_built(release: str, is_enough: bool) -> None:
    said = ""
    try:
        toolchain.check(f"rustc {release}\nrelease: {release}\n")
    except Failed as failed:
        said = str(failed)
    assert ("Rust 1.89 or newer is needed" in said) is not is_enough


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match="no Rust here"):
        toolchain.rustc()
    with pytest.raises(Failed, match=r"no cargo here.*no C\+\+ compiler here.*no make here"):
        toolchain.check("release: 1.95.0\n")


def test_without_a_compiler_the_tests_go_on_and_make_engine_does_not(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "engine"]
    environ = {"PATH": str(tmp_path), "NOKOSU_ENGINE_CACHE": str(tmp_path / "cache")}
    optional = subprocess.run(
        [*run, "--optional"], cwd=HERE.parent, env=environ, capture_output=True, text=True, check=False
    )
    asked = subprocess.run(run, cwd=HERE.parent, env=environ, capture_output=True, text=True, check=False)
    assert (optional.returncode, asked.returncode) == (0, 1)
    assert "the tests that need it are skipped" in optional.stderr
    assert asked.stderr.startswith("engine: no Rust here: ")
    assert not (tmp_path / "cache").exists()


def test_the_key_changes_with_whatever_the_result_depends_on() -> None:
    keys = {key("rustc 1.95", "1.10.2"), key("rustc 1.96", "1.10.2"), key("rustc 1.95", "1.10.3")}
    assert len(keys) == 3
    assert key("rustc 1.95", "1.10.2") in keys


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache() == Path.home() / ".cache/nokosu-engine"
    monkeypatch.setenv("NOKOSU_ENGINE_CACHE", str(tmp_path))
    assert cache() == tmp_path


# Licences and the wheel -----------------------------------------------------------------------------------------------


def crate(folder: Path, name: str, **files: str) -> dict[str, Any]:
    root = folder / name
    for path, text in {"Cargo.toml": "", **files}.items():
        target = root / path.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    manifest = str(root / "Cargo.toml")
    return {"name": name, "version": "1.0.0", "license": "MIT", "license_file": None, "repository": None,
            "manifest_path": manifest}  # fmt: skip


def test_each_licence_is_kept_once_and_the_list_says_whose_it_is(tmp_path: Path) -> None:
    packages = [
        crate(tmp_path, "one", LICENSE="text", src__license="no text of one"),
        crate(tmp_path, "two", **{"LICENSE-MIT": "other", "LICENSE": "text"}),
        crate(tmp_path, "carrier", rocksdb__COPYING="of the library", **{"rocksdb__LICENSE.leveldb": "older"}),
        crate(tmp_path, "none", **{"license.rs": "code"}),
    ]
    licences.collect(packages, tmp_path / "out")
    texts = sorted(path.read_text() for path in (tmp_path / "out").glob("*.txt"))
    assert texts == ["no text of one", "of the library", "older", "other", "text"]
    rows = (tmp_path / "out" / licences.LIST).read_text().splitlines()
    assert [row.split(" | ")[0] for row in rows[4:]] == [
        f"| {name} 1.0.0" for name in ("one", "two", "carrier", "none")
    ]
    assert rows[-1].endswith("|  |")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for name in ("zenohd", *LIBRARIES):
        (tmp_path / name).write_bytes(b"ELF GLIBC_2.17 GLIBC_2.34 " + name.encode())
    (tmp_path / wheel.ZENOHDS_LOCK).write_text(lock(tokio="1.53.2"))
    (tmp_path / wheel.LICENCES).mkdir()
    (tmp_path / wheel.LICENCES / licences.LIST).write_text("whose")
    return tmp_path


def test_the_wheel_installs_and_its_program_may_be_run(parts: Path) -> None:
    made = wheel.write(parts, "1.10.2", {"key": "abc"})
    venv = parts / "there"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", venv, made], check=True)
    assert (venv / "nokosu_zenohd/zenohd").stat().st_mode & 0o111
    assert json.loads((venv / "nokosu_zenohd" / wheel.BUILD).read_text()) == {"key": "abc"}
    assert {path.name for path in (venv / "nokosu_zenohd").iterdir()} >= {
        "zenohd", *LIBRARIES, "__init__.py", wheel.ZENOHDS_LOCK,
    }  # fmt: skip
    assert (venv / "nokosu_zenohd-1.10.2.dist-info/licenses" / licences.LIST).read_text() == "whose"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_the_wheel_says_which_systems_it_runs_on(parts: Path) -> None:
    assert wheel.write(parts, "1.10.2", {}).name.startswith("nokosu_zenohd-1.10.2-py3-none-manylinux_2_34_")


def test_the_same_files_make_the_same_wheel(parts: Path) -> None:
    first = wheel.write(parts, "1.10.2", {"key": "abc"}).read_bytes()
    assert wheel.write(parts, "1.10.2", {"key": "abc"}).read_bytes() == first
    with zipfile.ZipFile(next(parts.glob("*.whl"))) as archive:
        assert archive.testzip() is None
