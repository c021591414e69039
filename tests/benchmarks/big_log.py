"""A simulated click log of any size, written by columns, in order of time.

python -m tests.benchmarks.big_log FILE --clicks 10000000
"""

import argparse
import pathlib

import numpy as np
import pyarrow as pa
from pyarrow import csv

from jump_tf.experiments import session_simulator

NUM_ITEMS = 5000


def main(argv: list[str] | None = None) -> None:
    """Writes the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--clicks", type=int, required=True)
    arguments = parser.parse_args(argv)
    write(arguments.file, arguments.clicks)


def write(path: pathlib.Path, clicks: int) -> None:
    """Writes a log with exactly so many clicks, the same one each time.

    Sessions have 6 clicks on average. The log ends in the middle of some.

    Args:
        path: of the file to write.
        clicks: rows of the log.
    """
    # More than are asked for, as the lengths of sessions are drawn.
    config = session_simulator.SimulatorConfig(
        num_sessions=100 + round(1.05 * clicks / 6), num_items=NUM_ITEMS
    )
    simulation = session_simulator.simulate(config)
    earliest = np.argsort(simulation.time_ms, kind="stable")[:clicks]
    if len(earliest) < clicks:
        raise RuntimeError(f"Simulated {len(earliest)} clicks of {clicks}.")
    columns = _columns(simulation, earliest)
    settings = csv.WriteOptions(quoting_header="none", quoting_style="none")
    beside = path.with_name(f"{path.name}.tmp")
    csv.write_csv(pa.table(columns), beside, settings)
    beside.replace(path)


def _columns(simulation, clicks):
    """The columns of `Simulation.write_log` at some clicks."""
    sessions = np.repeat(
        np.arange(len(simulation.lengths)), simulation.lengths
    )[clicks]
    names = [f"session-{n:07d}" for n in range(len(simulation.lengths))]
    columns = (
        pa.array(names).take(pa.array(sessions)),
        pa.array(simulation.item_ids).take(pa.array(simulation.items[clicks])),
        pa.array(simulation.time_ms[clicks]),
    )
    return dict(zip(session_simulator.HEADER, columns, strict=True))


if __name__ == "__main__":
    main()
