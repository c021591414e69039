"""Prepares a simulated log, for benchmarks on a machine without a log.

python -m tests.benchmarks.simulated_data FOLDER
"""

import argparse
import pathlib
import tempfile

from beam_jobs import build_sessions
from beam_jobs.options.sessions import PrepareOptions
from beam_jobs.output import manifest
from jump_tf.experiments.session_simulator import SimulatorConfig
from jump_tf.experiments.session_simulator import simulate

NUM_ITEMS = 2000


def main(argv: list[str] | None = None) -> None:
    """Makes the data folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument(
        "--sessions", type=int, default=SimulatorConfig.num_sessions
    )
    arguments = parser.parse_args(argv)
    config = SimulatorConfig(
        num_sessions=arguments.sessions, num_items=NUM_ITEMS
    )
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log.csv"
        simulate(config).write_log(log)
        request = PrepareOptions(
            format="csv", input=(str(log),), output=str(arguments.folder)
        )
        print(manifest.describe(build_sessions.run(request)))


if __name__ == "__main__":
    main()
