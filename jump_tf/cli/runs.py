"""The verbs on a run, `evaluate`, `report` and `export`, and their flags."""

import argparse
import functools
import pathlib

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import arguments as cli_arguments


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf evaluate`."""
    cli_arguments.add_report_arguments(parser)
    parser.add_argument("--split", default=schema.TEST, choices=schema.SPLITS)
    parser.add_argument(
        "--moment",
        choices=schema.MOMENTS,
        help="of sessions: page_leave: the dwell of the last click is known; "
        "page_load: it is not, the visitor is still there (default: both)",
    )
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        help="data folder (default: the one that the run was trained on)",
    )
    parser.add_argument(
        "--rolling",
        action="store_true",
        help="of sessions split by time: also day by day, with the baselines "
        "fitted again before each day on all clicks before it",
    )
    parser.add_argument(
        "--from-tables",
        action="store_true",
        help="of sessions: judge the prediction tables of an earlier "
        "evaluation again, without the model",
    )


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Measures a run beside simple baselines."""
    from jump_tf.runs import folder as run_folder
    from jump_tf.runs import model_factory

    run, model = arguments.run_folder, None
    if arguments.from_tables:  # Models of other versions need not be read.
        run_folder.check_run(run)
        data = arguments.data or run_folder.read_data_folder(run)
        task = tasks.TASKS.get(arguments.task) or tasks.task_of_data(data)
    else:
        task = tasks.task_of(cli_arguments.config_of_run(arguments))
        model = model_factory.load_run(run)
        data = arguments.data or run_folder.read_data_folder(run)
    run_folder.check_vocabulary(run, data)
    table, paths = task.evaluate(
        model,
        data,
        run,
        arguments.split,
        arguments.moment,
        by_day=arguments.rolling,
    )
    print(f"{table}\n\nwritten to {' and '.join(map(str, paths))}")
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """Writes a run's report.html."""
    task = tasks.task_of(cli_arguments.config_of_run(arguments))
    print(f"written to {task.write_report(arguments.run_folder)}")
    return 0


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf export`."""
    cli_arguments.add_report_arguments(parser)
    parser.add_argument(
        "--output",
        required=True,
        type=pathlib.Path,
        help="models folder; gets <name>/<version>/",
    )
    parser.add_argument(
        "--name", help="of the model (default: jump, or heroes for lists)"
    )
    parser.add_argument(
        "--model-version", type=int, help="default: one more than the last"
    )
    parser.add_argument(
        "--top",
        type=int,
        default=20,
        help="recommendations in an answer to a session (default: 20)",
    )
    parser.add_argument(
        "--max-k",
        type=int,
        default=100,
        help="recommendations that a request may ask for (default: 100)",
    )
    parser.add_argument(
        "--max-session-length",
        type=int,
        default=200,
        help="clicks of a session that are read, the last ones (default: 200)",
    )
    parser.add_argument(
        "--clusters",
        type=int,
        help="search so many clusters of items instead of all items: "
        "for millions of them, where some of the best may be missed; the share "
        "that is found is printed, of validation sessions",
    )
    parser.add_argument(
        "--probes",
        type=int,
        default=32,
        help="clusters that are looked into (default: 32)",
    )
    parser.add_argument(
        "--recent-clicks",
        type=pathlib.Path,
        metavar="DATA",
        help="data folder whose clicks take the place of training's where the "
        "model looks up what visitors lately did (recent_transitions)",
    )


def run_export(arguments: argparse.Namespace) -> int:
    """Writes a run's model as SavedModel."""
    cli_arguments.config_of_run(arguments)
    folder = tasks.export_run(
        arguments.run_folder,
        arguments.output,
        name=arguments.name,
        version=arguments.model_version,
        top_k=arguments.top,
        max_k=arguments.max_k,
        max_session_length=arguments.max_session_length,
        index=functools.partial(_index, arguments),
        recent_clicks=arguments.recent_clicks,
    )
    print(f"written to {folder}")
    return 0


def _index(arguments, model):
    """Returns how the exported model searches its items."""
    from jump_tf.export import ivf_search
    from jump_tf.export.exact_search import ExactSearch
    from jump_tf.runs import folder as run_folder

    if arguments.clusters is None:
        return ExactSearch
    options = ivf_search.IVFOptions(arguments.clusters, arguments.probes)
    data = run_folder.read_data_folder(arguments.run_folder)

    def measured(vectors):
        found = options(vectors)
        queries = ivf_search.validation_queries(model, data)
        share = ivf_search.recall(vectors, found, queries)
        print(f"the index finds {share:.4f} of the 20 best items")
        return found

    return measured
