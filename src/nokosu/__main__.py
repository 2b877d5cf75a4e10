"""`python -m nokosu`: the command line."""

from nokosu.cli import main

if __name__ == "__main__":
    main()
