import pytest

from beam_jobs import counting

COUNTS = {
    counting.LINES: {"": 20},
    counting.REJECTED: {"bad": 2, "worse": 1},
    counting.PARSED: {"": 17},
    counting.FILTERED: {"rare": 4, "short": 1},
    counting.KEPT: {"": 12},
    counting.CLICKS: {"train": 7, "validation": 2, "test": 3},
}


def test_every_row_is_accounted_for():
    counting.check(COUNTS)


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize(
    ("name", "part", "stage"),
    [
        (counting.LINES, "", "parse"),
        (counting.REJECTED, "worse", "parse"),
        (counting.FILTERED, "short", "group and filter"),
        (counting.CLICKS, "test", "write"),
    ],
)
def test_a_lost_or_doubled_click_names_its_stage(name, part, stage, change):
    counts = {key: dict(parts) for key, parts in COUNTS.items()}
    counts[name][part] += change
    with pytest.raises(RuntimeError, match=f"Stage `{stage}` must"):
        counting.check(counts)


def test_stages_that_counted_nothing_count_as_zero():
    with pytest.raises(RuntimeError, match=r"`write`.* 12 in, 0 out"):
        counting.check({**COUNTS, counting.CLICKS: {}})
