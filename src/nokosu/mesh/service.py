"""The node as a service of this user: a systemd user unit on Linux, a launchd agent on macOS.

Nothing needs it: the node is started by itself when something uses the memory. A service also carries while nobody works.
"""

from __future__ import annotations

import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from nokosu import node_process
from nokosu.config import Config
from nokosu.errors import MeshError

UNIT: Final = "nokosu-node.service"
LABEL: Final = "org.nokosu.node"

Run = Callable[[Sequence[str]], None]
"""Runs a command of the system; raises `MeshError` when it fails."""

_UNIT: Final = """\
# Written by `nokosu node install`; `nokosu node uninstall` removes it.
[Unit]
Description=nokosu: carries memories between your devices

[Service]
ExecStart={command}
{environment}
Restart=on-failure
RestartSec=10
UMask=0077

[Install]
WantedBy=default.target
"""


def run(command: Sequence[str]) -> None:
    """See `Run`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise MeshError(f"{command[0]} cannot be run ({error})") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise MeshError(f"{' '.join(command)}: {said[-1] if said else done.returncode}")


def install(config: Config, run: Run = run, *, platform: str = sys.platform) -> list[str]:
    """Make the node a service, and start it; what was done, line by line.

    Raises:
        MeshError: this system has no such services, or refused.
    """
    path = _path(config, platform)
    lines = [f"wrote {path}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_plist(config) if platform == "darwin" else _unit(config).encode())
    (config.home / node_process.STOPPED_NAME).unlink(missing_ok=True)
    ended = node_process.end(config)
    if ended is not None:
        lines.append(f"ended the node that ran (process {ended.pid})")
    try:
        for command in _starting(path, platform):
            run(command)
            lines.append(f"ran {' '.join(command)}")
    except MeshError:
        path.unlink()
        raise
    return lines


def uninstall(config: Config, run: Run = run, *, platform: str = sys.platform) -> list[str]:
    """Make it a service no more, and end it; what was done.

    Raises:
        MeshError: the system refused.
    """
    path = _path(config, platform)
    if not path.exists():
        return []
    command = (
        ["launchctl", "bootout", f"gui/{os.getuid()}/{LABEL}"]
        if platform == "darwin"
        else ["systemctl", "--user", "disable", "--now", UNIT]
    )
    run(command)
    path.unlink()
    return [f"ran {' '.join(command)}", f"removed {path}"]


def is_installed(config: Config, *, platform: str = sys.platform) -> bool:
    """Whether the system starts it."""
    try:
        return _path(config, platform).exists()
    except MeshError:
        return False


def restart(config: Config, run: Run = run, *, platform: str = sys.platform) -> bool:
    """End the node, and start it anew as it was started, with what this process has in its environment; False when none is
    to run: it was stopped, or has nothing to carry.

    Raises:
        MeshError: it would not end, or did not start.
    """
    if node_process.is_stopped(config) or not node_process.is_shared(config):
        node_process.end(config)
        return False
    if is_installed(config, platform=platform):
        install(config, run, platform=platform)
    else:
        node_process.end(config)
        node_process.start(config)
    return True


def _path(config: Config, platform: str) -> Path:
    """Where the system looks for it."""
    if platform == "darwin":
        return config.user_home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    if platform.startswith("linux"):
        return config.user_home / ".config" / "systemd" / "user" / UNIT
    raise MeshError("services are known for Linux (systemd) and macOS (launchd)", hint="nokosu node run")


def _starting(path: Path, platform: str) -> list[list[str]]:
    if platform == "darwin":
        return [["launchctl", "bootstrap", f"gui/{os.getuid()}", str(path)]]
    return [["systemctl", "--user", "daemon-reload"], ["systemctl", "--user", "enable", "--now", UNIT]]


def _environment(config: Config) -> dict[str, str]:
    """What matters on the next day too; a runtime folder is the session's."""
    wanted = ("PATH", "HOME", "LANG", "NOKOSU_HOME", "NOKOSU_ENGINE", "PYTHONPATH")
    return {name: value for name, value in node_process.environment(config).items() if name in wanted}


def _unit(config: Config) -> str:
    return _UNIT.format(
        # In a command, systemd puts in variables.
        command=" ".join(_quoted(word).replace("$", "$$") for word in node_process.command()),
        environment="\n".join(
            f"Environment={_quoted(f'{name}={value}')}" for name, value in _environment(config).items()
        ),
    )


def _quoted(word: str) -> str:
    """A word as systemd reads it. Source: systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers"."""
    escaped = re.sub(r'[\\"]', r"\\\g<0>", word).replace("%", "%%")
    return f'"{escaped}"'


def _plist(config: Config) -> bytes:
    log = str(config.home / node_process.LOG_NAME)
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": node_process.command(),
            "EnvironmentVariables": _environment(config),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "Umask": 0o077,
            "StandardOutPath": log,
            "StandardErrorPath": log,
        }
    )
