"""``python -m bgkit``: the command line."""

from bgkit.cli import main

if __name__ == "__main__":  # worker processes import this file, too
    main()
