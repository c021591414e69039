"""The dwells of a session as plain numbers that a network reads."""

import keras
from keras import ops

from jump_tf import schema
from jump_tf.layers.configured_layer import ConfiguredLayer

LAGS = 4  # Dwells that are told one by one.
HISTORY_SIZE = 5 + LAGS
VISITS_SIZE = 5
GAP_SIZE = 2
_CENTER = 4.0  # About the mean and twice the spread of log dwells,
_SCALE = 2.0  # so that the numbers are of order one.


@keras.saving.register_keras_serializable(package="jump_tf")
class DwellHistory(ConfiguredLayer):
    """Summaries of the dwells up to each click, for the dwell head.

    Visitors differ in pace more than items do. The encoder sees dwells only
    through rows of a table that it learns mostly for the next click; these
    numbers let the dwell head read the pace directly. Of clicks j <= k whose
    dwell is known:

        log(1 + tau_j) of click k and of each of the `LAGS` - 1 before it, or
            the mean where it is unknown or there is none;
        the mean of log(1 + tau_j), and the deviation;
        the log of 1 + the sum of tau_j;
        log(1 + k);
        whether tau_k is known.

    The logs are taken relative to `center`, so that no history reads as zeros.

    Args:
        max_dwell_seconds: c1; longer dwells count as that.
        center: an average log dwell.

    Call arguments:
        dwell_seconds: `[B, T]`; negative or NaN where unknown.

    Returns:
        `[B, T, HISTORY_SIZE]`.

    Masking: causal, so padding on the right changes nothing before it.
    """

    def __init__(self, max_dwell_seconds, center=4.0, **kwargs):
        super().__init__(**kwargs)
        self.max_dwell_seconds = max_dwell_seconds
        self.center = center

    def call(self, dwell_seconds):
        known, seconds, relative = _relative_logs(
            dwell_seconds, self.max_dwell_seconds, self.center
        )
        position = ops.cumsum(ops.ones_like(known), axis=1)
        count = ops.maximum(ops.cumsum(known, axis=1), 1.0)
        mean = ops.cumsum(relative, axis=1) / count
        squares = ops.cumsum(ops.square(relative), axis=1) / count
        deviation = ops.sqrt(ops.maximum(squares - ops.square(mean), 0.0))
        total = ops.log1p(ops.cumsum(seconds, axis=1)) - self.center
        total = ops.where(ops.cumsum(known, axis=1) > 0.0, total, 0.0)
        lags = [
            ops.where(_earlier(known, lag) > 0.0, _earlier(relative, lag), mean)
            for lag in range(LAGS)
        ]
        return ops.stack(
            [*lags, mean, deviation, total, ops.log1p(position), known], axis=-1
        )


def visit_features(
    items, past_items, dwell_seconds, max_dwell_seconds, center=4.0
):
    """What a session tells of an item that it has clicked before.

    Whether it has; log(1 + the clicks since) and log(1 + the clicks on it); the
    log of 1 + the latest dwell on it that is known, relative to `center`; and
    whether there is one. Zeros if it has not.

    Args:
        items: `[N]` ids, of which is asked.
        past_items: `[N, C]` ids of the last clicks, newest first; `PAD_ID` for
            none.
        dwell_seconds: `[N, C]` on them; negative or NaN where unknown.
        max_dwell_seconds: c1; longer dwells count as that.
        center: an average log dwell.

    Returns:
        `[N, VISITS_SIZE]`.
    """
    items = ops.cast(items, past_items.dtype)[:, None]
    same = ops.logical_and(
        ops.equal(items, past_items), past_items != schema.PAD_ID
    )
    known, _, relative = _relative_logs(
        dwell_seconds, max_dwell_seconds, center
    )
    same = ops.cast(same, known.dtype)
    latest = same * ops.cast(ops.cumsum(same, axis=1) == 1.0, known.dtype)
    told = same * known
    last = told * ops.cast(ops.cumsum(told, axis=1) == 1.0, known.dtype)
    since = ops.log1p(ops.arange(past_items.shape[1], dtype=known.dtype))
    return ops.stack(
        [
            ops.sum(latest, axis=1),
            ops.sum(latest * since, axis=1),
            ops.log1p(ops.sum(same, axis=1)),
            ops.sum(last * relative, axis=1),
            ops.sum(last, axis=1),
        ],
        axis=-1,
    )


def _relative_logs(dwell_seconds, max_dwell_seconds, center):
    """Whether known, seconds, and log(1 + tau) - center; zeros if unknown."""
    is_known = dwell_seconds >= 0.0
    seconds = ops.where(is_known, dwell_seconds, 0.0)
    seconds = ops.minimum(seconds, max_dwell_seconds)
    known = ops.cast(is_known, seconds.dtype)
    return known, seconds, known * (ops.log1p(seconds) - center)


def _earlier(columns, lag):
    """`[B, T]`, each column so many places to the right; zeros before."""
    steps = ops.shape(columns)[1]
    return ops.pad(columns, [[0, 0], [lag, 0]])[:, :steps]


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
