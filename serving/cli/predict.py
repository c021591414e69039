"""The command line's `predict`.

What needs gRPC is imported where it is used, so that the flags can be listed
without it.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing
from typing import Any

from jump_tf import schema

if typing.TYPE_CHECKING:
    from serving.client import client


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
        "--exclude-seen",
        action="store_true",
        help="recommend no item of the session",
    )
    for name, text in (
        ("allow", "the only items to recommend, A,B,C"),
        ("deny", "items never to recommend, A,B,C"),
    ):
        parser.add_argument(f"--{name}", default="", help=text)
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
    add_tls_arguments(parser)


def add_tls_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of a client's TLS, which other verbs share."""
    for name, text in (
        ("root", "certificate that signs the server's; turns TLS on"),
        ("key", "the client's own key, for mutual TLS"),
        ("certificate", "the client's own certificate"),
    ):
        parser.add_argument(
            f"--tls-{name}", type=pathlib.Path, help=f"PEM file: {text}"
        )


def credentials(arguments: argparse.Namespace, *, http: bool = False) -> Any:
    """What the flags of `add_tls_arguments` say; None is plain text.

    Args:
        arguments: the parsed flags.
        http: whether they are for HTTP, not for gRPC.

    Raises:
        InputError: they do not go together, or a file cannot be read.
    """
    from serving.client import connection

    root, key = arguments.tls_root, arguments.tls_key
    certificate = arguments.tls_certificate
    if root is None:
        if key or certificate:
            raise schema.InputError(
                "`--tls-key` and `--tls-certificate` must come with "
                f"`--tls-root`. Received: {key}, {certificate}"
            )
        return None
    make = connection.tls_context if http else connection.tls_credentials
    return make(root, key, certificate)


def run_predict(arguments: argparse.Namespace) -> int:
    """Asks a server about a session or a list.

    Raises:
        InputError: the request is wrong.
    """
    from serving.protocol import errors

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
    from serving.client import client

    session = client.Session(
        _texts(arguments.items),
        _numbers("--dwell", arguments.dwell, schema.UNKNOWN_DWELL),
        arguments.elapsed,
    )
    options = client.RequestOptions(
        exclude_seen=arguments.exclude_seen,
        allow=_texts(arguments.allow),
        deny=_texts(arguments.deny),
    )
    with client.Client(
        arguments.address,
        arguments.model or "jump",
        arguments.timeout,
        credentials=credentials(arguments),
    ) as asked:
        answer = asked.answer([session], options)[0]
    return format_answer(answer, arguments.top, page=bool(session.items))


def _ask_about_list(arguments) -> str:
    from serving.client import lists as list_client

    features = [item.split(",") for item in arguments.shown.split(";")]
    clicked = _numbers("--clicked", arguments.clicked, schema.UNKNOWN_FEEDBACK)
    shown = list_client.ShownItems(features, clicked)
    with list_client.ListClient(
        arguments.address,
        arguments.model or "heroes",
        arguments.timeout,
        credentials=credentials(arguments),
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
        lines.append(
            f"{rank:>4}  {found.item:<{width}}  {found.probability:>11.4f}  "
            f"{found.dwell_median_seconds:.0f} "
            f"({_range(found.dwell_quantiles_seconds)})"
        )
    if page:
        seconds = answer.page_dwell_median_seconds
        left = answer.page_remaining_quantiles_seconds
        more = f"; left of it {_range(left)}" if left else ""
        lines.append(
            f"The page on screen: {seconds:.0f} s in all (median){more}."
        )
        end = answer.session_end_probability
        if end is not None:
            lines.append(f"The session ends on it with probability {end:.4f}.")
    return "\n".join(lines)


def _range(quantiles: dict[float, float]) -> str:
    low, high = min(quantiles), max(quantiles)
    return f"{low:.0%}-{high:.0%}: {quantiles[low]:.0f}-{quantiles[high]:.0f}"


def _texts(text: str) -> list[str]:
    return text.split(",") if text else []


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
