"""How long a command takes, and how much memory processes take.

Needs the standard library alone, and `/proc`.
"""

import dataclasses
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

SAMPLE_SECONDS = 0.05
_PROC = pathlib.Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclasses.dataclass(frozen=True)
class Finished:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        peak_bytes: the highest sum of the resident memory of the process and
            all that it started, sampled; pages that they share count in each.
        output: standard output.
    """

    seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str]) -> Finished:
    """Runs a command to its end.

    Raises:
        RuntimeError: it fails; ends with what it said.
    """
    with (
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as errors,
    ):
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        peak_bytes = 0
        while process.poll() is None:
            peak_bytes = max(peak_bytes, tree_bytes(process.pid))
            time.sleep(SAMPLE_SECONDS)
        seconds = time.perf_counter() - begin
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(
                f"{' '.join(command)} must end with exit code 0. Received: "
                f"{process.returncode}\n{errors.read()[-2000:]}"
            )
        return Finished(seconds, peak_bytes, output.read())


def peak_bytes() -> int:
    """The highest resident memory of this process, in bytes.

    Where `/proc` tells it, not `ru_maxrss`: on Linux that starts from the peak
    of the process that started this one.
    """
    status = _PROC / "self" / "status"
    text = status.read_text() if status.is_file() else ""
    if found := re.search(r"VmHWM:\s+(\d+) kB", text):
        return 1024 * int(found[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def tree_bytes(root: int) -> int:
    """The resident memory of a process and of all its descendants."""
    parents, resident = {}, {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            # A name may hold blanks and brackets; what follows it does not.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # It has ended.
            continue
        process = int(folder.name)
        parents[process] = int(fields[1])
        resident[process] = int(fields[21]) * _PAGE_BYTES
    return sum(
        size
        for process, size in resident.items()
        if _descends(process, root, parents)
    )


def _descends(process, root, parents):
    while process != root and process in parents:
        process = parents[process]
    return process == root
