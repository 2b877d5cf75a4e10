"""`python -m nokosu.semantic`: the embedder. A search starts it; nobody else needs to."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys

from nokosu import config
from nokosu.semantic import process

logger = logging.getLogger(__name__)


def main() -> int:
    """Be the embedder of the home that the environment names; 0 too where one runs already."""
    parser = argparse.ArgumentParser(prog="python -m nokosu.semantic", description=__doc__)
    parser.add_argument("--lock", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.umask(0o077)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = config.load(os.environ, cwd=None)
    try:
        server = importlib.import_module(
            "nokosu.semantic.server"
        )  # and numpy and the engine with it, which may be broken
    except ImportError as error:
        logger.exception("the embedder cannot begin")
        process.give_up(settings, options.lock, f"its engine cannot be loaded ({error})")
        return 1
    server.run(settings, handed=options.lock)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
