"""What follows from the number of training clicks, where nobody says it.

A small log needs small batches, or it makes too few steps, more passes and
more dropout: it is soon known by heart.
"""

import dataclasses

from jump_tf.config.run import Config

_STEPS = 150  # Of an epoch, at least about so many.
_BATCH_CLICKS = (128, 2048)  # At least and at most.
_CLICKS_OF_A_SESSION = 4  # In a batch: most sessions are short.
# From so many clicks on: epochs, dropout, and that of the dwell head.
_BY_CLICKS = (
    (200_000, 10, 0.25, 0.2),
    (50_000, 10, 0.4, 0.5),
    (0, 20, 0.4, 0.5),
)


def fitted(config: Config, clicks: int) -> Config:
    """Fills in batches, epochs and dropout that are None.

    Args:
        config: of a model of sessions.
        clicks: of the training split.
    """
    least, most = _BATCH_CLICKS
    batch_clicks = min(max(clicks // _STEPS, least), most)
    batch_clicks = 1 << (batch_clicks.bit_length() - 1)  # A power of two.
    epochs, dropout, dwell_dropout = next(
        values for number, *values in _BY_CLICKS if clicks >= number
    )
    return dataclasses.replace(
        config,
        model=_filled(
            config.model, dropout=dropout, dwell_dropout=dwell_dropout
        ),
        training=_filled(
            config.training,
            epochs=epochs,
            batch_sessions=batch_clicks // _CLICKS_OF_A_SESSION,
            batch_clicks=batch_clicks,
        ),
    )


def described(config: Config, clicks: int) -> str:
    """Says what a run makes of its number of clicks."""
    training = config.training
    return (
        f"{clicks:,} clicks: batches of {training.batch_sessions} sessions "
        f"or {training.batch_clicks} clicks, {training.epochs} epochs, "
        f"dropout {config.model.dropout}"
    )


def _filled(section, **values):
    missing = {
        name: value
        for name, value in values.items()
        if getattr(section, name) is None
    }
    return dataclasses.replace(section, **missing)
