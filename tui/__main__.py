"""Lets ``python -m tui`` stand for ``mcig``, also where the script is not on the PATH."""

import sys

from tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
