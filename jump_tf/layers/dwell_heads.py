"""Heads that predict the distribution of a dwell on an item."""

import keras
import numpy as np
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.layers.embedding_table import EmbeddingTable
from jump_tf.survival.distribution import LogNormal
from jump_tf.survival.parametric import LogNormalMixture


class DwellHead(ConfiguredLayer):
    """Base of the heads: a log-normal dwell whose scale is fixed or learned.

    Args:
        units: size d of the features.
        scale: sigma of the log of seconds, or None to learn it.
        initial_log_seconds: where mu starts, the mean log dwell in training.

    Call arguments:
        features: `[N, d]` or wider, sessions up to the click before.
        items: `[N]` ids of the click whose dwell is asked.
        item_vectors: `[N, d]`, their rows of the item table.

    Returns:
        `LogNormal` of `[N]` locations and scales; and `[N]` logits of the
        session ending with this click, None for a head without.
    """

    def __init__(self, units, scale=None, initial_log_seconds=4.0, **kwargs):
        super().__init__(**kwargs)
        if scale is not None and scale <= 0:
            raise ValueError(
                f"`scale` must be positive or None. Received: scale={scale}"
            )
        self.units = units
        self.scale = scale
        self.initial_log_seconds = initial_log_seconds

    @property
    def item_variables(self):
        """The weights that hold a row for each item."""
        return []

    def _add_log_scale(self):
        if self.scale is None:
            self.log_scale = self.add_weight(
                name="log_scale", shape=(), initializer="zeros"
            )

    def _scale_like(self, location, log_ratio=0.0):
        if self.scale is not None:
            return ops.full_like(location, self.scale)
        return ops.exp(self.log_scale + log_ratio + ops.zeros_like(location))


@keras.saving.register_keras_serializable(package="jump_tf")
class ItemDwellHead(DwellHead):
    """One regressor for each item: `mu = W[i] . v + b[i]`.

    W starts at zero and b at the mean log dwell, which saves a long warm-up.
    As printed, the head has `V * (d + 1)` weights and overfits on logs with
    few clicks an item; see `SharedDwellHead`.

    Args:
        vocabulary_size: number of ids V.
        **kwargs: see `DwellHead`.

    Reference: JUMP, IJCAI 2018, eq. 11.
    """

    def __init__(self, vocabulary_size, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.kernel = EmbeddingTable(
            vocabulary_size, self.units, "zeros", name="kernel"
        )
        self.bias = EmbeddingTable(
            vocabulary_size,
            1,
            keras.initializers.Constant(self.initial_log_seconds),
            name="bias",
        )

    @property
    def item_variables(self):
        return [self.kernel.embeddings, self.bias.embeddings]

    def build(self, features_shape):
        self.kernel.build()
        self.bias.build()
        self._add_log_scale()

    def call(self, features, items, item_vectors):
        location = ops.sum(features * self.kernel(items), axis=-1)
        location = location + self.bias(items)[..., 0]
        return LogNormal(location, self._scale_like(location)), None


@keras.saving.register_keras_serializable(package="jump_tf")
class SharedDwellHead(DwellHead):
    """Regressors that share their strength between items.

        y  = tanh(A v + B V[i] + a)
        mu = b + w . [v; V[i]; y],   log sigma = s + u . y

    A click that ends its session leaves no dwell; the logit of that is t . y.
    Each component of a mixture (`LogNormalMixture`) has its own term of y in
    mu, in log sigma and in its logit.

    Args:
        hidden_units: size of y.
        components: of the mixture; 1 for a log-normal dwell.
        dropout: rate, in training, on v, V[i] and y. What is beyond v in the
            features is few numbers and stays.
        **kwargs: see `DwellHead`.
    """

    def __init__(self, hidden_units=64, components=1, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.components = components
        self.dropout = dropout
        self.hidden = keras.layers.Dense(hidden_units, "tanh", name="hidden")
        self.input_dropout = keras.layers.Dropout(dropout)
        self.hidden_dropout = keras.layers.Dropout(dropout)
        self.linear = keras.layers.Dense(
            1,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(
                self.initial_log_seconds
            ),
            name="linear",
        )
        terms = 2 if components == 1 else 3 * components
        self.from_hidden = keras.layers.Dense(
            terms + 1, kernel_initializer="zeros", name="from_hidden"
        )

    def build(self, features_shape):
        joint = (None, features_shape[-1] + self.units)
        self.hidden.build(joint)
        self.linear.build(joint)
        self.from_hidden.build((None, self.hidden_units))
        self._add_log_scale()

    def call(self, features, items, item_vectors, training=None):
        summary, history = ops.split(features, [self.units], axis=-1)
        learned = ops.concatenate([summary, item_vectors], axis=-1)
        learned = self.input_dropout(learned, training=training)
        joint = ops.concatenate([learned, history], axis=-1)
        hidden = self.hidden_dropout(self.hidden(joint), training=training)
        *terms, end_logit = ops.unstack(self.from_hidden(hidden), axis=-1)
        return self._distribution(self.linear(joint)[..., 0], terms), end_logit

    def _distribution(self, location, terms):
        if self.components == 1:
            location = location + terms[0]
            return LogNormal(location, self._scale_like(location, terms[1]))
        size = self.components
        # Apart from the start, or all would learn the same.
        apart = np.linspace(-1.0, 1.0, size)
        locations = [location + apart[k] + terms[k] for k in range(size)]
        scales = [
            self._scale_like(location, log_ratio)
            for log_ratio in terms[size : 2 * size]
        ]
        return LogNormalMixture(
            tuple(terms[2 * size :]), tuple(locations), tuple(scales)
        )
