"""All that differs between the two tasks.

`sessions`: what a visitor clicks next and how long they stay. `lists`: what
they click and convert on of a list of shown items. Training, evaluation,
export and the command line ask a task and never which one it is.

A task imports libraries where it uses them, so that the command line lists
its flags without TensorFlow.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

from jump_tf import schema
from jump_tf.config.run import Config

# Where so few clicks are on the page on screen, it is not recommended.
RARELY = 0.001


class _Task:
    """What one task's models learn from, and how they are measured and served.

    A task's class has, beside what stands here:

        add_prepare_arguments(parser)   declares the flags of `jump-tf prepare`
        prepare_options(arguments)      its checked options
        prepare(options, arguments)     makes a data folder, says what it holds
        inspect(data, against, output, floor)   yields what a data folder holds
        batches(model, data, training, epoch)   of the training split
        validation(model, data)         called after each epoch for its metrics
        callbacks(folder, config, names, validation, is_best, profile)
                                        what writes for TensorBoard
        has_unused_heads(config)        whether weights get no gradient
        evaluate(model, data, run, split, moment, by_day)   writes evaluation
                                        files, without a model out of the tables
                                        that are there; returns a table to print
                                        and their paths
        write_report(run)               writes `report.html`, returns its path
        signatures(model, vocabulary_file, **settings)   what is served
        write_warmup_requests(model, folder)   adds them to a version folder

    Attributes:
        name: one of `schema.TASKS`; also what a data folder counts.
        preset: the configuration where none is named.
        demo_preset: the configuration of the demo on a simulated log.
        plan: the plan of `jump-tf reproduce` that ships with the package.
        space: the search space of `jump-tf tune` that ships with the package.
        model_name: the name under which a model is served by default.
        monitored: the name in `metrics.jsonl` of the metric that the best epoch
            has most of, and that patience waits for.
        shown: names in `metrics.jsonl` to what a line about an epoch calls
            them, with their format.
    """

    name: ClassVar[str]
    shown: ClassVar[dict[str, tuple[str, str]]]

    def one_line(self, record: dict[str, Any]) -> str:
        """Returns an epoch's record in words."""
        shown = ", ".join(
            f"{called} {record[name]:{form}}"
            for name, (called, form) in self.shown.items()
        )
        return (
            f"epoch {record['epoch']}: loss {record['loss']:.4f}, "
            f"validation {shown}"
        )

    def with_data(self, config: Config, data: pathlib.Path) -> Config:
        """Fills in what the model takes from its data.

        Raises:
            InputError: the data folder is of another task, or does not fit.
        """
        from jump_tf.data import folders

        manifest = folders.read_manifest(data)
        held = manifest.get("kind", schema.SESSIONS)
        if held != self.name:
            raise schema.InputError(
                f"The model {config.architecture} must have a data folder of "
                f"{self.name}. Received: {data}, which holds {held}"
            )
        model = self._model_with_data(config, data, manifest)
        return self._sized(dataclasses.replace(config, model=model), manifest)

    def sizes_in_words(self, config: Config, data: pathlib.Path) -> str | None:
        """Returns what is said of a run's size at its start, if anything."""

    def _sized(self, config, manifest):
        """Fills in what follows from the size of the training split."""
        del manifest
        for name in ("epochs", "batch_sessions", "batch_clicks"):
            if getattr(config.training, name) is None:
                config.training.refuse(name, "be a number")
        return config

    def build_model(
        self, config: Config, data: pathlib.Path, num_items: int | None = None
    ) -> Any:
        """Returns a fresh model that knows what it must of its data.

        Args:
            config: of the run, with its data.
            data: the data folder.
            num_items: of the model's vocabulary; by default that of `data`.

        Raises:
            InputError: the training split is not whole.
        """
        from jump_tf.data import folders
        from jump_tf.runs import model_factory

        if num_items is None:
            num_items = folders.vocabulary_length(data)
        model = model_factory.empty_model(config, num_items)
        self._read_training_split(model, data, num_items)
        return model

    def _model_with_data(self, config, data, manifest):
        raise NotImplementedError

    def _read_training_split(self, model, data, num_items):
        raise NotImplementedError


class Sessions(_Task):
    """The next click and the dwell of sessions."""

    name = schema.SESSIONS
    preset = "production"
    demo_preset = "demo"
    plan = "paper"
    space = "default"
    model_name = "jump"
    monitored = "val_recall_at_20"
    shown: ClassVar = {
        "val_recall_at_20": ("recall@20", ".4f"),
        "val_mrr_at_20": ("MRR@20", ".4f"),
        "val_dwell_mae_seconds": ("dwell MAE in s", ".2f"),
    }

    def add_prepare_arguments(self, parser):
        from beam_jobs.options import sessions

        sessions.add_arguments(parser)

    def prepare_options(self, arguments):
        from beam_jobs.options import sessions

        return sessions.PrepareOptions.from_arguments(arguments)

    def prepare(self, options, beam_arguments):
        from beam_jobs import build_sessions
        from beam_jobs.output import manifest

        return manifest.describe(build_sessions.run(options, beam_arguments))

    def inspect(self, data, against, output, floor=None):
        from jump_tf.data import inspection
        from jump_tf.evaluate.sessions import dwell_floor

        folder = inspection.read(data)
        before = inspection.read(against) if against else None
        yield inspection.describe(folder.manifest, folder.statistics)
        changes = {}
        if before:
            changes = inspection.compare(before, folder)
            described = inspection.describe_changes(changes)
            yield f"\nagainst {against}:\n{described}"
        measured = {}
        if floor:
            measured["dwell_floor"] = dwell_floor.measure(data, floor)
            yield f"\n{dwell_floor.describe(measured['dwell_floor'])}"
        if output:
            for path in inspection.write(
                output, folder, before, changes, measured
            ):
                yield f"written to {path}"

    def _model_with_data(self, config, data, manifest):
        from jump_tf.data import session_batches

        model = dataclasses.replace(
            config.model, max_dwell_seconds=float(manifest["max_dwell_seconds"])
        )
        if model.initial_log_dwell is None:
            mean = session_batches.mean_log_dwell(data)
            model = dataclasses.replace(model, initial_log_dwell=mean)
        return self._pointing_with_data(model, data)

    def _sized(self, config, manifest):
        from jump_tf.config import log_size

        return log_size.fitted(
            config, manifest["splits"][schema.TRAIN]["clicks"]
        )

    def sizes_in_words(self, config, data):
        from jump_tf.config import log_size
        from jump_tf.data import folders

        splits = folders.read_manifest(data)["splits"]
        return log_size.described(config, splits[schema.TRAIN]["clicks"])

    def _pointing_with_data(self, model, data):
        """Fills in what `PointingConfig` takes from the training split."""
        from jump_tf.data import folders
        from jump_tf.data import recent_clicks
        from jump_tf.data import session_batches

        if not getattr(model, "pointer_clicks", 0):
            return model
        if model.page_is_clicked_again is None:
            again = session_batches.share_of_repeats(data) > RARELY
            model = dataclasses.replace(model, page_is_clicked_again=again)
        if not model.recent_transitions:
            return model
        log = recent_clicks.read(
            data, schema.FIRST_ITEM_ID + folders.vocabulary_length(data)
        )
        return dataclasses.replace(
            model,
            recent_entries=len(log.minutes),
            recent_periods=len(log.log_shares),
        )

    def _read_training_split(self, model, data, num_items):
        from jump_tf.data import recent_clicks
        from jump_tf.data import session_batches

        # Items beyond those of `data` have no clicks.
        model.sampler.set_counts(session_batches.item_counts(data, num_items))
        if getattr(model.config, "recent_transitions", 0):
            model.recent_transitions.set_log(
                recent_clicks.read(data, model.vocabulary_size)
            )

    def batches(self, model, data, training, epoch):
        from jump_tf.data import session_batches

        return session_batches.training_batches(
            data,
            batch_sessions=training.batch_sessions,
            batch_clicks=training.batch_clicks,
            seed=training.seed,
            epoch=epoch,
            step_seconds=model.step_seconds,
            fixed_shapes=training.jit_compile,
        )

    def validation(self, model, data):
        from jump_tf.evaluate.sessions import evaluation

        return evaluation.Validation(model, data)

    def callbacks(
        self, folder, config, names, validation, is_best, profile=None
    ):
        from jump_tf.evaluate.sessions import validation_summaries
        from jump_tf.train import tensorboard

        common = tensorboard.common_callbacks(folder, config, profile)
        if folder is None:
            return common
        return [
            *common,
            *validation_summaries.callbacks(folder, names, validation, is_best),
        ]

    def has_unused_heads(self, config):
        return not config.model.dwell_weight

    def evaluate(self, model, data, run, split, moment=None, by_day=False):
        from jump_tf.evaluate.sessions import evaluation
        from jump_tf.evaluate.sessions import tables

        moments = [moment] if moment else schema.MOMENTS
        results, paths = evaluation.evaluate_moments(
            model, data, run, split, moments, by_day=by_day
        )
        return tables.format_table(*results), paths

    def write_report(self, run):
        from jump_tf.evaluate.sessions import report

        return report.write_report(run)

    def signatures(self, model, vocabulary_file, **settings):
        from jump_tf.export import session_signatures

        return session_signatures.Signatures(model, vocabulary_file, **settings)

    def write_warmup_requests(self, model, folder):
        from serving import warmup
        from serving.client import warmup_requests

        del model
        warmup.write_warmup_requests(folder, warmup_requests.session_requests)


class Lists(_Task):
    """Clicks and conversions on lists of shown items."""

    name = schema.LISTS
    preset = "heroes"
    demo_preset = "heroes_demo"
    plan = "heroes"
    space = "lists"
    model_name = "heroes"
    monitored = "val_ctcvr_auc"
    shown: ClassVar = {
        "val_ctr_auc": ("CTR AUC", ".4f"),
        "val_ctcvr_auc": ("CTCVR AUC", ".4f"),
        "val_ctcvr_log_loss": ("CTCVR log-loss", ".4f"),
    }

    def add_prepare_arguments(self, parser):
        from beam_jobs.options import lists

        lists.add_arguments(parser)

    def prepare_options(self, arguments):
        from beam_jobs.options import lists

        return lists.ListOptions.from_arguments(arguments)

    def prepare(self, options, beam_arguments):
        from beam_jobs import build_lists

        return build_lists.describe(build_lists.run(options, beam_arguments))

    def inspect(self, data, against, output, floor=None):
        from jump_tf.data import folders
        from jump_tf.data import inspection

        if against or output or floor:
            raise schema.InputError(
                "`--against`, `--output` and `--dwell` must be given for "
                f"folders of sessions only. Received: {data}, {against}"
            )
        yield inspection.describe_lists(folders.read_manifest(data))

    def _model_with_data(self, config, data, manifest):
        from jump_tf.config.list_models import MEAN

        if config.training.jit_compile:
            raise schema.InputError(
                "`training.jit_compile` must be off for models of lists, whose "
                "batches have no fixed shapes. Received: true"
            )
        fields = manifest["fields"]
        if config.model.combine != MEAN and not fields:
            raise schema.InputError(
                f"`model.combine` must be {MEAN} where items have bags of "
                f"features. Received: {config.model.combine}, for {data}"
            )
        return dataclasses.replace(config.model, num_fields=max(len(fields), 1))

    def _read_training_split(self, model, data, num_items):
        from jump_tf.data import list_batches

        list_batches.check_complete(data, schema.TRAIN)

    def batches(self, model, data, training, epoch):
        from jump_tf.data import list_batches

        return list_batches.training_batches(
            data,
            batch_lists=training.batch_sessions,
            batch_items=training.batch_clicks,
            max_list_length=model.config.max_list_length,
            seed=training.seed,
            epoch=epoch,
        )

    def validation(self, model, data):
        from jump_tf.evaluate.lists import evaluation

        return evaluation.Validation(model, data)

    def callbacks(
        self, folder, config, names, validation, is_best, profile=None
    ):
        from jump_tf.train import tensorboard

        del names, validation, is_best  # Nothing is drawn of single features.
        return tensorboard.common_callbacks(
            folder, config, profile, speed="items_per_second"
        )

    def has_unused_heads(self, config):
        return config.model.conversion_weight in (0, 1)

    def evaluate(self, model, data, run, split, moment=None, by_day=False):
        from jump_tf.evaluate.lists import evaluation
        from jump_tf.evaluate.lists import tables
        from jump_tf.reporting import files

        given = {
            "--moment": moment,
            "--rolling": by_day,
            "--from-tables": model is None,
        }
        for flag, value in given.items():
            if value:
                raise schema.InputError(
                    f"`{flag}` must be given for models of sessions only. "
                    f"Received: {flag} for {run}, a model of lists"
                )
        result = evaluation.evaluate_run(run, model, data, split)
        path = run / files.EVALUATION_FOLDER / f"{split}.json"
        return tables.format_table(result), [path]

    def write_report(self, run):
        from jump_tf.evaluate.lists import report

        return report.write_report(run)

    def signatures(self, model, vocabulary_file, **settings):
        from jump_tf.export import list_signatures

        del settings  # All of a list is scored, whatever is asked.
        return list_signatures.ListSignatures(model, vocabulary_file)

    def write_warmup_requests(self, model, folder):
        from serving import warmup
        from serving.client import warmup_requests

        requests = functools.partial(
            warmup_requests.list_requests, num_fields=model.config.num_fields
        )
        warmup.write_warmup_requests(folder, requests)


Task = Sessions | Lists
TASKS: dict[str, Task] = {task.name: task for task in (Sessions(), Lists())}


def task_of(config: Config) -> Task:
    """Returns the task of a configuration's model."""
    return TASKS[config.task]


def task_of_data(data: pathlib.Path) -> Task:
    """Returns the task of a data folder.

    Raises:
        InputError: it is no data folder.
    """
    from jump_tf.data import folders

    return TASKS[folders.read_manifest(data).get("kind", schema.SESSIONS)]


def inspect(
    data: pathlib.Path,
    against: pathlib.Path | None,
    output: pathlib.Path | None,
    floor: str | None = None,
) -> Iterator[str]:
    """Yields what a data folder holds, in lines to print; see `_Task`.

    Args:
        data: the folder.
        against: another one, to say what changed since.
        output: folder for files of what is found.
        floor: the split on which the floor of the dwell is to be measured.
    """
    task = task_of_data(data)
    if against and task_of_data(against) is not task:
        task = TASKS[schema.LISTS]  # Which compares nothing, and says so.
    return task.inspect(data, against, output, floor)


def with_data(config: Config, data: pathlib.Path) -> Config:
    """Fills in what a configuration's model takes from its data."""
    return task_of(config).with_data(config, data)


def build_model(
    config: Config, data: pathlib.Path, num_items: int | None = None
) -> Any:
    """Returns a fresh model of a configuration; see `_Task`."""
    return task_of(config).build_model(config, data, num_items)


def train(
    config: Config, data: pathlib.Path, run: pathlib.Path, **options: Any
) -> dict[str, Any]:
    """Trains a configuration's model; see `train.trainer.train`."""
    from jump_tf.train import trainer

    return trainer.train(task_of(config), config, data, run, **options)


def tune(
    config: Config,
    data: pathlib.Path,
    folder: pathlib.Path,
    space: Sequence[Any],
    **options: Any,
) -> list[dict[str, Any]]:
    """Searches for a better configuration; see `train.tuning.tune`."""
    from jump_tf.train import tuning

    return tuning.tune(task_of(config), config, data, folder, space, **options)


def export_model(
    model: Any,
    vocabulary: Sequence[str],
    output: str | pathlib.Path,
    *,
    name: str | None = None,
    version: int | None = None,
    finish: Callable[[pathlib.Path], None] | None = None,
    **settings: Any,
) -> pathlib.Path:
    """Writes `<output>/<name>/<version>/`, whole or not at all.

    Args:
        model: a trained model of either task.
        vocabulary: raw item ids, or features, in the order of their ids.
        output: the folder of all models.
        name: of the model; by default `jump`, or `heroes` for lists.
        version: a positive number; by default one more than the largest there.
        finish: called with the folder before it gets its final name.
        **settings: of `session_signatures.Signatures`, by name.

    Returns:
        The version folder.

    Raises:
        InputError: the vocabulary does not fit the model, the version exists,
            or a setting makes no sense.
    """
    from jump_tf.export import saved_model

    task = _task_of_model(model)
    return saved_model.export_model(
        model,
        vocabulary,
        output,
        lambda path: task.signatures(model, path, **settings),
        name=task.model_name if name is None else name,
        version=version,
        finish=finish,
    )


def export_run(
    run: pathlib.Path,
    output: str | pathlib.Path,
    index: Callable[[Any], Any] | None = None,
    recent_clicks: pathlib.Path | None = None,
    **options: Any,
) -> pathlib.Path:
    """Exports a run's model with warm-up requests; see `export_model`.

    `index`, where it is given, makes the setting of that name for the model.
    `recent_clicks` is a data folder whose clicks take the place of those of
    training where the model looks up what visitors lately did.
    """
    from jump_tf.runs import folder as run_folder
    from jump_tf.runs import model_factory
    from jump_tf.runs import refreshed_model

    model = (
        model_factory.load_run(run)
        if recent_clicks is None
        else refreshed_model.load_refreshed(run, recent_clicks)
    )
    task = _task_of_model(model)
    if index is not None:
        options["index"] = index(model)
    return export_model(
        model,
        run_folder.read_vocabulary(run),
        output,
        finish=lambda folder: task.write_warmup_requests(model, folder),
        **options,
    )


def _task_of_model(model) -> Task:
    from jump_tf.models.list_model import ListModel

    lists = isinstance(model, ListModel)
    return TASKS[schema.LISTS if lists else schema.SESSIONS]
