"""The command line's `load-test`.

What needs gRPC is imported where it is used, so that the flags can be listed
without it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import typing

from jump_tf import schema
from serving.cli import predict as predict_command

if typing.TYPE_CHECKING:
    from serving.load_test import senders
    from serving.load_test import traffic
    from serving.load_test.report import Result
    from serving.load_test.report import Slo

GRPC = "grpc"
REST = "rest"
_CONNECTIONS = {GRPC: 4, REST: 100}
_SIGNATURES = (schema.SERVING_DEFAULT, schema.RECOMMEND, schema.STEP)
_MOST_BODIES = 20_000  # Serialized; more requests repeat them.
_EXPONENT = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf load-test`."""
    parser.add_argument("--address", required=True, help="HOST:PORT")
    parser.add_argument("--protocol", choices=_CONNECTIONS, default=GRPC)
    parser.add_argument("--model", default="jump")
    parser.add_argument(
        "--signature", choices=_SIGNATURES, default=schema.SERVING_DEFAULT
    )
    _add_load(parser)
    _add_sessions(parser)
    parser.add_argument(
        "--connections",
        type=int,
        help="default: 4, or at most 100 over REST, which has each carry one "
        "request at a time",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        help="seconds of each request (default: %(default)s)",
    )
    for name in ("p90", "p99"):
        parser.add_argument(
            f"--slo-{name}-ms",
            type=float,
            help=f"exit code 1 if the {name} is above",
        )
    parser.add_argument(
        "--output", type=pathlib.Path, help="a JSON file for all numbers"
    )
    predict_command.add_tls_arguments(parser)


def _add_load(parser):
    parser.add_argument(
        "--rate",
        type=float,
        default=100.0,
        help="requests a second (default: %(default)s)",
    )
    parser.add_argument(
        "--ramp",
        metavar="FROM,TO,STEP",
        help="instead, rates that rise until one is not held",
    )
    parser.add_argument(
        "--duration",
        type=float,
        default=30.0,
        help="seconds at each rate (default: %(default)s)",
    )
    parser.add_argument(
        "--warm-up",
        type=float,
        default=2.0,
        help="seconds before, which do not count (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of sessions and moments"
    )


def _add_sessions(parser):
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        help="data folder whose test sessions are sent, every click as likely "
        "the last; with --vocabulary or --exponent, sessions of their lengths",
    )
    parser.add_argument(
        "--vocabulary",
        type=pathlib.Path,
        help="items, one a line, the most clicked first: a power law draws "
        "from them (assets/vocabulary.txt of an exported model)",
    )
    parser.add_argument(
        "--exponent",
        type=float,
        help="of that power law (default: fitted to --data, else 1)",
    )


def run(arguments: argparse.Namespace, visits: traffic.Visits | None) -> int:
    """Puts load on a server and says how it bore it; returns the exit code.

    Args:
        arguments: the parsed flags.
        visits: those of `--data`; None without it.

    Raises:
        InputError: the request is wrong.
    """
    from serving.load_test import generator
    from serving.load_test import report
    from serving.protocol import errors

    slo = report.Slo(arguments.slo_p90_ms, arguments.slo_p99_ms)
    loads = [
        generator.Load(
            rate, arguments.duration, arguments.warm_up, arguments.seed
        )
        for rate in _rates(arguments)
    ]
    most = max(round(load.rate * load.seconds) for load in loads)
    results: list[Result] = []
    try:
        protocol, bodies = _requests(arguments, visits, most)
        generator.check(protocol, bodies[0])
        print(report.HEAD, flush=True)
        for load in loads:
            results.append(generator.run(protocol, bodies, load))
            print(report.line(results[-1]), flush=True)
            if len(loads) > 1 and not results[-1].holds(slo):
                break
    except errors.ServingError as error:
        print(f"{arguments.address} did not answer: {error}", file=sys.stderr)
        return 1
    print(report.details(results[-1]))
    if arguments.ramp:
        print(f"held: {report.capacity(results, slo):,.0f} requests/s")
    if arguments.output:
        _write(arguments.output, arguments, results, slo)
    return _exit_code(results, slo, ramp=bool(arguments.ramp))


def _exit_code(results: list[Result], slo: Slo, *, ramp: bool) -> int:
    """Returns 1 if the load was not held; of a ramp, if its first was not."""
    first = results[0]
    good = first.holds(slo) if ramp else not first.errors and first.meets(slo)
    return 0 if good else 1


def _rates(arguments) -> list[float]:
    if not arguments.ramp:
        return [arguments.rate]
    try:
        first, last, step = map(float, arguments.ramp.split(","))
    except ValueError as error:
        raise schema.InputError(
            f"`--ramp` must be FROM,TO,STEP. Received: {arguments.ramp}"
        ) from error
    if not (0 < first <= last < float("inf") and step > 0):
        raise schema.InputError(
            "`--ramp` must rise by a positive step from a positive rate. "
            f"Received: {arguments.ramp}"
        )
    return [
        first + step * number
        for number in range(1 + int((last - first) / step))
    ]


def _requests(arguments, visits, most: int):
    """Returns the protocol and the requests as bytes."""
    from serving.client import client
    from serving.load_test import senders

    if arguments.signature == schema.STEP and arguments.protocol == REST:
        raise schema.InputError(
            "`--signature step` must be over gRPC. Received: --protocol rest"
        )
    sessions = _sessions(arguments, visits, min(most, _MOST_BODIES))
    protocol = _protocol(arguments)
    if arguments.signature == schema.STEP:
        with client.Client(
            arguments.address,
            arguments.model,
            arguments.timeout,
            credentials=predict_command.credentials(arguments),
        ) as asking:
            inputs = senders.steps(sessions, asking)
    else:
        inputs = senders.inputs_of(arguments.signature, sessions)
    return protocol, [protocol.encode(arrays) for arrays in inputs]


def _protocol(arguments) -> senders.Protocol:
    from serving.load_test import senders

    connections = arguments.connections
    if connections is None:
        connections = _CONNECTIONS[arguments.protocol]
    if connections < 1:
        raise schema.InputError(
            f"`--connections` must be at least 1. Received: {connections}"
        )
    rest = arguments.protocol == REST
    make = senders.RestProtocol if rest else senders.GrpcProtocol
    return make(
        arguments.address,
        arguments.model,
        arguments.signature,
        tls=predict_command.credentials(arguments, http=rest),
        connections=connections,
        timeout_seconds=arguments.timeout,
    )


def _sessions(arguments, visits, count: int):
    from serving.load_test import traffic

    file = arguments.vocabulary
    if file is None:
        if visits is None:
            raise schema.InputError(
                "`--data` or `--vocabulary` must say which items there are. "
                "Received: neither"
            )
        file = arguments.data / schema.VOCABULARY_FILE
    vocabulary = traffic.read_vocabulary(file)
    own = arguments.vocabulary is None and arguments.exponent is None
    if not own:
        exponent = arguments.exponent
        if exponent is None:
            exponent = (
                visits.fitted_exponent() if visits is not None else _EXPONENT
            )
        visits = visits or traffic.made_up(arguments.seed)
        visits = visits.with_power_law(
            len(vocabulary), exponent, arguments.seed
        )
    return visits.sessions(vocabulary, max(count, 1), arguments.seed)


def _write(path, arguments, results, slo) -> None:
    from serving.load_test import report

    said = {
        name: str(value) if isinstance(value, pathlib.Path) else value
        for name, value in vars(arguments).items()
        if name not in ("run", "rest", "verb")
    }
    found = {
        "arguments": said,
        "results": [result.to_json() for result in results],
        "held": report.capacity(results, slo),
    }
    path.write_text(json.dumps(found, indent=1) + "\n")
