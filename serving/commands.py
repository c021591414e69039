"""The command line's `serve` and `predict`.

What needs gRPC is imported where it is used, so that the flags can be listed
without it.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing

from jump_tf import schema

if typing.TYPE_CHECKING:
    from serving import client


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf serve`."""
    parser.add_argument(
        "--models",
        required=True,
        type=pathlib.Path,
        help="folder that holds <name>/<version>/",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 opens it to the network, without "
        "authentication (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=8500, help="0 picks a free one"
    )


def run_serve(arguments: argparse.Namespace) -> int:
    """Serves until a signal; returns the exit code.

    Raises:
        InputError: there is nothing to serve, or nowhere.
    """
    from serving import server

    server.serve(
        arguments.models,
        host=arguments.host,
        port=arguments.port,
        ready=lambda address: print(f"serving at {address}", flush=True),
    )
    return 0


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf predict`."""
    parser.add_argument("--address", required=True, help="HOST:PORT")
    parser.add_argument(
        "--items", default="", help="clicked items A,B,C, oldest first"
    )
    parser.add_argument(
        "--dwell",
        default="",
        help="seconds on each item, 12,40; empty or left out where unknown",
    )
    parser.add_argument(
        "--elapsed",
        type=float,
        default=0.0,
        help="seconds already spent on the last item",
    )
    parser.add_argument(
        "--shown",
        help="of a model of lists: the items of a list and their features, "
        "F=A,G=B;F=C,G=D",
    )
    parser.add_argument(
        "--clicked",
        default="",
        help="with --shown: 1 or 0 for its first items, 0,1; empty or left out "
        "where unknown",
    )
    parser.add_argument(
        "--model", help="its name (default: jump, or heroes with --shown)"
    )
    parser.add_argument(
        "--top", type=int, default=5, help="rows to print (default: 5)"
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, help="seconds (default: 10)"
    )


def run_predict(arguments: argparse.Namespace) -> int:
    """Asks a server and prints a table; returns the exit code.

    Raises:
        InputError: the request is wrong.
    """
    from serving import errors

    if arguments.top < 1:
        raise schema.InputError(
            f"`--top` must be at least 1. Received: {arguments.top}"
        )
    if bool(arguments.clicked) and not arguments.shown:
        raise schema.InputError(
            "`--clicked` must come with `--shown`. "
            f"Received: --clicked={arguments.clicked} alone"
        )
    if arguments.shown is not None and arguments.items:
        raise schema.InputError(
            "`--items` or `--shown` must be given, not both. Received: both"
        )
    lists = arguments.shown is not None
    ask = _ask_about_list if lists else _ask_about_session
    try:
        print(ask(arguments))
    except errors.ServingError as error:
        print(f"{arguments.address} did not answer: {error}", file=sys.stderr)
        return 1
    return 0


def _ask_about_session(arguments) -> str:
    from serving import client

    session = client.Session(
        arguments.items.split(",") if arguments.items else [],
        _numbers("--dwell", arguments.dwell, schema.UNKNOWN_DWELL),
        arguments.elapsed,
    )
    with client.Client(
        arguments.address, arguments.model or "jump", arguments.timeout
    ) as asked:
        answer = asked.answer([session])[0]
    return format_answer(answer, arguments.top, page=bool(session.items))


def _ask_about_list(arguments) -> str:
    from serving import lists

    features = [item.split(",") for item in arguments.shown.split(";")]
    clicked = _numbers("--clicked", arguments.clicked, schema.UNKNOWN_FEEDBACK)
    shown = lists.ShownItems(features, clicked)
    with lists.ListClient(
        arguments.address, arguments.model or "heroes", arguments.timeout
    ) as asked:
        scores = asked.score([shown])[0]
    names = [", ".join(item) for item in features]
    width = max(map(len, ["item", *names]))
    return "\n".join(
        [
            f"{'item':<{width}}   click  conversion if clicked     both",
            *(
                f"{name:<{width}}  {score.click_probability:.4f}  "
                f"{score.conversion_probability:>21.4f}  "
                f"{score.click_conversion_probability:.5f}"
                for name, score in zip(names, scores, strict=True)
            ),
        ]
    )


def format_answer(answer: client.Answer, top: int, page: bool) -> str:
    """A table of the first `top` recommendations.

    Args:
        answer: of one session.
        top: rows.
        page: whether a line about the page on screen is added.
    """
    shown = answer.recommendations[:top]
    width = max([4, *(len(found.item) for found in shown)])
    lines = [f"{'rank':>4}  {'item':<{width}}  probability  dwell, seconds"]
    for rank, found in enumerate(shown, 1):
        quantiles = found.dwell_quantiles_seconds
        lowest, highest = min(quantiles), max(quantiles)
        lines.append(
            f"{rank:>4}  {found.item:<{width}}  {found.probability:>11.4f}  "
            f"{found.dwell_median_seconds:.0f} "
            f"({lowest:.0%}-{highest:.0%}: "
            f"{quantiles[lowest]:.0f}-{quantiles[highest]:.0f})"
        )
    if page:
        seconds = answer.page_dwell_median_seconds
        lines.append(f"The page on screen: {seconds:.0f} s in all (median).")
    return "\n".join(lines)


def _numbers(flag: str, text: str, unknown: float) -> list[float]:
    try:
        return [
            float(part) if part.strip() else unknown
            for part in (text.split(",") if text else [])
        ]
    except ValueError as error:
        raise schema.InputError(
            f"`{flag}` must be numbers. Received: {text}"
        ) from error
