"""Return features against plain loops over a session."""

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.layers.return_features import RETURN_FEATURES
from jump_tf.layers.return_features import return_features

SESSIONS = [
    [(4, 30.0), (7, 12.0), (4, -1.0), (9, 700.0), (7, 0.0), (4, 5.0)],
    [(3, 1.0), (3, 2.0), (3, -1.0)],
    [(8, 60.0)],
    [(5, 10.0), (schema.PAD_ID, 4.0), (5, 20.0)],
]


def by_hand(session, clicks):
    """What the docstring says, of the clicks newest first."""
    newest = session[::-1][:clicks]
    items = [item for item, _ in newest]
    real = [item for item in items if item != schema.PAD_ID]
    is_return = [
        item != schema.PAD_ID and item in items[c + 1 :]
        for c, item in enumerate(items)
    ]
    rows = np.zeros([clicks, RETURN_FEATURES])
    for c, (item, seconds) in enumerate(newest):
        if item == schema.PAD_ID:
            continue
        after = items[:c]
        on_it = [s for i, s in newest if i == item]
        steps = range(len(items) - 1)
        rows[c] = [
            item not in after,
            item == items[0],
            np.log1p(len(on_it) - 1),
            np.log1p(len(set(after) - {schema.PAD_ID})),
            any(items[b + 1] == items[0] and items[b] == item for b in steps),
            any(items[b + 1] == item and items[b] == items[0] for b in steps),
            np.log1p(max(seconds, 0.0)) / 4,
            seconds >= 0,
            np.log1p(sum(max(s, 0.0) for s in on_it)) / 4,
            is_return[0],
            len(items) > 1 and is_return[1],
            np.log1p(len(set(real))),
            np.log1p(len(real) - len(set(real))),
            item not in items[c + 1 :] and not any(items[c + 1 :]),
        ]
    return rows


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("clicks", [1, 4, 8])
def test_features_are_those_of_a_loop(session, clicks):
    newest = session[::-1][:clicks]
    newest += [(schema.PAD_ID, 0.0)] * (clicks - len(newest))
    ids, seconds = zip(*newest, strict=True)
    found = return_features(np.int32([ids]), np.float32([seconds]))
    np.testing.assert_allclose(
        np.asarray(found)[0], by_hand(session, clicks), rtol=1e-5, atol=1e-6
    )
