"""Arrays of several requests in one, and what may not be merged."""

import hypothesis
import numpy as np
from hypothesis import strategies as st

from serving.runtime import merging


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
    merged = merging.merged(parts)
    end = 0
    for part, (rows, *_) in zip(parts, shapes, strict=True):
        start, end = end, end + rows
        for name, array in merging.rows(merged, start, end).items():
            mine = part[name]
            np.testing.assert_array_equal(array[:, : mine.shape[1]], mine)
            assert not array[:, mine.shape[1] :].any()
    assert {len(array) for array in merged.values()} == {end}


def test_texts_are_filled_up_with_nothing():
    parts = [
        {"x": np.array([[b"a"]], object)},
        {"x": np.array([[b"b", b"c"], [b"d", b"e"]], object)},
    ]
    merged = merging.merged(parts)["x"]
    assert merged.tolist() == [[b"a", b""], [b"b", b"c"], [b"d", b"e"]]


def orders(inputs):
    lengths = [array.shape[1] for array in inputs.values()]
    return [[np.sign(a - b) for a in lengths] for b in lengths]


@hypothesis.given(st.lists(SHAPES, min_size=2, max_size=4))
def test_what_has_one_key_keeps_its_faults(shapes):
    """Lengths that differ still do, and lengths that agree still do."""
    parts = [request(*shape) for shape in shapes]
    first = merging.key(parts[0], True)
    alike = [part for part in parts if merging.key(part, True) == first]
    merged = merging.merged(alike)
    for part in alike:
        assert orders(part) == orders(merged)
    for part in parts:
        same = orders(part) == orders(parts[0])
        assert (merging.key(part, True) == first) == same


def test_without_padding_shapes_must_agree():
    short, long = request(2, 3, 3), request(1, 4, 4)
    assert merging.key(short, True) == merging.key(long, True)
    assert merging.key(short, False) != merging.key(long, False)
    assert merging.key(short, False) == merging.key(request(5, 3, 3), False)


def test_ranks_do_not_mix():
    flat, deep = request(2, 3), {"a": np.ones((2, 3, 1))}
    assert merging.key(flat, True) != merging.key(deep, True)
