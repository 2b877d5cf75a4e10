"""`python -m nokosu`: the command line."""

import sys

from nokosu.cli import main

if __name__ == "__main__":
    sys.exit(main())
