"""Starts a run where another one ended, with a vocabulary that has changed.

Ids go by popularity, so new data names old items by other ids. Whatever holds
a row for each item moves with its item: the weights, and Adam's moments of
them. What has no items moves as it is; so does Adam's count of steps, without
which moments that are already grown would be taken for fresh ones. The
sampler's counts are the new data's.

Weights and moments are those of the source's last checkpoint, since only there
they belong together; its best epoch is kept without moments.

A new item's row starts as in a new model, with moments of zero. (The unknown
item's row and the mean row, both with noise, did no better on a news log where
44 % of the clicks were on new items.) Removed items can be kept, with ids
after those of the new data; they are never a target, nor drawn as a negative.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
from keras import ops

from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.models.session_model import SessionModel
from jump_tf.runs import checkpoints
from jump_tf.runs import folder as run_folder

DROP = "drop"
KEEP = "keep"
REMOVED_ITEMS = (DROP, KEEP)
SLOTS = ("momentum", "velocity")  # Of Adam.
Build = Callable[[Config, int], SessionModel]


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """Where a run starts.

    Attributes:
        run: folder of the source, which must have a checkpoint.
        removed_items: "drop" forgets items that the new data does not have;
            "keep" goes on recommending them.
    """

    run: pathlib.Path
    removed_items: str = DROP

    def __post_init__(self):
        if self.removed_items not in REMOVED_ITEMS:
            raise schema.InputError(
                f"`removed_items` must be one of {REMOVED_ITEMS}. "
                f"Received: removed_items={self.removed_items!r}"
            )

    def check(self, config: Config) -> None:
        """Refuses a configuration under which the weights mean another thing.

        Raises:
            InputError: so it is, or the source is no run.
        """
        mine, theirs = map(_shaping, (config, run_folder.read_config(self.run)))
        other = [
            f"{name}={mine[name]} instead of {theirs.get(name)}"
            for name in mine
            if mine[name] != theirs.get(name)
        ]
        if other:
            raise schema.InputError(
                "`--warm-start` must keep what the weights depend on. "
                f"Received: {', '.join(other)}"
            )

    def take_over(
        self, model: SessionModel, names: Sequence[str], build: Build
    ) -> None:
        """Moves all that the source has learned into a fresh model.

        Args:
            model: built and compiled, of a configuration that was checked.
            names: raw ids of its items, in the order of ids.
            build: makes a compiled model for a configuration and a number of
                items.

        Raises:
            InputError: the source has no whole checkpoint.
        """
        old_names = run_folder.read_vocabulary(self.run)
        source = build(run_folder.read_config(self.run), len(old_names))
        model.optimizer.build(model.trainable_variables)
        _restore(self.run, source)
        ids = old_ids(old_names, names)
        tables = {id(variable) for variable in model.item_variables}
        for old, new in zip(_learned(source), _learned(model), strict=True):
            _move(old, new, ids if id(new) in tables else None)
        moments = {
            f"{variable.path.replace('/', '_')}_{slot}"  # As Keras names them.
            for variable in model.item_variables
            for slot in SLOTS
        }
        # Those of the new model are zero, as those of a new item shall be.
        for old, new in zip(_slots(source), _slots(model), strict=True):
            _move(old, new, ids if new.name in moments else None)


def _shaping(config):
    """The values of a configuration that weights depend on."""
    free = {f"model.{name}" for name in config.model.free_fields}
    return {
        name: value
        for name, value in config.flat().items()
        if name not in free and not name.startswith("training.")
    }


def vocabulary(data: pathlib.Path, start: WarmStart | None) -> list[str]:
    """A new run's raw item ids: those of the data, then the kept ones."""
    names = folders.read_vocabulary(data / schema.VOCABULARY_FILE)
    if start is None or start.removed_items == DROP:
        return names
    present = set(names)
    old = run_folder.read_vocabulary(start.run)
    return names + [name for name in old if name not in present]


def origin(start: WarmStart | None) -> dict[str, str] | None:
    """Describes a warm start for the run folder."""
    if start is None:
        return None
    return {**dataclasses.asdict(start), "run": str(start.run.resolve())}


def check_started(run: pathlib.Path) -> None:
    """Refuses to resume a run that ended before it took over its weights.

    Raises:
        InputError: so it is; else it would go on from chance.
    """
    if run_folder.read_warm_start(run) and not checkpoints.saved(run):
        raise schema.InputError(
            "`--resume` must be given a run that has started. "
            f"Received: {run}, which ended before its warm start; remove it"
        )


def old_ids(old_names: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """`[V]` the id by which the source knows each id of the run; -1 if not."""
    number = {name: n for n, name in enumerate(old_names, schema.FIRST_ITEM_ID)}
    special = range(schema.FIRST_ITEM_ID)
    return np.array([*special, *(number.get(name, -1) for name in names)])


def _move(old, new, ids: np.ndarray | None) -> None:
    """Gives a variable its old value; by `ids`, each known row its old one."""
    value = ops.convert_to_numpy(old)
    if ids is not None:
        known = (ids >= 0).reshape(-1, *[1] * (len(new.shape) - 1))
        value = np.where(known, value[ids], ops.convert_to_numpy(new))
    new.assign(value)


def _learned(model):
    """All weights but those that are the data's, such as the sampler's."""
    of_data = {id(weight) for weight in model.data_weights}
    return [weight for weight in model.weights if id(weight) not in of_data]


def _slots(model):
    """The optimizer's moments and count of steps; the rate is the config's."""
    rate = model.optimizer.learning_rate
    return [slot for slot in model.optimizer.variables if slot is not rate]


def _restore(run, source):
    """Gives a model and its optimizer the state of the run's checkpoint."""
    if not checkpoints.saved(run):
        raise schema.InputError(
            "`--warm-start` must be a run that was trained. "
            f"Received: {run}, which has no checkpoint"
        )
    position = checkpoints.Position()
    checkpoints.Checkpoints(run, source, position).restore_last()
