"""What a run saves, and how it is taken up again.

`checkpoints/last-N` holds everything that the next step depends on: weights,
optimizer, the state of the random seeds (which Keras leaves out of its own
checkpoints), the sums of the epoch's metrics and the position in the data.
The last two are kept: where the newest is damaged, the one before it leads to
the same end. `checkpoints/best.weights.h5` holds the weights of the best epoch
alone.
"""

import logging
import pathlib
import shutil
import tempfile

import keras
import tensorflow as tf

from jump_tf import schema

FOLDER = "checkpoints"
BEST = "best.weights.h5"
KEPT = 2
_UNREADABLE = (
    AssertionError,
    IndexError,
    RuntimeError,
    ValueError,
    tf.errors.OpError,
)
_LOGGER = logging.getLogger(__name__)


class Position(tf.Module):
    """How far a run has come.

    The order of the batches depends on seed and epoch alone, so that two
    numbers are the position in the data.

    Attributes:
        epoch: int64 variable, finished epochs.
        batch: int64 variable, batches done of the epoch in progress.
        seconds: float64 variable, time spent on them.
    """

    def __init__(self):
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64)
        self.batch = tf.Variable(0, dtype=tf.int64)
        self.seconds = tf.Variable(0.0, dtype=tf.float64)

    def move(self, epoch: int, batch: int = 0, seconds: float = 0.0) -> None:
        """Sets all three."""
        self.epoch.assign(epoch)
        self.batch.assign(batch)
        self.seconds.assign(seconds)


class Checkpoints:
    """Saves and restores one run.

    Args:
        run: the run folder.
        model: compiled and built.
        position: of the run.
        chief: whether this process is the one that writes the run folder.
            Where there are several, all of them save together, as summing up
            the metrics takes all; what the others write is thrown away.
    """

    def __init__(
        self,
        run: pathlib.Path,
        model: keras.Model,
        position: Position,
        chief: bool = True,
    ):
        self.folder = run / FOLDER
        self.model = model
        self.chief = chief
        model.optimizer.build(model.trainable_variables)
        seeds = [
            variable.value
            for variable in model.non_trainable_variables
            if "seed_generator" in variable.path
        ]
        self.checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=model.optimizer,
            seeds=seeds,
            metrics=[variable.value for variable in model.metrics_variables],
            position=position,
        )
        self._number = 0
        self._sums: list = []

    def save_last(self) -> None:
        """Saves the state; what was saved before stays until this is whole."""
        if not self.chief:
            with tempfile.TemporaryDirectory() as elsewhere:
                self.checkpoint.write(f"{elsewhere}/last")
            return
        beside = self.folder / "writing"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            self.checkpoint.write(str(beside / "last"))
            self._number += 1
            # The index last: where it is, the checkpoint is whole.
            for path in sorted(beside.glob("last.*"), key=_is_index):
                name = f"last-{self._number}{path.suffix}"
                path.replace(self.folder / name)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        for number in saved(self.folder.parent)[:-KEPT]:
            for path in self.folder.glob(f"last-{number}.*"):
                path.unlink()

    def save_best(self) -> None:
        """Saves the weights beside, then puts them in the place of the best."""
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f"writing-{BEST}"
        try:
            self.model.save_weights(beside)
            beside.replace(self.folder / BEST)
        finally:
            beside.unlink(missing_ok=True)

    def restore_last(self) -> None:
        """Takes up the newest checkpoint that is whole.

        A run that never saved one starts anew.

        Raises:
            InputError: none is whole and of this model.
        """
        errors = []
        for number in reversed(saved(self.folder.parent)):
            prefix = self.folder / f"last-{number}"
            try:
                status = self.checkpoint.read(str(prefix))
                status.assert_existing_objects_matched()
            except _UNREADABLE as error:
                errors.append(f"{prefix} ({_first_line(error)})")
                continue
            if errors:
                _LOGGER.warning(
                    "Going on from %s, because what was saved after it cannot "
                    "be read: %s",
                    prefix,
                    "; ".join(errors),
                )
            self._number = number
            self._sums = [v.numpy() for v in self.model.metrics_variables]
            return
        if errors:
            raise schema.InputError(
                "A checkpoint must be whole and of the same model. "
                f"Received: {'; '.join(errors)}"
            )

    def restore_sums(self) -> None:
        """Gives the metrics back what was restored and `fit` has reset."""
        for variable, value in zip(
            self.model.metrics_variables, self._sums, strict=False
        ):
            variable.assign(value)
        self._sums = []


def saved(run: pathlib.Path) -> list[int]:
    """Numbers of a run's checkpoints, in order."""
    return sorted(
        int(path.stem.removeprefix("last-"))
        for path in (run / FOLDER).glob("last-*.index")
    )


def _is_index(path: pathlib.Path) -> bool:
    return path.suffix == ".index"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def load_best(run: pathlib.Path, model: keras.Model) -> None:
    """Gives a built model the weights of the run's best epoch.

    Raises:
        InputError: the run has none, or they are of another model.
    """
    path = run / FOLDER / BEST
    if not path.is_file():
        raise schema.InputError(
            "`--run` must be a run folder with a trained model. "
            f"Received: {run}, which has no {FOLDER}/{BEST}"
        )
    try:
        model.load_weights(path)
    except (ValueError, OSError) as error:
        raise schema.InputError(
            "The weights must be whole and of the same model. "
            f"Received: {path} ({error})"
        ) from error
