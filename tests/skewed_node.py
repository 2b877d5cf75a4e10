"""`python -m tests.skewed_node MILLISECONDS`: the node of the environment's home, with a wall clock that is so far off."""

from __future__ import annotations

import logging
import os
import sys

from nokosu import config
from nokosu.clock import system_wall_clock
from nokosu.mesh import node
from nokosu.mesh.world import World


def main() -> None:
    offset = int(sys.argv[1])
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    settings = config.load(os.environ, cwd=None)
    assert node.run(settings, world=World(wall_clock=lambda: system_wall_clock() + offset)), "another node runs already"


if __name__ == "__main__":
    main()
