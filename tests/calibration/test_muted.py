"""In a process of its own: pytest has standard output in its hands."""

import subprocess
import sys

PROGRAM = """
import ctypes
import os
from edge_sdk.calibration.muted import muted

c = ctypes.CDLL(None)
print("before")
c.puts(b"from C, before")
with muted():
    c.puts(b"noise")  # stays in the C library's buffer where standard output is a pipe
    os.write(1, b"noise")
print("behind")
try:
    with muted():
        raise KeyError
except KeyError:
    print("after an error")
"""


def test_what_c_prints_is_discarded_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert done.stdout.split(b"\n") == [
        b"before", b"from C, before", b"behind", b"after an error", b"",
    ]  # fmt: skip


def test_a_closed_standard_output_is_no_error() -> None:
    program = (
        "import os\nos.close(1)\nfrom edge_sdk.calibration.muted import muted\n"
        "with muted():\n    pass\nopen(os.devnull)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
