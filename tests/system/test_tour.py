"""The tour in a sandbox that lets nobody use a network, not even this machine's own loopback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.homes import NOKOSU, Home

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def test_without_any_network_the_tour_skips_the_second_device_and_says_why(tmp_path: Path) -> None:
    user = Home(tmp_path, "user")
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")
    done = subprocess.run(
        [*alone, *NOKOSU, "try"], env=user.env, cwd=user.work, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: no two processes may talk on 127.0.0.1 here" in done.stdout
    assert "saved by claude-code on" in done.stdout
