"""How a visitor came to each earlier click, and away from it."""

import numpy as np
from keras import ops

from jump_tf import schema

RETURN_FEATURES = 14


def return_features(ids, dwell_seconds):
    """Numbers that tell to which of their clicks visitors return.

    Of click i of the last C, on item j, while item p is on the screen:

    1. whether i is the newest click on j
    2. whether j is p
    3. log(1 + other clicks on j)
    4. log(1 + distinct items clicked after i)
    5. whether a click on p came right before a click on j: p leads to j
    6. whether a click on j came right before a click on p: "back" leads to j
    7. log(1 + dwell), over 4
    8. whether the dwell is known
    9. log(1 + dwell of all clicks on j), over 4
    10. whether the newest click is a return
    11. whether the click before it is
    12. log(1 + distinct items)
    13. log(1 + clicks that are returns)
    14. whether i is the oldest of the clicks

    Args:
        ids: `[..., C]` of the last clicks, newest first; `PAD_ID` for none.
        dwell_seconds: `[..., C]`; negative where unknown.

    Returns:
        `[..., C, RETURN_FEATURES]` float32; zeros where there is no click.
    """
    real = ids != schema.PAD_ID
    same = ops.equal(ids[..., :, None], ids[..., None, :])
    same = ops.cast(ops.logical_and(same, real[..., None, :]), "float32")
    real = ops.cast(real, "float32")
    newer = np.tri(ids.shape[-1], k=-1, dtype="float32")
    clicks_after = ops.sum(same * newer, axis=-1)
    clicks_before = ops.sum(same * newer.T, axis=-1)
    newest = real * ops.cast(clicks_after == 0.0, "float32")
    is_return = real * ops.cast(clicks_before > 0.0, "float32")
    on_page = same[..., 0, :]
    # Click c was made from click c + 1, which is older.
    from_page = ops.einsum(
        "...b,...bc->...c", on_page[..., 1:], same[..., :-1, :]
    )
    to_page = ops.einsum(
        "...b,...bc->...c", on_page[..., :-1], same[..., 1:, :]
    )
    is_known = ops.cast(dwell_seconds >= 0.0, "float32")
    seconds = ops.where(dwell_seconds >= 0.0, dwell_seconds, 0.0)
    distinct = ops.sum(newest, axis=-1, keepdims=True)
    number = ops.sum(real, axis=-1, keepdims=True)
    of_all_clicks = ops.ones_like(real)
    before = min(1, ids.shape[-1] - 1)
    columns = [
        newest,
        on_page,
        ops.log1p(clicks_after + clicks_before),
        ops.log1p(ops.cumsum(newest, axis=-1) - newest),
        ops.minimum(from_page, 1.0),
        ops.minimum(to_page, 1.0),
        ops.log1p(seconds) / 4.0,
        is_known,
        ops.log1p(ops.einsum("...cb,...b->...c", same, seconds)) / 4.0,
        of_all_clicks * is_return[..., :1],
        of_all_clicks * is_return[..., before : before + 1],
        of_all_clicks * ops.log1p(distinct),
        of_all_clicks * ops.log1p(number - distinct),
        ops.cast(ops.cumsum(real, axis=-1) == number, "float32"),
    ]
    return ops.stack(columns, axis=-1) * real[..., None]
