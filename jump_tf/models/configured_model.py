"""Base of all models: a configuration, and a loss of several parts."""

import dataclasses
import typing
from typing import Any

import keras
from keras import ops

from jump_tf.config.list_models import ListConfig
from jump_tf.config.session_models import SessionConfig


class ConfiguredModel(keras.Model):
    """A Keras model whose options are the fields of its configuration.

    A subclass annotates `config` with the type of the configuration.

    Args:
        vocabulary_size: number of ids V, padding and unknown included.
        name: of the model; its architecture's if None.
        trainable: whether `fit` may change the weights.
        dtype: Keras dtype policy of what a subclass says; all else is float32.
        **options: fields of `config_class`.

    Attributes:
        config_class: the type of the configuration.
        loss_names: of the parts of the loss, each of which has a metric.
    """

    config_class: type[SessionConfig] | type[ListConfig]
    loss_names: tuple[str, ...]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.config_class = typing.get_type_hints(cls)["config"]

    def __init__(
        self,
        vocabulary_size,
        *,
        name=None,
        trainable=True,
        dtype=None,
        **options,
    ):
        config: Any = self.config_class(**options)
        super().__init__(
            name=name or config.architecture,
            trainable=trainable,
            dtype=dtype,
            autocast=False,
        )
        self.vocabulary_size = vocabulary_size
        self.config = config
        self.loss_parts = {
            name: keras.metrics.Mean(name) for name in self.loss_names
        }

    @property
    def data_weights(self):
        """The weights that follow from a log, whatever was learned."""
        return []

    def make_recurrent(self, kind, name, **options):
        """A layer `[B, T, n] -> [B, T, d]` of a recurrent `kind`."""
        return kind(
            self.config.units,
            return_sequences=True,
            name=name,
            dtype=self.dtype_policy,
            **options,
        )

    def _sum(self, name, unreduced, weights):
        """Sums a loss, and tells its metric the mean."""
        self.loss_parts[name].update_state(unreduced, sample_weight=weights)
        return ops.sum(unreduced * weights)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            **dataclasses.asdict(self.config),
        }
