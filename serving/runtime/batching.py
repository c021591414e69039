"""Requests that wait at the same time are answered in one run of the graph.

The event loop puts requests into a queue, a few threads take them out. A
thread that becomes free takes all requests that fit one batch, so no request
waits for others while a thread is idle. A batch returns to the loop in one
call.
"""

import asyncio
import collections
import dataclasses
import queue
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from serving.protocol import errors
from serving.runtime.batching_options import BatchingOptions

Arrays = Mapping[str, np.ndarray]
Run = Callable[[str, Arrays], Arrays]


@dataclasses.dataclass(eq=False, slots=True)
class _Task:
    """A request, or a part of one; one with 0 rows runs alone."""

    signature: str
    inputs: Arrays
    rows: int
    answer: asyncio.Future
    queued: float


class Batcher:
    """Runs requests of one loaded model in batches.

    Requests share a run if they ask the same signature and their inputs go
    together: those with the same `merge_key`.

    Args:
        run: answers signature and inputs; called by several threads.
        options: how many requests wait for how long, see `BatchingOptions`.
        observe: called from the threads after each run, with its rows, the
            seconds that its first request waited and those that it took.
    """

    def __init__(
        self,
        run: Run,
        options: BatchingOptions | None = None,
        observe: Callable[[int, float, float], None] | None = None,
    ):
        self._run = run
        self._options = options or BatchingOptions()
        self._observe = observe or (lambda rows, waited, took: None)
        self._lock = threading.Lock()
        # By signature and `merge_key`; the next to be served comes first.
        self._waiting: dict[Any, collections.deque[_Task]] = {}
        self._waiting_rows = 0
        # One for each request that may run; False ends a thread.
        self._tokens: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name="batch", daemon=True)
            for _ in range(self._options.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(
        self,
        signature: str,
        inputs: Arrays,
        deadline: float | None = None,
    ) -> Arrays:
        """Returns the outputs for one request.

        A request that is cancelled or late is not run, unless it runs already.

        Args:
            signature: its name.
            inputs: by name; all with the same number of rows, or the request
                runs alone.
            deadline: in `loop.time()`.

        Raises:
            ServingError: the queue is full, the time is up, the request has
                too many rows, or the graph refuses it.
        """
        loop = asyncio.get_running_loop()
        parts, key = self._parts(inputs)
        tasks = [
            _Task(
                signature,
                part,
                rows,
                loop.create_future(),
                time.perf_counter(),
            )
            for part, rows in parts
        ]
        self._enqueue((signature, key), tasks, loop)
        if len(tasks) == 1 and deadline is None:
            return await tasks[0].answer
        answers = asyncio.gather(*(task.answer for task in tasks))
        try:
            async with asyncio.timeout_at(deadline):
                return merge(await answers)
        except TimeoutError as error:
            raise errors.ServingError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"
            ) from error
        finally:
            # Where one part fails nobody waits for the others.
            for task in tasks:
                task.answer.cancel()

    def close(self) -> None:
        """Ends the threads. No request may be waiting."""
        for _ in self._threads:
            self._tokens.put(False)
        for thread in self._threads:
            thread.join()

    def _parts(self, inputs: Arrays) -> tuple[list[tuple[Arrays, int]], Any]:
        """Splits inputs into batches; returns them and their `merge_key`."""
        sizes = {array.shape[:1] for array in inputs.values()}
        alone = object()  # Equal to nothing else.
        if len(sizes) != 1 or sizes == {()}:
            return [(inputs, 0)], alone
        ((rows,),) = sizes
        if not self._options.merge_requests:
            return [(inputs, rows)], alone
        most = self._options.max_batch_size
        key = merge_key(inputs, self._options.pad_variable_length_inputs)
        if rows <= most:
            return [(inputs, rows)], key
        if not self._options.enable_large_batch_splitting:
            raise errors.invalid_argument(
                f"Task size {rows} is larger than maximum input batch size "
                f"{most}"
            )
        starts = range(0, rows, most)
        return [
            (take_rows(inputs, start, start + most), min(most, rows - start))
            for start in starts
        ], key

    def _enqueue(self, key, tasks: list[_Task], loop) -> None:
        options = self._options
        rows = sum(max(1, task.rows) for task in tasks)
        room = options.max_enqueued_batches * options.max_batch_size
        with self._lock:
            if self._waiting_rows + rows > room:
                raise errors.ServingError(
                    grpc.StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was "
                    "submitted is full",
                )
            self._waiting_rows += rows
            self._waiting.setdefault(key, collections.deque()).extend(tasks)
            full = self._waiting_rows >= options.max_batch_size
        for _ in tasks:
            if full or not options.batch_timeout_micros:
                self._tokens.put(True)
            else:
                loop.call_later(
                    options.batch_timeout_micros / 1e6, self._tokens.put, True
                )

    def _work(self) -> None:
        while self._tokens.get():
            batch = self._take()
            if batch:
                loop = batch[0].answer.get_loop()
                answers = self._answers(batch)
                try:
                    loop.call_soon_threadsafe(_deliver, batch, answers)
                except RuntimeError:  # The loop was closed meanwhile.
                    return

    def _take(self) -> list[_Task]:
        """Takes the next batch: what fits of the queue that waits longest."""
        batch: list[_Task] = []
        rows = 0
        with self._lock:
            if not self._waiting:
                return batch
            key, waiting = next(iter(self._waiting.items()))
            del self._waiting[key]
            while waiting:
                rows += waiting[0].rows
                if batch and rows > self._options.max_batch_size:
                    self._waiting[key] = waiting
                    break
                task = waiting.popleft()
                self._waiting_rows -= max(1, task.rows)
                if task.answer.done():
                    rows -= task.rows
                else:
                    batch.append(task)
        return batch

    def _answers(self, batch: list[_Task]) -> list[Any]:
        """Returns for each task its outputs or its exception."""
        try:
            return self._run_together(batch)
        except Exception as error:
            if len(batch) == 1:
                return [error]
        # Some request is at fault: it must not fail the others.
        return [self._answers([task])[0] for task in batch]

    def _run_together(self, batch: list[_Task]) -> list[Arrays]:
        first = batch[0]
        sizes = [task.rows for task in batch]
        inputs = merge([task.inputs for task in batch])
        started = time.perf_counter()
        outputs = self._run(first.signature, inputs)
        took = time.perf_counter() - started
        self._observe(sum(sizes), started - first.queued, took)
        if len(batch) == 1:
            return [outputs]
        _check_batched(outputs, sum(sizes))
        ends = np.cumsum(sizes)
        return [
            take_rows(outputs, end - size, end)
            for end, size in zip(ends, sizes, strict=True)
        ]


def merge_key(inputs: Arrays, pad: bool) -> Any:
    """Returns a key that is equal for inputs that may be merged.

    Padding must not hide what the graph would refuse, such as two inputs of
    unequal lengths. So the order of the lengths is part of the key: of any two
    lengths, the same one is greater in all merged requests, or both are equal.

    Args:
        inputs: by name, all with the same number of rows.
        pad: whether lengths may differ at all.
    """
    shapes = [inputs[name].shape[1:] for name in sorted(inputs)]
    if not pad:
        return tuple(shapes)
    lengths = [length for shape in shapes for length in shape]
    order = {length: rank for rank, length in enumerate(sorted(set(lengths)))}
    ranks = tuple(order[length] for length in lengths)
    return tuple(map(len, shapes)), ranks


def take_rows(arrays: Arrays, start: int, stop: int) -> Arrays:
    """Returns the rows from `start` to before `stop` of each array."""
    return {name: array[start:stop] for name, array in arrays.items()}


def merge(parts: Sequence[Arrays]) -> Arrays:
    """Stacks the rows of several requests.

    Shorter arrays are filled up on the right with 0 or b"".
    """
    if len(parts) == 1:
        return parts[0]
    return {name: _stacked([part[name] for part in parts]) for name in parts[0]}


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) == 1:
        return np.concatenate(arrays)
    sizes = np.max([array.shape for array in arrays], axis=0)
    sizes[0] = sum(map(len, arrays))
    dtype = arrays[0].dtype
    stacked = np.full(sizes, b"" if dtype.hasobject else 0, dtype)
    end = 0
    for array in arrays:
        start, end = end, end + len(array)
        stacked[(slice(start, end), *map(slice, array.shape[1:]))] = array
    return stacked


def _check_batched(outputs: Arrays, rows: int) -> None:
    if any(array.shape[:1] != (rows,) for array in outputs.values()):
        raise errors.ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "Batched output tensor's 0th dimension does not equal the sum of "
            "the 0th dimension sizes of the input tensors",
        )


def _deliver(batch: list[_Task], answers: list[Any]) -> None:
    for task, answer in zip(batch, answers, strict=True):
        if task.answer.done():
            continue
        if isinstance(answer, Exception):
            task.answer.set_exception(_status(answer))
        else:
            task.answer.set_result(answer)


def _status(error: Exception) -> Exception:
    if isinstance(error, tf.errors.OpError | UnicodeDecodeError):
        return errors.from_tensorflow(error)
    return error
