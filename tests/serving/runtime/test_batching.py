"""Requests that share runs: nobody waits in vain, nobody gets another's."""

import asyncio
import contextlib
import threading

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from jump_tf import schema
from serving.protocol.errors import ServingError
from serving.runtime.batching import Batcher
from serving.runtime.batching import merge
from serving.runtime.batching import merge_key
from serving.runtime.batching import take_rows
from serving.runtime.batching_options import BatchingOptions
from serving.runtime.batching_options import read_batching_options


class Model:
    """Sums rows; refuses negative values. Runs wait while it is held."""

    def __init__(self):
        self.runs = []
        self.gate = threading.Event()
        self.gate.set()
        self.running = threading.Semaphore(0)

    def run(self, signature, inputs):
        values = inputs["values"]
        self.runs.append((signature, values.shape))
        self.running.release()
        assert self.gate.wait(10)
        if (values < 0).any():
            raise tf.errors.InvalidArgumentError(None, None, "negative\nnode")
        return {"sum": values.sum(1), "widest": values}

    @contextlib.asynccontextmanager
    async def held(self, batcher):
        """While inside, its thread is busy with another request."""
        self.gate.clear()
        busy = asyncio.create_task(ask(batcher, [[0.0]], "busy"))
        await asyncio.to_thread(self.running.acquire)
        try:
            yield
        finally:
            self.gate.set()
        await busy


@pytest.fixture
def model():
    return Model()


@contextlib.contextmanager
def batching(model, **options):
    batcher = Batcher(model.run, BatchingOptions(**options))
    yield batcher
    batcher.close()


def ask(batcher, rows, signature="serving_default", deadline=None):
    values = np.float32(rows)
    return batcher.run(signature, {"values": values}, deadline)


def rows(count, length):
    return [[float(n)] * length for n in range(1, count + 1)]


def code(answer):
    assert isinstance(answer, ServingError), answer
    return answer.code.name


async def together(batcher, model, *requests):
    """The answers of requests that came while the thread was busy."""
    async with model.held(batcher):
        asked = [asyncio.create_task(ask(batcher, r)) for r in requests]
        await asyncio.sleep(0)
    return await asyncio.gather(*asked, return_exceptions=True)


def test_requests_that_wait_share_one_run(model):
    shapes = [(1, 3), (2, 5), (1, 1), (3, 2)]
    requests = [rows(*shape) for shape in shapes]
    with batching(model) as batcher:
        answers = asyncio.run(together(batcher, model, *requests))
    assert model.runs == [("busy", (1, 1)), ("serving_default", (7, 5))]
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer["sum"], np.sum(request, 1))
        assert len(answer["widest"]) == len(request)


def test_a_lone_request_does_not_wait(model):
    with batching(model) as batcher:
        answer = asyncio.run(ask(batcher, [[2.0, 5.0]]))
    assert answer["sum"].tolist() == [7.0]
    assert model.runs == [("serving_default", (1, 2))]


def test_with_a_timeout_requests_wait_for_each_other(model):
    async def main(batcher):
        first = asyncio.create_task(ask(batcher, [[1.0]]))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(ask(batcher, [[2.0]]))
        return await asyncio.gather(first, second)

    with batching(model, batch_timeout_micros=200_000) as batcher:
        answers = asyncio.run(main(batcher))
    assert [answer["sum"].tolist() for answer in answers] == [[1.0], [2.0]]
    assert model.runs == [("serving_default", (2, 1))]


def test_a_full_batch_does_not_wait(model):
    day = 86_400_000_000
    with batching(model, batch_timeout_micros=day, max_batch_size=3) as batcher:
        answer = asyncio.run(ask(batcher, rows(3, 2)))
    assert answer["sum"].tolist() == [2.0, 4.0, 6.0]


def test_a_run_has_no_more_rows_than_asked_for(model):
    requests = [rows(count, 1) for count in (2, 2, 1, 3, 1, 4)]
    with batching(model, max_batch_size=4) as batcher:
        answers = asyncio.run(together(batcher, model, *requests))
    assert [len(answer["sum"]) for answer in answers] == [2, 2, 1, 3, 1, 4]
    assert [shape[0] for _, shape in model.runs[1:]] == [4, 4, 1, 4]


def test_signatures_do_not_mix(model):
    async def main(batcher):
        async with model.held(batcher):
            asked = [
                asyncio.create_task(ask(batcher, [[1.0]], signature))
                for signature in "abab"
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*asked)

    with batching(model) as batcher:
        asyncio.run(main(batcher))
    assert model.runs[1:] == [("a", (2, 1)), ("b", (2, 1))]


def test_one_bad_request_fails_alone(model):
    with batching(model) as batcher:
        good, bad, other = asyncio.run(
            together(batcher, model, [[1.0]], [[-1.0, 2.0]], [[3.0, 4.0]])
        )
    assert (good["sum"].tolist(), other["sum"].tolist()) == ([1.0], [7.0])
    assert code(bad) == "INVALID_ARGUMENT"
    assert bad.details == "negative"


def test_many_rows_are_answered_in_parts(model):
    request = rows(11, 2)
    with batching(model, max_batch_size=4) as batcher:
        answer = asyncio.run(ask(batcher, request))
    np.testing.assert_array_equal(answer["sum"], np.sum(request, 1))
    assert max(shape[0] for _, shape in model.runs) == 4
    with (
        batching(
            model, max_batch_size=4, enable_large_batch_splitting=False
        ) as batcher,
        pytest.raises(ServingError, match="Task size 11 is larger than"),
    ):
        asyncio.run(ask(batcher, request))


def test_what_is_left_of_many_rows_shares_a_run(model):
    requests = [rows(5, 1), [[7.0], [8.0]]]
    with batching(model, max_batch_size=4) as batcher:
        answers = asyncio.run(together(batcher, model, *requests))
    assert [shape[0] for _, shape in model.runs[1:]] == [4, 3]
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer["sum"], np.sum(request, 1))


def test_a_bad_part_fails_its_request(model):
    request = [*rows(5, 1), [-1.0]]
    with (
        batching(model, max_batch_size=2) as batcher,
        pytest.raises(ServingError, match="INVALID_ARGUMENT: negative"),
    ):
        asyncio.run(ask(batcher, request))


def test_merging_can_be_switched_off(model):
    with batching(model, merge_requests=False, max_batch_size=1) as batcher:
        asyncio.run(together(batcher, model, rows(3, 1), rows(1, 1)))
    assert [shape[0] for _, shape in model.runs[1:]] == [3, 1]


def test_a_full_queue_refuses(model):
    with batching(model, max_batch_size=2, max_enqueued_batches=2) as batcher:
        answers = asyncio.run(
            together(batcher, model, *[rows(1, 1)] * 3, rows(2, 1), rows(1, 1))
        )
        assert batcher._waiting_rows == 0
    refused = answers.pop(3)  # There was room for one row, not for two.
    assert code(refused) == "UNAVAILABLE"
    assert refused.details == (
        "The batch scheduling queue to which this task was submitted is full"
    )
    assert [answer["sum"].tolist() for answer in answers] == [[1.0]] * 4


def test_cancelled_and_late_requests_do_not_run(model):
    async def main(batcher):
        now = asyncio.get_running_loop().time()
        async with model.held(batcher):
            cancelled = asyncio.create_task(ask(batcher, [[1.0]], "cancelled"))
            late = asyncio.create_task(
                ask(batcher, [[1.0]], "late", now + 0.01)
            )
            early = asyncio.create_task(
                ask(batcher, [[1.0]], "early", now + 60)
            )
            await asyncio.sleep(0)
            cancelled.cancel()
            with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
                await late  # Told in time, though the thread is still busy.
        await early

    with batching(model) as batcher:
        asyncio.run(main(batcher))
    assert [signature for signature, _ in model.runs] == ["busy", "early"]


def test_threads_run_at_the_same_time(model):
    async def main(batcher):
        model.gate.clear()
        asked = [
            asyncio.create_task(ask(batcher, [[1.0]], name)) for name in "ab"
        ]
        for _ in asked:  # Both are inside before either can leave.
            assert await asyncio.to_thread(model.running.acquire, timeout=10)
        model.gate.set()
        await asyncio.gather(*asked)

    with batching(model, num_batch_threads=2) as batcher:
        asyncio.run(main(batcher))
    assert len(model.runs) == 2


def test_what_cannot_be_merged_runs_alone():
    seen = []

    def run(signature, inputs):
        seen.append({name: array.shape for name, array in inputs.items()})
        return {"total": np.float32(sum(a.sum() for a in inputs.values()))}

    unequal = {"a": np.ones((2, 3)), "b": np.ones((1, 4))}
    scalar = {"a": np.float32(5.0)}
    batcher = Batcher(run, BatchingOptions(max_batch_size=4))
    answers = [
        asyncio.run(batcher.run("s", inputs)) for inputs in (unequal, scalar)
    ]
    batcher.close()
    assert [answer["total"] for answer in answers] == [10.0, 5.0]
    assert seen == [{"a": (2, 3), "b": (1, 4)}, {"a": ()}]


def test_outputs_without_a_batch_are_nobody_elses(model):
    def run(signature, inputs):
        model.run(signature, inputs)
        return {"total": inputs["values"].sum(keepdims=True)[0]}

    async def main():
        batcher = Batcher(run)
        try:
            return await together(batcher, model, rows(2, 2), rows(3, 1))
        finally:
            await asyncio.to_thread(batcher.close)

    answers = asyncio.run(main())
    assert [answer["total"].tolist() for answer in answers] == [[6.0], [6.0]]


def test_each_run_is_observed(model):
    seen = []

    async def main(batcher):
        async with model.held(batcher):
            asked = asyncio.create_task(ask(batcher, rows(2, 1)))
            await asyncio.sleep(0.02)
        await asked

    batcher = Batcher(model.run, None, lambda *values: seen.append(values))
    asyncio.run(main(batcher))
    batcher.close()
    (_, _, _), (size, waited, took) = seen
    assert size == 2
    assert 0.02 <= waited < 10
    assert 0 <= took < 10


def test_a_thousand_requests_at_random(model):
    random = np.random.default_rng(3)

    async def one(batcher, number):
        await asyncio.sleep(random.uniform(0, 0.05))
        shape = random.integers(0, 4), random.integers(0, 6)
        values = random.uniform(1, 2, shape).astype(np.float32)
        answer = await batcher.run(str(number % 3), {"values": values})
        np.testing.assert_allclose(answer["sum"], values.sum(1), 1e-5)

    async def main(batcher):
        await asyncio.gather(*(one(batcher, n) for n in range(1000)))

    with batching(
        model,
        num_batch_threads=3,
        max_batch_size=7,
        max_enqueued_batches=1000,
    ) as batcher:
        asyncio.run(main(batcher))
    assert max(shape[0] for _, shape in model.runs) <= 7
    assert len(model.runs) < 1000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_batch_size": 0}, "`max_batch_size` must be positive"),
        ({"num_batch_threads": -1}, "`num_batch_threads` must be positive"),
        ({"batch_timeout_micros": -1}, "must not be negative"),
    ],
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        BatchingOptions(**options)


def test_options_of_a_file(tmp_path, caplog):
    path = tmp_path / "batching.txt"
    path.write_text("")
    assert read_batching_options(path) == BatchingOptions(
        pad_variable_length_inputs=False
    )
    path.write_text(
        "max_batch_size { value: 32 } batch_timeout_micros { value: 500 }\n"
        "max_enqueued_batches { value: 7 } num_batch_threads { value: 3 }\n"
        "allowed_batch_sizes: [2, 16] pad_variable_length_inputs: true\n"
        "enable_large_batch_splitting { value: false }\n"
        "max_execution_batch_size { value: 16 }\n"
        'thread_pool_name { value: "pool" }'
    )
    assert read_batching_options(path) == BatchingOptions(
        max_batch_size=16,
        batch_timeout_micros=500,
        max_enqueued_batches=7,
        num_batch_threads=3,
        enable_large_batch_splitting=False,
    )
    (record,) = caplog.records
    assert record.getMessage() == (
        f"`allowed_batch_sizes` of {path} is ignored: a run has as many rows "
        "as its requests"
    )
    path.write_text("max_batch_size { value: 0 }")
    with pytest.raises(schema.InputError, match="must be positive"):
        read_batching_options(path)


def request(rows, *lengths):
    """Inputs a, b, ... of so many columns, no value of which is 0."""
    return {
        chr(ord("a") + n): 1.0 + np.arange(rows * length).reshape(rows, length)
        for n, length in enumerate(lengths)
    }


SHAPES = st.tuples(st.integers(0, 3), *[st.integers(0, 3)] * 3)


@hypothesis.given(st.lists(SHAPES, min_size=1, max_size=4))
def test_every_request_is_found_again(shapes):
    parts = [request(*shape) for shape in shapes]
    merged = merge(parts)
    end = 0
    for part, (rows, *_) in zip(parts, shapes, strict=True):
        start, end = end, end + rows
        for name, array in take_rows(merged, start, end).items():
            mine = part[name]
            np.testing.assert_array_equal(array[:, : mine.shape[1]], mine)
            assert not array[:, mine.shape[1] :].any()
    assert {len(array) for array in merged.values()} == {end}


def test_texts_are_filled_up_with_nothing():
    parts = [
        {"x": np.array([[b"a"]], object)},
        {"x": np.array([[b"b", b"c"], [b"d", b"e"]], object)},
    ]
    merged = merge(parts)["x"]
    assert merged.tolist() == [[b"a", b""], [b"b", b"c"], [b"d", b"e"]]


def orders(inputs):
    lengths = [array.shape[1] for array in inputs.values()]
    return [[np.sign(a - b) for a in lengths] for b in lengths]


@hypothesis.given(st.lists(SHAPES, min_size=2, max_size=4))
def test_what_has_one_key_keeps_its_faults(shapes):
    """Lengths that differ still do, and lengths that agree still do."""
    parts = [request(*shape) for shape in shapes]
    first = merge_key(parts[0], True)
    alike = [part for part in parts if merge_key(part, True) == first]
    merged = merge(alike)
    for part in alike:
        assert orders(part) == orders(merged)
    for part in parts:
        same = orders(part) == orders(parts[0])
        assert (merge_key(part, True) == first) == same


def test_without_padding_shapes_must_agree():
    short, long = request(2, 3, 3), request(1, 4, 4)
    assert merge_key(short, True) == merge_key(long, True)
    assert merge_key(short, False) != merge_key(long, False)
    assert merge_key(short, False) == merge_key(request(5, 3, 3), False)


def test_ranks_do_not_mix():
    flat, deep = request(2, 3), {"a": np.ones((2, 3, 1))}
    assert merge_key(flat, True) != merge_key(deep, True)
