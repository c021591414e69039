"""The command line's `serve`.

What needs gRPC is imported where it is used, so that the flags can be listed
without it.
"""

from __future__ import annotations

import argparse
import functools
import pathlib
import typing

from jump_tf import schema

if typing.TYPE_CHECKING:
    from serving import server
    from serving import settings
    from serving.runtime import batching_options


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf serve`."""
    _add_model_arguments(parser)
    _add_address_arguments(parser)
    _add_limit_arguments(parser)
    parser.add_argument(
        "--batching-parameters-file",
        type=pathlib.Path,
        help="a text proto BatchingParameters (default: no request waits for "
        "others while a thread is free)",
    )
    parser.add_argument(
        "--no-batching",
        action="store_true",
        help="run every request alone",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of one operation of a graph; 0 is one for each core: for "
        "catalogues of a million items (default: %(default)s)",
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=5.0,
        help="for requests under way at the first signal; a second one ends "
        "the server at once (default: %(default)s)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="debug also tells of every request (default: %(default)s)",
    )


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--models",
        type=pathlib.Path,
        help="folder that holds <name>/<version>/",
    )
    source.add_argument(
        "--model-config-file",
        type=pathlib.Path,
        help="a text proto ModelServerConfig: versions, labels",
    )
    parser.add_argument(
        "--model-config-file-poll-seconds",
        type=float,
        default=0.0,
        help="between readings of that file; 0 is once (default: %(default)s)",
    )
    parser.add_argument(
        "--file-system-poll-seconds",
        type=float,
        default=1.0,
        help="between looks for new versions; 0 is once (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-version-labels-for-unavailable-models",
        action="store_true",
        help="a new label may name a version that is not loaded yet",
    )
    parser.add_argument(
        "--allow-reload",
        action="store_true",
        help="whoever reaches the gRPC port may replace the set of models, by "
        "HandleReloadConfigRequest, with any that the server can read",
    )


def _add_address_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 opens it to the network, without "
        "authentication unless the SSL file asks for it (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8500,
        help="of gRPC; 0 picks a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--rest-port",
        type=int,
        default=8501,
        help="of REST, metrics and the playground; 0 picks a free one, -1 is "
        "none (default: %(default)s)",
    )
    parser.add_argument(
        "--ssl-config-file",
        type=pathlib.Path,
        help="a text proto SSLConfig, for both ports",
    )
    parser.add_argument(
        "--monitoring-config-file",
        type=pathlib.Path,
        help="a text proto MonitoringConfig: whether and where Prometheus "
        "finds metrics",
    )
    parser.add_argument(
        "--playground",
        nargs="?",
        const="jump",
        metavar="MODEL",
        help="a page to click through, at /playground/ of the REST port",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        help="seconds, of a request over REST (default: %(default)s)",
    )


def _add_limit_arguments(parser: argparse.ArgumentParser) -> None:
    for flag, default, what in (
        ("--max-message-bytes", 64 * 2**20, "of a request or an answer"),
        ("--max-concurrent-requests", 1000, "predictions under way"),
        ("--max-rows", 1024, "sessions of a request"),
        ("--max-clicks", 10_000, "of a session"),
    ):
        parser.add_argument(
            flag, type=int, default=default, help=f"{what} (default: {default})"
        )


def run_serve(arguments: argparse.Namespace) -> int:
    """Serves exported models until a signal.

    Raises:
        InputError: there is nothing to serve, or nowhere.
    """
    from serving import server
    from serving.runtime import logs

    logs.configure(arguments.log_level)
    ready = functools.partial(_tell_addresses, arguments)
    server.serve(_server(arguments), ready=ready)
    return 0


def _tell_addresses(
    arguments: argparse.Namespace, running: server.Server
) -> None:
    if running.http_address:
        print(f"REST at {running.http_address}", flush=True)
    if arguments.playground:
        scheme = "https" if arguments.ssl_config_file else "http"
        page = f"{scheme}://{running.http_address}/playground/"
        print(f"playground at {page}", flush=True)
    print(f"serving at {running.address}", flush=True)


def _server(arguments: argparse.Namespace) -> server.Server:
    from serving import server
    from serving.protocol import text_protos

    managing = {
        "poll_seconds": arguments.file_system_poll_seconds,
        "labels_for_unavailable": (
            arguments.allow_version_labels_for_unavailable_models
        ),
    }
    settings = _settings(arguments)
    if arguments.models is not None:
        return server.Server.of_folder(arguments.models, settings, **managing)
    read = functools.partial(
        text_protos.read_model_config, arguments.model_config_file
    )
    return server.Server(
        read(),
        settings,
        read_config=read,
        config_poll_seconds=arguments.model_config_file_poll_seconds,
        **managing,
    )


def _settings(arguments: argparse.Namespace) -> settings.Settings:
    from serving import settings
    from serving.runtime import limits

    return settings.Settings(
        host=arguments.host,
        port=arguments.port,
        rest_port=arguments.rest_port,
        tls=_tls(arguments.ssl_config_file),
        batching=_batching(arguments),
        limits=limits.Limits(
            arguments.max_message_bytes,
            arguments.max_concurrent_requests,
            arguments.max_rows,
            arguments.max_clicks,
        ),
        timeout_seconds=arguments.timeout,
        grace_seconds=arguments.grace_seconds,
        threads=arguments.threads,
        monitoring_path=_monitoring_path(arguments.monitoring_config_file),
        playground=arguments.playground,
        allow_reload=arguments.allow_reload,
    )


def _tls(path: pathlib.Path | None) -> settings.Tls | None:
    from serving import settings
    from serving.protocol import text_protos

    if path is None:
        return None
    return settings.Tls(text_protos.read(path, text_protos.SSLConfig()))


def _batching(arguments) -> batching_options.BatchingOptions:
    from serving.runtime import batching_options

    path = arguments.batching_parameters_file
    if arguments.no_batching and path:
        raise schema.InputError(
            "`--batching-parameters-file` must not come with `--no-batching`. "
            f"Received: {path}"
        )
    if path:
        return batching_options.read_batching_options(path)
    return batching_options.BatchingOptions(
        merge_requests=not arguments.no_batching
    )


def _monitoring_path(path: pathlib.Path | None) -> str | None:
    from serving.protocol import text_protos

    if path is None:
        return None
    config = text_protos.read(path, text_protos.MonitoringConfig())
    prometheus = config.prometheus_config
    if not prometheus.enable:
        return None
    return prometheus.path or "/monitoring/prometheus/metrics"
