"""All numbers that the serving plane is held to, in one run.

    python -m tests.benchmarks.serving --data DATA

under load      1,000 requests/s on a model of 43k items, d = 100, untrained,
                with the production preset: latencies, beside a plain Python
                server and an echo; single requests.
large           a catalogue of a million items at 20 requests/s.
step            a click of a long session as a step, and as the whole session.
soak            80 % of capacity for ten minutes while the model is swapped.
fuzz            10,000 wrong requests, half of them over REST.

Sessions are those of the data folder. Exit code 1 where a number is missed.
Server and generator share the machine: let nothing else run on it.
"""

import argparse
import functools
import pathlib
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator

import grpc

from jump_tf import schema
from serving.client.client import Client
from serving.load_test import traffic
from tests.benchmarks import serving_fuzz
from tests.benchmarks import serving_setup
from tests.benchmarks import serving_soak
from tests.benchmarks import serving_speed
from tests.benchmarks.serving_setup import Check

LOAD, LARGE, STEP, SOAK, FUZZ = PARTS = (
    "load",
    "large",
    "step",
    "soak",
    "fuzz",
)


def main(argv: list[str] | None = None) -> int:
    """Prints the table; returns the exit code."""
    arguments = _parser().parse_args(argv)
    sizes = serving_speed.Sizes(arguments.rate, arguments.seconds)
    soak = serving_soak.Soak(
        arguments.soak_seconds,
        arguments.swap_seconds,
        arguments.ramp,
        arguments.ramp_seconds,
        arguments.ramp_p99_ms,
    )
    data = arguments.data
    with tempfile.TemporaryDirectory() as folder:
        models = pathlib.Path(folder) / "models"
        large = pathlib.Path(folder) / "large"
        measures: dict[str, Callable[[], Iterator[Check]]] = {
            LOAD: lambda: serving_speed.under_load(models, data, sizes),
            LARGE: lambda: serving_speed.large_catalogue(large, data, sizes),
            STEP: lambda: serving_speed.steps(models, data, sizes),
            SOAK: lambda: serving_soak.soak(models, data, soak),
            FUZZ: lambda: fuzz(models, data, arguments.fuzzed),
        }
        write = functools.partial(
            serving_setup.write_model, data=data, units=arguments.units
        )
        write(models, num_items=arguments.items)
        if LARGE in arguments.parts:
            write(large, num_items=arguments.large_items)
        checks = [
            check for part in arguments.parts for check in measures[part]()
        ]
    print()
    for check in checks:
        print(check)
    return int(any(check.missed for check in checks))


def fuzz(
    models: pathlib.Path, data: pathlib.Path, count: int
) -> Iterator[Check]:
    """Wrong requests, and whether the server goes on as before."""
    known = traffic.read_vocabulary(data / schema.VOCABULARY_FILE)
    visits = traffic.made_up(0).with_power_law(len(known), 1.0, 0)
    sessions = visits.sessions(known, 20, 0)
    half = count // 2
    name = serving_setup.NAME
    with (
        serving_setup.serve(models) as server,
        Client(server.address, name, timeout_seconds=60.0) as client,
        grpc.insecure_channel(
            server.address, [("grpc.max_send_message_length", -1)]
        ) as channel,
    ):
        before = client.answer(sessions)
        found = [
            serving_fuzz.run(
                serving_fuzz.grpc_cases(name, count - half, seed=0),
                functools.partial(serving_fuzz.send_grpc, channel),
            ),
            serving_fuzz.run(
                serving_fuzz.rest_cases(name, half, seed=0),
                functools.partial(serving_fuzz.send_rest, server.http_address),
            ),
        ]
        changed = before != client.answer(sessions)
    for each in found:
        for kind, statuses in each.statuses.items():
            counts = ", ".join(f"{s} {n}" for s, n in statuses.items())
            print(f"{kind:24}{counts}")
    wrong = [case for each in found for case in each.wrong]
    for case, status in wrong[:10]:
        print(f"{case.kind}: {status}, not {case.allowed}: {case.body[:80]!r}")
    yield Check(f"of {count} fuzzed, with another status", len(wrong), 0)
    yield Check("  answers that changed afterwards (1 = yes)", changed, 0)


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--items", type=int, default=43_000)
    parser.add_argument("--large-items", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of each load"
    )
    parser.add_argument("--soak-seconds", type=float, default=600.0)
    parser.add_argument("--swap-seconds", type=float, default=20.0)
    parser.add_argument(
        "--ramp",
        default=serving_soak.Soak.ramp,
        help="rates among which the capacity is found (default: %(default)s)",
    )
    parser.add_argument("--ramp-seconds", type=float, default=5.0)
    parser.add_argument(
        "--ramp-p99-ms",
        type=float,
        default=serving_soak.Soak.slo_p99_ms,
        help="that the capacity must hold (default: %(default)s)",
    )
    parser.add_argument("--fuzzed", type=int, default=10_000)
    return parser


if __name__ == "__main__":
    sys.exit(main())
