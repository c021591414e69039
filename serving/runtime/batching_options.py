"""How many requests wait for whom, under TF Serving's names."""

import dataclasses
import pathlib
from typing import Any

from jump_tf import schema
from serving.protocol import text_protos


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
        allowed_batch_sizes: rising, the last is `max_batch_size`; if given, a
            run has one of these sizes, rows being repeated.
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
    allowed_batch_sizes: tuple[int, ...] = ()
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
        sizes = self.allowed_batch_sizes
        rising = sorted({*sizes, self.max_batch_size})
        if sizes and (sizes[0] < 1 or list(sizes) != rising):
            raise schema.InputError(
                "`allowed_batch_sizes` must be positive and rise to "
                f"`max_batch_size`. Received: {list(sizes)}, max_batch_size="
                f"{self.max_batch_size}"
            )


def read_batching_options(path: str | pathlib.Path) -> BatchingOptions:
    """The options of a file, a text proto `BatchingParameters`.

    What it does not set stays as it is by default, but for padding, which it
    must ask for.

    Raises:
        InputError: the file cannot be read, or a setting makes no sense.
    """
    parameters = text_protos.read(path, text_protos.BatchingParameters())
    given: dict[str, Any] = {
        field.name: getattr(value, "value", value)
        for field, value in parameters.ListFields()
    }
    given["pad_variable_length_inputs"] = parameters.pad_variable_length_inputs
    given["allowed_batch_sizes"] = tuple(parameters.allowed_batch_sizes)
    # The first bounds what is accepted there, the second what runs at once.
    if size := given.pop("max_execution_batch_size", 0):
        given["max_batch_size"] = size
    given.pop("thread_pool_name", None)
    return BatchingOptions(**given)
