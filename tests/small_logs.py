"""Small logs as flat columns, and what every scorer of items promises."""

import numpy as np

from jump_tf import schema
from jump_tf.baselines import base as scorers
from tests.by_hand import conservative_ranks

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


def click_scores(scorer, items):
    """`[V]` after the clicks on `items` `[n]`; integers in order only."""
    row = np.zeros(len(items), np.int64)
    _, item, score = scorer._scores(scorers._known(1, row, items))
    scores = scorer.level.copy()
    score = scorers.levels(score) * scorer.vocabulary_size
    among = scorers.levels(score + scorer.level[item])
    scores[item] = scorer.vocabulary_size + among
    return scores


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
    _check_scores(scorer, log, asked, ranks)
    _check_future(scorer, log, asked, ranks)
    some = np.random.default_rng(0).permutation(len(asked))[::3]
    np.testing.assert_array_equal(scorer.ranks(*log, asked[some]), ranks[some])
    for clicks_at_once in (1, 7):
        monkeypatch.setattr(scorers, "CLICKS_AT_ONCE", clicks_at_once)
        np.testing.assert_array_equal(scorer.ranks(*log, asked), ranks)
    assert scorer.ranks(*log, asked[:0]).shape == (0,)


def _check_scores(scorer, log, asked, ranks):
    scores = np.stack([click_scores(scorer, prefix(log, c)) for c in asked])
    assert scores.shape == (len(asked), VOCABULARY)
    special = scores[:, : schema.FIRST_ITEM_ID]
    assert special.max() < scores[:, schema.FIRST_ITEM_ID :].min()
    np.testing.assert_array_equal(
        ranks, conservative_ranks(scores, log[2][asked])
    )


def _check_future(scorer, log, asked, ranks):
    """Each click alone, what follows it in its session left out."""
    for click, rank in zip(asked, ranks, strict=True):
        first = click - log[1][click] + 1
        past = [column[first : click + 1] for column in log]
        alone = scorer.ranks(*past, np.array([click - first]))
        np.testing.assert_array_equal(alone, [rank])
