"""The benchmark of HEROES runs, on next to nothing."""

import pytest

from tests.benchmarks import heroes


@pytest.mark.parametrize(
    "cell",
    ["lstm", pytest.param("hawkes", marks=pytest.mark.exhaustive)],
)
def test_it_prints_a_line_for_each_clock(cell, capsys):
    sizes = "--lists 5 --length 3 --units 4 --repeats 2"
    heroes.main([*sizes.split(), "--cell", cell])
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["wall", "CPU"]
    for line in lines:
        rate, step, *_ = line.replace(",", "").split()[1:]
        assert float(rate) > 0
        assert float(step) >= 0
