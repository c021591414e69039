"""Small logs as flat columns, and what every scorer of items promises."""

from typing import NamedTuple

import numpy as np

from jump_tf import schema
from jump_tf.baselines import base as scorers
from jump_tf.baselines import grouping
from jump_tf.baselines.base import Log
from tests.by_hand import conservative_ranks

VOCABULARY = 17
MINUTE_MS = 60_000


def columns(sessions):
    """The log of some sessions, without a clock."""
    lengths = [len(session) for session in sessions]
    nowhen = np.zeros(sum(lengths), np.int64)
    return Log(
        np.repeat(np.arange(len(sessions)), lengths),
        np.concatenate([np.arange(1, n + 1) for n in lengths]),
        np.concatenate([np.array(session) for session in sessions]),
        nowhen,
        nowhen,
    )


def timed(sessions, seed):
    """The same with a clock, on which sessions overlap and instants repeat.

    Of every fifth session the third click and those after it are not dated.
    """
    log = columns(sessions)
    random = np.random.default_rng(seed)
    starts = random.integers(0, 60, len(sessions))
    steps = random.integers(0, 4, len(log.session))
    before = np.cumsum(steps) - np.cumsum(steps)[log.position == 1][log.session]
    minutes = starts[log.session] + before
    undated = (log.session % 5 == 4) & (log.position > 2)
    return log._replace(
        asked_ms=minutes * MINUTE_MS,
        done_ms=np.where(undated, scorers.NEVER, minutes * MINUTE_MS),
    )


def draw(seed, count):
    """Unequal sessions with ties, repeats and clicks on the unknown item."""
    random = np.random.default_rng(seed)
    return [
        (random.zipf(1.4, random.integers(1, 8)) % (VOCABULARY - 1) + 1)
        for _ in range(count)
    ]


class KnownSession(NamedTuple):
    """The clicks of a session on known items, in their order."""

    clicks: list
    items: list
    asked_ms: list
    done_ms: list


def known_sessions(log):
    """All sessions with a click on a known item."""
    clicks = [
        [c for c in np.flatnonzero(log.session == one) if log.item[c] > 1]
        for one in range(log.session.max() + 1)
    ]
    return [
        KnownSession(
            mine,
            *(column[mine].tolist() for column in log[2:]),
        )
        for mine in clicks
        if mine
    ]


def by_recency(sessions, asked_ms):
    """What was over, the last first, and then what was not, the first first."""
    recent = sorted(sessions, key=lambda one: -one.asked_ms[-1])
    over = [one for one in recent if one.asked_ms[-1] < asked_ms]
    return over + [one for one in recent[::-1] if one.asked_ms[-1] >= asked_ms]


def all_asked(log):
    """Clicks that can be asked for: those on known items."""
    return np.flatnonzero(log.item >= schema.FIRST_ITEM_ID)


def prefix(log, click):
    return log.item[click - log.position[click] + 1 : click]


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


def click_scores(scorer, log, click):
    """`[V]` before a click of a log; integers in order only."""
    ((_, prefixes),) = scorers.chunks(log, np.array([click]))
    _, item, score = scorer._scores(prefixes)
    scores = scorer.level.copy()
    score = grouping.levels(score) * scorer.vocabulary_size
    among = grouping.levels(score + scorer.level[item])
    scores[item] = scorer.vocabulary_size + among
    return scores


def check_definition(scorer, training, log, by_hand, clocked=False):
    """The ranks are those of `by_hand`: known prefix -> {item: score}.

    It is told when the click is asked for, too, where it has a clock.
    """
    asked = all_asked(log)
    expected = []
    for click in asked:
        when = [log.asked_ms[click]] * clocked
        scores = by_hand(known(prefix(log, click)), *when)
        expected.append(dense_ranks(training, scores)[log.item[click]])
    np.testing.assert_array_equal(scorer.ranks(log, asked), expected)


def check_promises(scorer, log, monkeypatch):
    """What holds for every scorer of a few items, whatever it scores."""
    asked = all_asked(log)
    scores = np.stack([click_scores(scorer, log, click) for click in asked])
    assert scores.shape == (len(asked), VOCABULARY)
    special = scores[:, : schema.FIRST_ITEM_ID]
    assert special.max() < scores[:, schema.FIRST_ITEM_ID :].min()
    np.testing.assert_array_equal(
        scorer.ranks(log, asked), conservative_ranks(scores, log.item[asked])
    )
    check_ranks(scorer, log, monkeypatch)


def check_ranks(scorer, log, monkeypatch):
    """What holds for every scorer that learned all that it knows."""
    asked = all_asked(log)
    ranks = scorer.ranks(log, asked)
    assert ranks.dtype == np.int64
    _check_future(scorer, log, asked, ranks)
    some = np.random.default_rng(0).permutation(len(asked))[::3]
    np.testing.assert_array_equal(scorer.ranks(log, asked[some]), ranks[some])
    for clicks_at_once in (1, 7):
        monkeypatch.setattr(scorers, "CLICKS_AT_ONCE", clicks_at_once)
        np.testing.assert_array_equal(scorer.ranks(log, asked), ranks)
    assert scorer.ranks(log, asked[:0]).shape == (0,)


def _check_future(scorer, log, asked, ranks):
    """Each click alone, what follows it in its session left out."""
    for click, rank in zip(asked, ranks, strict=True):
        first = click - log.position[click] + 1
        past = Log(*(column[first : click + 1] for column in log))
        alone = scorer.ranks(past, np.array([click - first]))
        np.testing.assert_array_equal(alone, [rank])
