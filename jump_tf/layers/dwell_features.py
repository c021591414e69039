"""The dwells of a session as plain numbers that a network reads."""

import keras
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer

HISTORY_SIZE = 4
GAP_SIZE = 2
_CENTER = 4.0  # About the mean and twice the spread of log dwells,
_SCALE = 2.0  # so that the numbers are of order one.


@keras.saving.register_keras_serializable(package="jump_tf")
class DwellHistory(ConfiguredLayer):
    """Summaries of the dwells up to each click, for the dwell head.

    Visitors differ in pace more than items do. The encoder sees dwells only
    through rows of a table that it learns mostly for the next click; these
    four numbers let the dwell head read the pace directly:

        log(1 + tau_k), or the mean log where tau_k is unknown;
        the mean of log(1 + tau_j) over the known dwells j <= k;
        log(1 + k);
        whether tau_k is known.

    The logs are taken relative to `center`, so that no history reads as zeros.

    Args:
        max_dwell_seconds: c1; longer dwells count as that.
        center: an average log dwell.

    Call arguments:
        dwell_seconds: `[B, T]`; negative or NaN where unknown.

    Returns:
        `[B, T, 4]`.

    Masking: causal, so padding on the right changes nothing before it.
    """

    def __init__(self, max_dwell_seconds, center=4.0, **kwargs):
        super().__init__(**kwargs)
        self.max_dwell_seconds = max_dwell_seconds
        self.center = center

    def call(self, dwell_seconds):
        is_known = dwell_seconds >= 0.0
        seconds = ops.where(is_known, dwell_seconds, 0.0)
        log_dwell = ops.log1p(ops.minimum(seconds, self.max_dwell_seconds))
        known = ops.cast(is_known, log_dwell.dtype)
        relative = known * (log_dwell - self.center)
        count = ops.cumsum(known, axis=1)
        mean = ops.cumsum(relative, axis=1) / ops.maximum(count, 1.0)
        last = ops.where(is_known, relative, mean)
        position = ops.cumsum(ops.ones_like(known), axis=1)
        return ops.stack([last, mean, ops.log1p(position), known], axis=-1)


def gap_features(dwell_seconds, max_dwell_seconds):
    """`((log(1 + tau) - 4) / 2, 0)`, or `(0, 1)` where tau is unknown.

    No gap at all, as before a first click, is rather zeros.

    Args:
        dwell_seconds: any shape; negative or NaN where unknown.
        max_dwell_seconds: c1; longer dwells count as that.

    Returns:
        `[..., 2]`.
    """
    known = dwell_seconds >= 0.0
    seconds = ops.where(known, dwell_seconds, 0.0)
    log_dwell = ops.log1p(ops.minimum(seconds, max_dwell_seconds))
    scaled = ops.where(known, (log_dwell - _CENTER) / _SCALE, 0.0)
    return ops.stack([scaled, ops.cast(~known, scaled.dtype)], axis=-1)
