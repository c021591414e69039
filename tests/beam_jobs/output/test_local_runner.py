import threading
import time
import types

import pytest
from apache_beam import coders
from apache_beam.runners.portability.fn_api_runner import execution

from beam_jobs.output import jobs
from beam_jobs.output import local_runner

BUFFER = b"materialize:clicks"


class SlowManager(execution.BundleContextManager):
    """Takes its time to make a buffer, so that two are sure to meet."""

    def __init__(self):
        self.execution_context = types.SimpleNamespace(pcoll_buffers={})

    def get_input_coder_impl(self, transform_id):
        time.sleep(0.05)
        return coders.BytesCoder().get_impl()


def buffers_of_two_workers(get_buffer):
    manager = SlowManager()
    found = []
    workers = [
        threading.Thread(
            target=lambda: found.append(get_buffer(manager, BUFFER, "write"))
        )
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


@pytest.fixture
def mended():
    local_runner.mend()
    return execution.BundleContextManager.get_buffer


def test_two_workers_write_to_one_buffer(mended):
    one, other = buffers_of_two_workers(mended)
    assert one is other


def test_without_the_mend_a_buffer_is_lost(mended):
    """Once Beam does it right, this fails: then drop the mend."""
    one, other = buffers_of_two_workers(mended.__wrapped__)
    assert one is not other


def test_every_job_runs_on_the_mended_runner(mended, monkeypatch):
    monkeypatch.setattr(
        execution.BundleContextManager, "get_buffer", mended.__wrapped__
    )
    jobs.runner_options([])
    once = execution.BundleContextManager.get_buffer
    assert once is not mended.__wrapped__
    local_runner.mend()
    assert execution.BundleContextManager.get_buffer is once
