"""Small logs as flat columns, and what every scorer of items promises."""

import numpy as np

from jump_tf import schema
from jump_tf.baselines import base as scorers
from jump_tf.metrics import ranking

VOCABULARY = 17


def columns(sessions):
    """Session, position and item of each click, in canonical order."""
    lengths = [len(session) for session in sessions]
    return (
        np.repeat(np.arange(len(sessions)), lengths),
        np.concatenate([np.arange(1, n + 1) for n in lengths]),
        np.concatenate([np.array(session) for session in sessions]),
    )


def draw(seed, count):
    """Unequal sessions with ties, repeats and clicks on the unknown item."""
    random = np.random.default_rng(seed)
    return [
        (random.zipf(1.4, random.integers(1, 8)) % (VOCABULARY - 1) + 1)
        for _ in range(count)
    ]


def all_asked(log):
    """Clicks that can be asked for: those on known items."""
    return np.flatnonzero(log[2] >= schema.FIRST_ITEM_ID)


def prefix(log, click):
    return log[2][click - log[1][click] + 1 : click]


def known(items):
    return [int(item) for item in items if item >= schema.FIRST_ITEM_ID]


def dense_ranks(training, scored):
    """`[V]` ranks by a second hand: scores, then popularity, ties lost.

    Args:
        training: sessions.
        scored: item -> score.
    """
    clicks = np.bincount(np.concatenate(training), minlength=VOCABULARY)
    items = range(schema.FIRST_ITEM_ID, VOCABULARY)
    keys = {
        item: (item in scored, round(scored.get(item, 0.0), 6), clicks[item])
        for item in items
    }
    ranks = np.zeros(VOCABULARY, int)
    for item in items:
        ranks[item] = sum(keys[other] >= keys[item] for other in items)
    return ranks


def check_definition(scorer, training, log, by_hand):
    """The ranks are those of `by_hand`: known prefix -> {item: score}."""
    asked = all_asked(log)
    expected = [
        dense_ranks(training, by_hand(known(prefix(log, click))))[log[2][click]]
        for click in asked
    ]
    np.testing.assert_array_equal(scorer.ranks(*log, asked), expected)


def check_promises(scorer, log, monkeypatch):
    """What holds for every scorer, whatever it scores."""
    asked = all_asked(log)
    ranks = scorer.ranks(*log, asked)
    assert ranks.dtype == np.int64
    found = scorer.recommended(*log, asked, k=5)
    _check_scores(scorer, log, asked, ranks, found)
    _check_future(scorer, log, asked, ranks)
    some = np.random.default_rng(0).permutation(len(asked))[::3]
    np.testing.assert_array_equal(scorer.ranks(*log, asked[some]), ranks[some])
    for clicks_at_once in (1, 7):
        monkeypatch.setattr(scorers, "CLICKS_AT_ONCE", clicks_at_once)
        np.testing.assert_array_equal(scorer.ranks(*log, asked), ranks)
        np.testing.assert_array_equal(
            scorer.recommended(*log, asked, k=5), found
        )
    assert scorer.ranks(*log, asked[:0]).shape == (0,)
    everything = scorer.recommended(*log, asked[:1], k=VOCABULARY)[0]
    np.testing.assert_array_equal(
        np.sort(everything),
        [schema.PAD_ID] * schema.FIRST_ITEM_ID
        + list(range(schema.FIRST_ITEM_ID, VOCABULARY)),
    )


def _check_scores(scorer, log, asked, ranks, found):
    scores = np.stack([scorer.click_scores(prefix(log, c)) for c in asked])
    assert scores.shape == (len(asked), VOCABULARY)
    special = scores[:, : schema.FIRST_ITEM_ID]
    assert special.max() < scores[:, schema.FIRST_ITEM_ID :].min()
    np.testing.assert_array_equal(
        ranks, ranking.conservative_ranks(scores, log[2][asked])
    )
    best = np.argsort(-scores, axis=1, kind="stable")[:, : found.shape[1]]
    np.testing.assert_array_equal(found, best)


def _check_future(scorer, log, asked, ranks):
    """Each click alone, what follows it in its session left out."""
    for click, rank in zip(asked, ranks, strict=True):
        first = click - log[1][click] + 1
        past = [column[first : click + 1] for column in log]
        alone = scorer.ranks(*past, np.array([click - first]))
        np.testing.assert_array_equal(alone, [rank])
