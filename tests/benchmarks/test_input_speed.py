"""The benchmark of the input pipeline runs, on next to nothing."""

import numpy as np

from tests.benchmarks import input_speed


def test_padding_efficiency_is_the_share_of_cells_with_a_click():
    batches = [
        ({}, {}, np.float32([[1, 1, 1], [1, 1, 0]])),
        ({}, {}, np.float32([[1, 1]])),
    ]
    assert input_speed.measure(batches, 1)[1] == 7 / 8


def test_both_ways_make_batches_of_all_sessions(tmp_path):
    data = input_speed.simulated(tmp_path / "data", 301)
    single = input_speed.one_by_one(data, tmp_path / "single")
    ours, theirs = (
        sorted(
            tuple(row[:length])
            for _, targets, weights in batches
            for row, length in zip(
                targets["dwell_seconds"].numpy(),
                weights.numpy().sum(1).astype(int),
                strict=True,
            )
        )
        for batches in (
            input_speed.packed_batches(data, 16),
            input_speed.peer(single, 16),
        )
    )
    assert len(ours) == 301
    assert ours == theirs


def test_it_prints_a_line_for_each_way_and_size(capsys):
    sizes = "--sessions 301 --batch 7 16 --passes 1"
    input_speed.main(sizes.split())
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("301 sessions, ")
    names = []
    for row in rows:
        name, (sessions, clicks, *share) = row[:23].strip(), row[23:].split()
        names.append(name)
        assert float(sessions.replace(",", "")) > 0
        assert float(sessions.replace(",", "")) < float(clicks.replace(",", ""))
        assert len(share) == ("batch" in name)
        assert all(0.5 < float(efficiency) <= 1 for efficiency in share)
    assert names == [
        "jump_tf, batch 7",
        "one by one, batch 7",
        "jump_tf, batch 16",
        "one by one, batch 16",
        "records parsed",
        "records read",
    ]
