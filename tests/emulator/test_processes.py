"""Room for connections in processes of the emulator."""

import subprocess
import sys

SCRIPT = """
import resource
from backend.emulator.processes import MOST_DESCRIPTORS, raise_descriptor_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
raise_descriptor_limit()
most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
raise_descriptor_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
"""


def test_a_process_may_hold_as_many_connections_as_the_system_allows() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
