import csv

from tests.benchmarks import warm_start


def test_halves_are_whole_sessions_in_the_order_of_time(tmp_path):
    """Sessions begin at 5, 2, 9 and 4; the second goes on past all others."""
    log = tmp_path / "log.csv"
    rows = [("a", 5), ("b", 2), ("c", 9), ("d", 4), ("b", 99), ("a", 6)]
    with log.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("user", *warm_start.COLUMNS))
        writer.writerows(("u", name, time, "i") for name, time in rows)
    halves = []
    for path in warm_start.split_in_halves(log, tmp_path):
        with path.open() as lines:
            halves.append(
                [tuple(row.values()) for row in csv.DictReader(lines)]
            )
    assert halves == [
        [("b", "2", "i"), ("d", "4", "i"), ("b", "99", "i")],
        [("a", "5", "i"), ("c", "9", "i"), ("a", "6", "i")],
    ]
