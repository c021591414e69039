"""Workers start in a second: what a job imports decides that."""

import subprocess
import sys

import pytest

CODE = """
import sys
import {module}
slow = ("tensorflow", "keras", "tensorflow_datasets")
print(*(name for name in slow if name in sys.modules))
"""


@pytest.mark.parametrize(
    "module",
    [
        "beam_jobs.build_sessions",
        "beam_jobs.build_lists",
        "beam_jobs.stream_sessions",
    ],
)
def test_a_job_imports_no_tensorflow(module):
    found = subprocess.run(
        [sys.executable, "-c", CODE.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == ""
