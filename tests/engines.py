"""Programs that stand where a zenohd would: a real router of Zenoh without any storage, and ones that fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from nokosu.engine import plugins
from nokosu.engine.located import Engine

VERSION: Final = "1.10.2"

_ROUTER: Final = """\
import signal
import zenoh
session = zenoh.open(zenoh.Config.from_file(sys.argv[2]))
signal.pause()
"""

_FAILS: Final = """\
print("2026-11-23T04:00:00.000000Z ERROR main ThreadId(01) zenohd: {said}", file=sys.stderr)
sys.exit(1)
"""


def router(folder: Path) -> Engine:
    """The router in the wheel of Zenoh, started as zenohd is: it carries, and it stores nothing."""
    return _engine(folder, _ROUTER)


def failing(folder: Path, said: str) -> Engine:
    """One that says something and ends."""
    return _engine(folder, _FAILS.format(said=said))


def _engine(folder: Path, script: str) -> Engine:
    """What `NOKOSU_ENGINE` may name: the program, and something in the plugins' places."""
    folder.mkdir(exist_ok=True)
    for name in plugins.LIBRARIES:
        (folder / name).touch()
    program = folder / plugins.PROGRAM
    first = f"import sys\nif sys.argv[1:] == ['--version']:\n    sys.exit(print('zenohd v{VERSION}'))\n"
    program.write_text(f"#!{sys.executable}\n{first}{script}")
    program.chmod(0o700)
    return Engine(program, folder, VERSION, "NOKOSU_ENGINE")
