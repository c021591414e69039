"""How fast `jump-tf prepare` turns a click log into sessions, and how big.

    python -m tests.benchmarks.prepare_speed --growth --output FILE

Each of these reads the same simulated log, made once and kept in `--work`, in
a process of its own, one after the other:

prepare, in_memory         `jump-tf prepare`, all in one process.
prepare, multi_processing  the same with two worker processes.
DuckDB                     the same sessions to Parquet with two threads; keeps
                           the names of items, so it makes no vocabulary.
Beam, row by row           the idiomatic job, without any filter or split, on
                           the log's first rows only: it is the slowest, and
                           holds all that it groups in memory.

clicks/s  rows of the log over the seconds from the start of the process to its
          end. Of the job row by row, which reads fewer rows, only the seconds
          of its pipeline count: starting up is not held against it.
peak MiB  highest sum of the resident memory of the process and its children.
"""

import argparse
import datetime
import itertools
import json
import os
import pathlib
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from tests.benchmarks import big_log
from tests.benchmarks import processes

IN_MEMORY = "prepare, in_memory"
MULTI_PROCESSING = "prepare, multi_processing"
DUCKDB = "DuckDB"
PER_ROW = "Beam, row by row"
RUNNING_MODES = {
    IN_MEMORY: ["--direct_running_mode=in_memory"],
    MULTI_PROCESSING: [
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    ],
}
MIB = 2**20
# What is asked of 10 million clicks on two cores.
LEAST_CLICKS_PER_SECOND = 400_000
MOST_PEAK_BYTES = 2e9
MOST_GROWTH_BYTES = 120

Measured = dict[str, dict[str, float]]


def main(argv: list[str] | None = None) -> None:
    """Measures all; prints the table, writes the file."""
    arguments = _parser().parse_args(argv)
    arguments.work.mkdir(parents=True, exist_ok=True)
    measured = {
        **measure_prepare(arguments, arguments.clicks),
        DUCKDB: measure_duckdb(arguments),
        PER_ROW: measure_per_row(arguments),
    }
    check_same_clicks(measured)
    twice: Measured = {}
    if arguments.growth:
        twice = measure_prepare(arguments, 2 * arguments.clicks)
    result = summary(measured, twice)
    print(table(result))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def measure_prepare(arguments: argparse.Namespace, clicks: int) -> Measured:
    """Runs `jump-tf prepare` in each of its modes."""
    log = made_log(arguments, clicks)
    measured: Measured = {}
    for name, mode in RUNNING_MODES.items():
        data = _fresh(arguments.work / "data")
        command = [*("-m", "jump_tf.cli", "prepare", "--input", str(log))]
        command += ["--format", "csv", "--output", str(data)]
        finished = _run(name, [*command, *mode])
        manifest = json.loads((data / "manifest.json").read_text())
        measured[name] = {
            **_measures(manifest["rows"], finished.seconds, finished),
            "clicks_kept": manifest["clicks"],
        }
    return measured


def measure_duckdb(arguments: argparse.Namespace) -> dict[str, float]:
    """Runs the peer in SQL."""
    log = made_log(arguments, arguments.clicks)
    folder = _fresh(arguments.work / "duckdb")
    command = ["-m", "tests.benchmarks.duckdb_sessions", str(log), str(folder)]
    finished = _run(DUCKDB, command)
    return {
        **_measures(arguments.clicks, finished.seconds, finished),
        "clicks_kept": int(finished.output),
    }


def measure_per_row(arguments: argparse.Namespace) -> dict[str, float]:
    """Runs the idiomatic Beam job on the first rows."""
    rows = min(arguments.per_row_clicks, arguments.clicks)
    head = arguments.work / "head"
    with (
        made_log(arguments, arguments.clicks).open() as log,
        head.open("w") as short,
    ):
        short.writelines(itertools.islice(log, rows + 1))
    folder = _fresh(arguments.work / "per_row")
    command = ["-m", "tests.benchmarks.per_row_beam", str(head), str(folder)]
    finished = _run(PER_ROW, command)
    return _measures(rows, float(finished.output), finished)


def made_log(arguments: argparse.Namespace, clicks: int) -> pathlib.Path:
    """The log of so many clicks, made if it is not there yet."""
    path = arguments.work / f"clicks-{clicks}.csv"
    if not path.exists():
        print(f"== simulating {clicks} clicks", flush=True)
        big_log.write(path, clicks)
    return path


def check_same_clicks(measured: Measured) -> None:
    """Those who filter must keep the same number of clicks.

    Raises:
        RuntimeError: they do not, and so did not do the same.
    """
    kept = {
        name: measures["clicks_kept"]
        for name, measures in measured.items()
        if "clicks_kept" in measures
    }
    if len(set(kept.values())) > 1:
        raise RuntimeError(f"All must keep the same clicks. Received: {kept}")


def summary(measured: Measured, twice: Measured) -> dict[str, Any]:
    """All numbers, as they are kept.

    Args:
        measured: a row for each.
        twice: of `prepare` on twice as many clicks; may be empty.
    """
    rows = {
        name: {
            **measures,
            "ratio_to_duckdb": _ratio(measures, measured[DUCKDB]),
            "ratio_to_per_row_beam": _ratio(measures, measured[PER_ROW]),
        }
        for name, measures in measured.items()
    }
    for name, larger in twice.items():
        smaller = measured[name]
        rows[name]["growth_bytes_per_click"] = (
            larger["peak_bytes"] - smaller["peak_bytes"]
        ) / (larger["clicks"] - smaller["clicks"])
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "measured": rows,
        "measured_on_twice_the_clicks": twice,
        "cores": len(os.sched_getaffinity(0)),
        "versions": {
            "python": platform.python_version(),
            **{
                name: metadata.version(name)
                for name in ("apache-beam", "duckdb", "pyarrow", "tensorflow")
            },
        },
    }


def table(result: dict[str, Any]) -> str:
    """A line for each, then what is asked of `prepare`."""
    lines = [
        f"{'':26}{'clicks':>11}{'seconds':>9}{'clicks/s':>11}"
        f"{'x DuckDB':>10}{'x Beam rows':>13}{'peak MiB':>10}{'B/click':>9}"
    ]
    for name, row in result["measured"].items():
        growth = row.get("growth_bytes_per_click")
        lines.append(
            f"{name:26}{row['clicks']:>11,.0f}{row['seconds']:>9.1f}"
            f"{row['clicks_per_second']:>11,.0f}"
            f"{row['ratio_to_duckdb']:>10.2f}"
            f"{row['ratio_to_per_row_beam']:>13.2f}"
            f"{row['peak_bytes'] / MIB:>10,.0f}"
            f"{'-' if growth is None else f'{growth:.0f}':>9}"
        )
    lines.append(
        f"asked of prepare: at least {LEAST_CLICKS_PER_SECOND:,} clicks/s, at "
        f"most {MOST_PEAK_BYTES / MIB:,.0f} MiB, and from there at most "
        f"{MOST_GROWTH_BYTES} B/click more"
    )
    for name in RUNNING_MODES:
        missed = ", ".join(_missed(result["measured"][name])) or "nothing"
        lines.append(f"{name:26} misses {missed}")
    return "\n".join(lines)


def _missed(row):
    if row["clicks_per_second"] < LEAST_CLICKS_PER_SECOND:
        yield "clicks/s"
    if row["peak_bytes"] > MOST_PEAK_BYTES:
        yield "peak MiB"
    if row.get("growth_bytes_per_click", 0) > MOST_GROWTH_BYTES:
        yield "B/click"


def _measures(clicks, seconds, finished) -> dict[str, float]:
    return {
        "clicks": clicks,
        "seconds": seconds,
        "clicks_per_second": clicks / seconds,
        "peak_bytes": finished.peak_bytes,
    }


def _ratio(measures, peer):
    return measures["clicks_per_second"] / peer["clicks_per_second"]


def _run(name: str, command: Sequence[str]) -> processes.Finished:
    print(f"== {name}", flush=True)
    finished = processes.run([sys.executable, *command])
    mebibytes = finished.peak_bytes / MIB
    print(f"{finished.seconds:.1f} s, {mebibytes:,.0f} MiB", flush=True)
    return finished


def _fresh(folder: pathlib.Path) -> pathlib.Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clicks", type=int, default=10_000_000)
    parser.add_argument("--per-row-clicks", type=int, default=500_000)
    parser.add_argument(
        "--growth",
        action="store_true",
        help="also prepare twice the clicks: what memory a click more takes",
    )
    parser.add_argument(
        "--work",
        type=pathlib.Path,
        default=pathlib.Path("build", "bench-prepare"),
        help="folder of the log and of what is written",
    )
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file")
    return parser


if __name__ == "__main__":
    main()
