"""What a stranger types first, on a copy of this checkout with no .venv and under an empty home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_packaging import ROOT, files

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for path in files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return tmp_path


def make(target: str, checkout: Path, home: Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VIRTUAL_ENV"))}
    env |= {"HOME": str(home), "PATH": f"{home / 'bin'}:/usr/bin:/bin"}
    base = sys._base_executable  # type: ignore[attr-defined]  # noqa: SLF001
    command = ["make", target, f"PYTHON={base}"]
    done = subprocess.run(
        command, cwd=checkout, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_make_try_works_in_a_clean_clone_and_installs_once(checkout: Path, home: Path) -> None:
    assert "Installing" in make("try", checkout, home)
    assert "Installing" not in make("try", checkout, home)


@pytest.mark.parametrize("tool", ["uv", "none"])
def test_make_install_and_uninstall_leave_nothing_behind(checkout: Path, home: Path, tool: str) -> None:
    if tool == "uv":
        (home / "bin/uv").symlink_to(Path(sys.executable).parent / "uv")
    program = home / ".local/bin/nokosu"
    for _ in range(2):
        said = make("install", checkout, home)
        assert f"Installed {program} (by {'uv' if tool == 'uv' else 'its own environment'}" in said
        assert "is not on your PATH" in said
    assert "search" in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    make("uninstall", checkout, home)
    assert not os.path.lexists(program)
    assert not (home / ".local/share/nokosu-env").exists()
