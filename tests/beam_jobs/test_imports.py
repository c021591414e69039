"""Workers start in seconds: what a job imports decides that."""

import subprocess
import sys

JOBS = ("build_sessions", "build_lists", "stream_sessions")
CODE = """
import importlib, sys
for job in sys.argv[1:]:
    importlib.import_module(f"beam_jobs.{job}")
    for name in ("tensorflow", "keras", "tensorflow_datasets"):
        if name in sys.modules:
            print(job, "imports", name)
"""


def test_no_job_imports_tensorflow():
    command = [sys.executable, "-c", CODE, *JOBS]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == ""
