"""How much memory a process took; needs the standard library alone."""

import pathlib
import re
import resource
import sys

_STATUS = pathlib.Path("/proc/self/status")


def peak_bytes() -> int:
    """The highest resident memory of this process, in bytes.

    Where `/proc` tells it, not `ru_maxrss`: on Linux that starts from the peak
    of the process that started this one.
    """
    status = _STATUS.read_text() if _STATUS.is_file() else ""
    if found := re.search(r"VmHWM:\s+(\d+) kB", status):
        return 1024 * int(found[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
