"""Errors and signals that end a training early."""

import contextlib
import pathlib
import re
import signal
import threading

import tensorflow as tf

_NETWORK_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class TrainingError(RuntimeError):
    """Training cannot go on; what was saved before is whole."""


class TrainingStopped(Exception):  # noqa: N818 - It was asked for.
    """Training has saved its state and stopped, as SIGTERM asked.

    Attributes:
        exit_code: as a shell names a process that SIGTERM ended.
    """

    exit_code = 143


@contextlib.contextmanager
def when_terminated():
    """An event that SIGTERM sets; a second one ends the process at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python lets only the main thread listen.
        return

    def listen(*_):
        stop.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    former = signal.signal(signal.SIGTERM, listen)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, former)


@contextlib.contextmanager
def in_words(run: pathlib.Path, several_processes: bool):
    """Explains a failure of disk or network in terms of the run.

    Args:
        run: the run folder.
        several_processes: whether others take part, which may fail.

    Raises:
        TrainingError: of either.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        text = str(error)
        if "No space left" in text:
            raise TrainingError(
                f"The disk of {run} must have room. Received: a full one; the "
                "last checkpoint is whole, go on with --resume"
            ) from error
        if several_processes and isinstance(error, _NETWORK_ERRORS):
            raise TrainingError(
                "All workers must stay in touch. Received: "
                f"{_lost(error)}; start all of them again with --resume, from "
                "the last checkpoint"
            ) from error
        raise


def _lost(error) -> str:
    """The worker that a network error names, or the error's type."""
    found = re.search(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", str(error))
    name = type(error).__name__
    return f"{name} of {found[1]} {found[2]}" if found else name
