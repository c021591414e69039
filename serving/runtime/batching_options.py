"""How requests are batched, under TF Serving's names."""

import dataclasses
import logging
import pathlib
from typing import Any

from jump_tf import schema
from serving.protocol import text_protos

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class BatchingOptions:
    """TF Serving's BatchingParameters; times in microseconds.

    Attributes:
        max_batch_size: rows of a run at most.
        batch_timeout_micros: how long a request waits for others though a
            thread is free; 0 is not at all.
        max_enqueued_batches: full batches that may wait; what comes beyond
            is refused.
        num_batch_threads: runs at the same time.
        pad_variable_length_inputs: whether requests of unequal lengths may
            share a run, filled up on the right with 0 or "". (TF Serving
            fills up with the request's first value.)
        enable_large_batch_splitting: whether a request with more rows than
            `max_batch_size` is answered in parts; else it is refused.
        merge_requests: False answers every request alone, in whole.
    """

    max_batch_size: int = 64
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 100
    num_batch_threads: int = 1
    pad_variable_length_inputs: bool = True
    enable_large_batch_splitting: bool = True
    merge_requests: bool = True

    def __post_init__(self):
        for name in (
            "max_batch_size",
            "max_enqueued_batches",
            "num_batch_threads",
        ):
            if getattr(self, name) < 1:
                raise schema.InputError(
                    f"`{name}` must be positive. "
                    f"Received: {name}={getattr(self, name)}"
                )
        if self.batch_timeout_micros < 0:
            raise schema.InputError(
                "`batch_timeout_micros` must not be negative. Received: "
                f"batch_timeout_micros={self.batch_timeout_micros}"
            )


def read_batching_options(path: str | pathlib.Path) -> BatchingOptions:
    """Returns the options of a file, a text proto `BatchingParameters`.

    What it does not set keeps its default, except that padding is off unless
    the file turns it on. `allowed_batch_sizes` and `thread_pool_name` are
    accepted and change nothing.

    Raises:
        InputError: the file cannot be read, or a setting makes no sense.
    """
    parameters = text_protos.read(path, text_protos.BatchingParameters())
    given: dict[str, Any] = {
        field.name: getattr(value, "value", value)
        for field, value in parameters.ListFields()
    }
    given["pad_variable_length_inputs"] = parameters.pad_variable_length_inputs
    if given.pop("allowed_batch_sizes", None):
        _LOGGER.warning(
            "`allowed_batch_sizes` of %s is ignored: a run has as many rows "
            "as its requests",
            path,
        )
    # The first bounds what is accepted there, the second what runs at once.
    if size := given.pop("max_execution_batch_size", 0):
        given["max_batch_size"] = size
    given.pop("thread_pool_name", None)
    return BatchingOptions(**given)
