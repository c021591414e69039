"""The dwell on a click, as a recurrent network reads it."""

from keras import ops

GAP_SIZE = 2
_CENTER = 4.0  # About the mean and twice the spread of log dwells,
_SCALE = 2.0  # so that the numbers are of order one.


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
