"""What a run saves, and how it is taken up again.

`checkpoints/last` holds everything that the next epoch depends on: weights,
optimizer, the state of the random seeds (which Keras leaves out of its own
checkpoints) and the number of finished epochs. `checkpoints/best.weights.h5`
holds the weights of the best epoch alone.
"""

import pathlib

import keras
import tensorflow as tf

from jump_tf import schema

FOLDER = "checkpoints"
BEST = "best.weights.h5"


class Checkpoints:
    """Saves and restores one run.

    Args:
        run: the run folder.
        model: compiled and built.
        epoch: int64 variable, the number of finished epochs.
    """

    def __init__(self, run: pathlib.Path, model: keras.Model, epoch):
        self.folder = run / FOLDER
        self.model = model
        model.optimizer.build(model.trainable_variables)
        seeds = [
            variable.value
            for variable in model.non_trainable_variables
            if "seed_generator" in variable.path
        ]
        checkpoint = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, seeds=seeds, epoch=epoch
        )
        self.last = tf.train.CheckpointManager(
            checkpoint, str(self.folder), max_to_keep=2, checkpoint_name="last"
        )

    def save_last(self) -> None:
        """Saves the state after an epoch."""
        self.last.save()

    def save_best(self) -> None:
        """Saves the weights beside, then puts them in the place of the best."""
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f"writing-{BEST}"
        self.model.save_weights(beside)
        beside.replace(self.folder / BEST)

    def restore_last(self) -> None:
        """Takes up the last finished epoch.

        A run that never finished one starts anew.

        Raises:
            InputError: it is damaged, or of another model.
        """
        if self.last.latest_checkpoint is None:
            return
        try:
            status = self.last.checkpoint.restore(self.last.latest_checkpoint)
            status.assert_existing_objects_matched()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            raise schema.InputError(
                "The checkpoint must be whole and of the same model. "
                f"Received: {self.last.latest_checkpoint} ({error})"
            ) from error


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
