"""ATRP: an attentional twin recurrent network as a point process."""

import keras
from keras import ops

from jump_tf.config.model_config import ATRPConfig
from jump_tf.layers.attention_pooling import CausalAttentionPooling
from jump_tf.layers.dwell_features import GAP_SIZE
from jump_tf.layers.dwell_features import gap_features
from jump_tf.layers.dwell_heads import DwellHead
from jump_tf.models.joint_model import JointModel
from jump_tf.survival.parametric import LogLaplace

SERIES_SIZE = 2


def click_series(dwell_seconds, bins):
    """How a session's clicks lie in its time, as it is after each of them.

    Click j begins at s_j, the sum of the dwells before it, and after k clicks
    E_k = s_{k+1} has passed. `[0, E_k]` is cut into equal bins; click j <= k
    is in bin m where `m - 1 <= bins * s_j / E_k < m`, or in the last if no
    time has passed. An unknown dwell takes no time.

    Args:
        dwell_seconds: `[B, T]`; negative or NaN where unknown.
        bins: how many.

    Returns:
        `[B, T, bins, 2]`: log(1 + clicks of the bin), and log(1 + its seconds)
        halved, which is about as large.
    """
    seconds = ops.where(dwell_seconds >= 0.0, dwell_seconds, 0.0)
    passed = ops.cumsum(seconds, axis=1)
    begins = ops.pad(passed[:, :-1], [[0, 0], [1, 0]])
    so_far = ops.cumsum(ops.ones_like(seconds), axis=1)
    # No later click begins before E_k: that alone keeps the future out.
    before = [
        ops.sum(
            ops.cast(
                begins[:, None] < (passed * (edge / bins))[..., None],
                seconds.dtype,
            ),
            axis=-1,
        )
        for edge in range(1, bins)
    ]
    before = ops.stack([ops.zeros_like(so_far), *before, so_far], axis=-1)
    clicks = ops.log1p(before[..., 1:] - before[..., :-1])
    length = 0.5 * ops.log1p(passed / bins)
    length = ops.broadcast_to(length[..., None], ops.shape(clicks))
    return ops.stack([clicks, length], axis=-1)


@keras.saving.register_keras_serializable(package="jump_tf")
class LogLaplaceDwellHead(DwellHead):
    """`log tau ~ Laplace(b + w . [e; V[i]], sigma)`.

    Its likelihood is the absolute error of the log dwell, over a scale that is
    learned. w starts at zero. For arguments see `DwellHead`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.linear = keras.layers.Dense(
            1,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(
                self.initial_log_seconds
            ),
            name="linear",
        )

    def build(self, features_shape):
        self.linear.build((None, 2 * self.units))
        self._add_log_scale()

    def call(self, features, items, item_vectors):
        joint = ops.concatenate([features, item_vectors], axis=-1)
        location = self.linear(joint)[..., 0]
        return LogLaplace(location, self._scale_like(location)), None


@keras.saving.register_keras_serializable(package="jump_tf")
class ATRP(JointModel):
    """Twin networks, one over events and one over an even series of time.

        h_j = LSTM(h_{j-1}, [V[y_j]; g(tau_j)])
        c_k = additive attention over h_1, ..., h_k
        z_k = LSTM over the click series of the session after k clicks
        e_k = tanh(W [h_k; c_k; z_k] + b)
        P(next click) = softmax(U e_k + c)
        median of log tau_{k+1} = w . [e_k; V[y_{k+1}]] + b

    A click log has no series beside its events; that of the clicks themselves,
    see `click_series`, stands for it. The attention asks no question and so
    cannot tell the newest state, which is therefore given, too.

    The paper's penalty of the time is Gaussian around a linear forecast, of a
    fixed variance and in the time's own unit: as large as the variance is, it
    weighs nothing, and its mean is drawn by the few longest dwells. Here it is
    the absolute error of the log, which the median minimises and which is a
    likelihood (`LogLaplace`), and the scale is learned. As there, a dwell that
    is only a lower bound teaches nothing: `censoring` "none".

    `dtype` is the policy of the twins alone. Options are the fields of
    `ATRPConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: Xiao, Yan, Farajtabar, Song, Yang & Zha, TNNLS 2019 (arXiv
    1703.08524).
    """

    config: ATRPConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.events = self.make_recurrent(keras.layers.LSTM, "events")
        self.series = keras.layers.LSTM(
            config.series_units,
            unroll=True,  # Few steps, of which all sessions have as many.
            name="series",
            dtype=self.dtype_policy,
        )
        self.attention = CausalAttentionPooling(config.units, name="attention")
        self.fuse = keras.layers.Dense(config.units, "tanh", name="fuse")

    def make_dwell_head(self):
        return LogLaplaceDwellHead(**self.dwell_head_options())

    def build(self, input_shape=None):
        units, bins = self.config.units, self.config.series_bins
        self.events.build((None, None, units + GAP_SIZE))
        self.series.build((None, bins, SERIES_SIZE))
        self.attention.build((None, None, units))
        self.fuse.build((None, None, 2 * units + self.config.series_units))
        super().build(input_shape)

    def encode(self, items, dwell_seconds, real, training=False):
        clicks = self.click_dropout(self.rows(items), training=training)
        gaps = gap_features(dwell_seconds, self.config.max_dwell_seconds)
        states = self.events(ops.concatenate([clicks, gaps], axis=-1))
        states = ops.cast(states, "float32")
        pace = self._pace(dwell_seconds)
        return self.fuse(
            ops.concatenate([states, self.attention(states), pace], axis=-1)
        )

    def _pace(self, dwell_seconds):
        """z: `[B, T, series_units]`."""
        bins = self.config.series_bins
        series = click_series(
            ops.minimum(dwell_seconds, self.config.max_dwell_seconds), bins
        )
        pace = self.series(ops.reshape(series, (-1, bins, SERIES_SIZE)))
        shape = (*ops.shape(dwell_seconds), self.config.series_units)
        return ops.reshape(ops.cast(pace, "float32"), shape)
