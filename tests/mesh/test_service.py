"""The node as a service of the system."""

from __future__ import annotations

import plistlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from nokosu.config import Config
from nokosu.errors import MeshError
from nokosu.mesh import service


class System:
    """Notes what it is told to run, and refuses what the test says."""

    def __init__(self, refuses: str = "nothing") -> None:
        self.ran: list[str] = []
        self._refuses = refuses

    def __call__(self, command: Sequence[str]) -> None:
        self.ran.append(" ".join(command))
        if self._refuses in command:
            raise MeshError(f"{command[0]}: no bus")


@pytest.fixture
def at_home(config: Config) -> Config:
    """A person whose home has a name that systemd would read as something else."""
    home = config.user_home / "50% $HOME"
    home.mkdir()
    (home / "node.stopped").touch()
    return msgspec.structs.replace(config, home=home)


def unit(config: Config) -> Path:
    return config.user_home / ".config/systemd/user/nokosu-node.service"


def test_on_linux_it_is_a_unit_of_the_user_which_is_enabled_and_started(at_home: Config) -> None:
    system = System()
    told = service.install(at_home, system, platform="linux")
    assert system.ran == ["systemctl --user daemon-reload", "systemctl --user enable --now nokosu-node.service"]
    assert told == [f"wrote {unit(at_home)}", *(f"ran {command}" for command in system.ran)]
    lines = unit(at_home).read_text().splitlines()
    assert f'ExecStart="{sys.executable}" "-m" "nokosu" "node" "run"' in lines
    assert f'Environment="NOKOSU_HOME={at_home.user_home}/50%% $HOME"' in lines
    assert "Restart=on-failure" in lines
    assert not (at_home.home / "node.stopped").exists()

    assert service.uninstall(at_home, system, platform="linux") == [
        "ran systemctl --user disable --now nokosu-node.service",
        f"removed {unit(at_home)}",
    ]
    assert not unit(at_home).exists()
    assert service.uninstall(at_home, system, platform="linux") == []


def test_on_macos_it_is_a_launch_agent(at_home: Config) -> None:
    system = System()
    service.install(at_home, system, platform="darwin")
    path = at_home.user_home / "Library/LaunchAgents/org.nokosu.node.plist"
    said = plistlib.loads(path.read_bytes())
    assert said["ProgramArguments"] == [sys.executable, "-m", "nokosu", "node", "run"]
    assert said["EnvironmentVariables"]["NOKOSU_HOME"] == str(at_home.home)
    assert said["KeepAlive"] == {"SuccessfulExit": False}
    assert system.ran[0].startswith("launchctl bootstrap gui/")
    service.uninstall(at_home, system, platform="darwin")
    assert not path.exists()


def test_it_is_started_anew_by_the_system_where_that_starts_it(at_home: Config) -> None:
    system = System()
    blind = msgspec.structs.replace(at_home, engine_folder=Path("/opt/engine"))
    (blind.home / "hub.json").touch()
    service.install(at_home, system, platform="linux")
    system.ran.clear()
    assert service.restart(blind, system, platform="linux")
    assert system.ran == ["systemctl --user daemon-reload", "systemctl --user enable --now nokosu-node.service"]
    assert 'Environment="NOKOSU_ENGINE=/opt/engine"' in unit(at_home).read_text().splitlines()


@pytest.mark.parametrize("name", ["node.stopped", "nothing"])
def test_what_was_stopped_or_carries_nothing_is_not_started_anew(at_home: Config, name: str) -> None:
    system = System()
    service.install(at_home, system, platform="linux")
    system.ran.clear()
    (at_home.home / name).touch()
    assert not service.restart(at_home, system, platform="linux")
    assert system.ran == []


def test_where_the_system_refuses_nothing_is_left_behind(at_home: Config) -> None:
    with pytest.raises(MeshError, match="no bus"):
        service.install(at_home, System("enable"), platform="linux")
    assert not unit(at_home).exists()
    with pytest.raises(MeshError, match="launchd"):
        service.install(at_home, platform="freebsd14")


def test_a_command_that_fails_says_why_in_one_line() -> None:
    with pytest.raises(MeshError, match="no such unit"):
        service.run(["sh", "-c", "echo first >&2; echo no such unit >&2; exit 3"])
    with pytest.raises(MeshError, match="cannot be run"):
        service.run(["/nowhere/systemctl"])
