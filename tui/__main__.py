"""The process: what the script ``mcig`` starts, and ``python -m tui`` where that is not on the PATH."""

from typing import NoReturn

from tui.cli import main
from tui.interrupts import end


def run() -> NoReturn:
    """Run one command and end with its exit code."""
    end(main())


if __name__ == "__main__":
    run()
