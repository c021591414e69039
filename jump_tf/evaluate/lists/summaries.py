"""What TensorBoard shows of a training on lists."""

import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from jump_tf.config.run import Config
from jump_tf.train import tensorboard


def callbacks(
    folder: pathlib.Path | None,
    config: Config,
    names: Sequence[str],
    validation: Any,
    is_best: Callable[[], bool],
    profile: tuple[int, int] | None = None,
) -> list[keras.callbacks.Callback]:
    """All that writes for TensorBoard; arguments as `tensorboard.callbacks`.

    Losses, learning rate and items per second every few steps, the metrics of
    each epoch, the configuration.
    """
    del names, validation, is_best  # Nothing is drawn of single features.
    return tensorboard.common_callbacks(
        folder, config, profile, speed="items_per_second"
    )
