"""Timing of functions in turns, so that a busy machine slows all alike."""

import statistics
import time
from collections.abc import Callable
from collections.abc import Mapping

WALL, CPU = range(2)
Times = dict[str, list[tuple[float, float]]]


def in_turns(runs: Mapping[str, Callable], repeats: int) -> Times:
    """Seconds of each run by the clock and of CPU, after two that warm up."""
    times: Times = {name: [] for name in runs}
    for run in runs.values():
        run()
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter(), time.process_time()
            run()
            end = time.perf_counter(), time.process_time()
            times[name].append((end[0] - start[0], end[1] - start[1]))
    return times


def median_ms(times, clock: int = WALL) -> float:
    """Of one run, in milliseconds."""
    return 1000 * statistics.median(pair[clock] for pair in times)


def ratio(ours, theirs, clock: int = WALL) -> float:
    """Median of the ratios turn by turn."""
    return statistics.median(
        a[clock] / b[clock] for a, b in zip(ours, theirs, strict=True)
    )
