import itertools
import math

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.baselines import base
from jump_tf.baselines import item_rules
from jump_tf.baselines.decayed_markov import DecayedMarkov
from tests import small_logs
from tests.small_logs import MINUTE_MS
from tests.small_logs import VOCABULARY

TRAINING_LOG = small_logs.timed(small_logs.draw(6, 60), 2)
LOG = small_logs.timed(small_logs.draw(7, 40), 3)
SETTINGS = [
    (math.inf, math.inf, 0.4),
    (0.3, 0.1, 0.7),
    (0.05, math.inf, 3.0),
    (math.inf, 0.2, 0.01),
]


def fitted(settings=(0.5, 0.2, 0.5), log=TRAINING_LOG, size=VOCABULARY, **more):
    names = "half_life_hours", "popularity_half_life_hours", "popularity_weight"
    return DecayedMarkov(
        log, size, **dict(zip(names, settings, strict=True)), **more
    )


def ranks_by_hand(settings, counted, log, asked):
    """Ranks by the definition.

    Args:
        settings: half-lives in hours, and the weight of popularity.
        counted: items of sessions and the instants from which they count.
        log: what is asked for.
        asked: indices of clicks.
    """
    ranks = []
    for click in asked:
        now = log.asked_ms[click]
        followed, clicked = np.zeros(VOCABULARY), np.zeros(VOCABULARY)
        last = log.item[click - 1] if log.position[click] > 1 else None
        for items, times in counted:
            for item, time in zip(items, times, strict=True):
                if time < now:
                    clicked[item] += fading(settings[1], now - time)
            for (a, b), time in zip(
                itertools.pairwise(items), times[1:], strict=True
            ):
                if a == last and time < now:
                    followed[b] += fading(settings[0], now - time)
        scores = share(followed) + settings[2] * share(clicked)
        own = scores[log.item[click]]
        among = scores[schema.FIRST_ITEM_ID :]
        ranks.append(np.sum(among >= own * (1 - 1e-9)))
    return ranks


def fading(half_life_hours, age_ms):
    return 2.0 ** (-age_ms / base.HOUR_MS / half_life_hours)


def share(counts):
    return counts / counts.sum() if counts.any() else counts


def counted(log, from_its_end_on=False):
    return [
        (
            n.items,
            n.done_ms[-1:] * len(n.items) if from_its_end_on else n.done_ms,
        )
        for n in small_logs.known_sessions(log)
    ]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("refreshed", [False, True])
def test_by_definition(settings, refreshed):
    asked = small_logs.all_asked(LOG)
    past = counted(TRAINING_LOG)
    if refreshed:
        past += counted(LOG, from_its_end_on=True)
    scorer = fitted(settings, refreshed=refreshed)
    np.testing.assert_array_equal(
        scorer.ranks(LOG, asked), ranks_by_hand(settings, past, LOG, asked)
    )


def test_promises(monkeypatch):
    small_logs.check_ranks(fitted(), LOG, monkeypatch)


def test_by_hand():
    """After 2 came 3, an hour ago twice; 4, now; 5 is popular."""
    training = small_logs.columns([[2, 3], [2, 3], [2, 4], [5, 5, 5]])
    minutes = [0, 1, 0, 1, 60, 61, 59, 60, 61]
    asked = small_logs.columns([[2, 3], [2, 4], [2, 5], [2, 2], [1, 3]])
    asked = asked._replace(asked_ms=np.full(10, 62 * MINUTE_MS))
    training = training._replace(done_ms=np.array(minutes) * MINUTE_MS)
    clicks = np.array([1, 3, 5, 7, 9])

    def ranks(*settings):
        scorer = fitted(settings, training, 6)
        return scorer.ranks(asked, clicks).tolist()

    # Twice is more than once, where nothing fades.
    assert ranks(math.inf, math.inf, 0.01) == [1, 2, 4, 4, 3]
    # What came twice, two half-lives ago, is half of what came once, now.
    assert ranks(0.5, math.inf, 0.01) == [2, 1, 4, 4, 3]
    # Popular just now, against any follower.
    assert ranks(math.inf, 0.1, 100.0)[2] == 1


def test_with_nothing_to_fade_it_is_the_markov_chain():
    """Of clicks that were all made before, whatever their times."""
    log = LOG._replace(asked_ms=LOG.asked_ms + 10 * base.HOUR_MS)
    done_ms = np.where(
        TRAINING_LOG.done_ms < base.NEVER, TRAINING_LOG.done_ms, 0
    )
    training = TRAINING_LOG._replace(done_ms=done_ms)
    asked = small_logs.all_asked(log)
    plain = item_rules.Markov(training, VOCABULARY).ranks(log, asked)
    fading = fitted((math.inf, math.inf, 1e-6), training)
    np.testing.assert_array_equal(fading.ranks(log, asked), plain)
    faster = fitted((0.1, math.inf, 1e-6), training)
    assert np.any(faster.ranks(log, asked) != plain)


@pytest.mark.parametrize("refreshed", [False, True])
def test_later_clicks_change_no_rank(refreshed):
    asked = small_logs.all_asked(LOG)
    middle = int(np.median(LOG.asked_ms[asked]))
    early = LOG.asked_ms[asked] <= middle

    def changed(log):
        drawn = np.random.default_rng(0).integers(1, VOCABULARY, len(log.item))
        later = log.asked_ms > middle
        return log._replace(item=np.where(later, drawn, log.item))

    before = fitted(refreshed=refreshed).ranks(LOG, asked)
    scorer = fitted(log=changed(TRAINING_LOG), refreshed=refreshed)
    after = scorer.ranks(LOG, asked)
    np.testing.assert_array_equal(after[early], before[early])
    assert np.any(after[~early] != before[~early])
    other = scorer.ranks(changed(LOG), asked[early])
    np.testing.assert_array_equal(other, before[early])


def test_no_session_is_counted_for_itself():
    """Refreshed by a session alone, or by its like at the same time."""
    plain, refreshed = fitted(), fitted(refreshed=True)
    for session in small_logs.known_sessions(LOG)[:20]:
        first = session.clicks[0] - LOG.position[session.clicks[0]] + 1
        alone = base.Log(*(c[first : session.clicks[-1] + 1] for c in LOG))
        asked = np.array(session.clicks) - first
        np.testing.assert_array_equal(
            refreshed.ranks(alone, asked), plain.ranks(alone, asked)
        )
    every = small_logs.all_asked(LOG)
    assert np.any(refreshed.ranks(LOG, every) != plain.ranks(LOG, every))


def test_what_is_not_dated_is_not_counted():
    dated = TRAINING_LOG.done_ms < base.NEVER
    assert 0 < dated.sum() < len(dated)
    asked = small_logs.all_asked(LOG)
    without = base.Log(*(column[dated] for column in TRAINING_LOG))
    np.testing.assert_array_equal(
        fitted().ranks(LOG, asked), fitted(log=without).ranks(LOG, asked)
    )


def test_after_an_unknown_item_it_is_popularity():
    log = LOG._replace(item=np.where(LOG.position == 2, 1, LOG.item))
    (asked,) = np.nonzero((log.position == 3) & (log.item > 1))
    assert len(asked) > 10
    popular = fitted((0.5, 0.2, 1e9))
    np.testing.assert_array_equal(
        fitted().ranks(log, asked), popular.ranks(log, asked)
    )


def test_no_click_follows_the_last_one_of_training():
    """Item 4 follows 3 where the logs meet, and nowhere else."""
    minutes = np.array([0, 1, 2, 3, 10, 11]) * MINUTE_MS
    training = small_logs.columns([[2, 3]])._replace(done_ms=minutes[:2])
    log = small_logs.columns([[4, 2], [3, 4]])._replace(
        asked_ms=minutes[2:], done_ms=minutes[2:]
    )
    settings = math.inf, math.inf, 0.1
    scorer = fitted(settings, training, 5, refreshed=True)
    # Item 2 had two clicks, 3 and 4 one each.
    np.testing.assert_array_equal(scorer.ranks(log, np.array([3])), [3])


def test_before_all_clicks_all_items_are_equal():
    none = small_logs.columns([[1]])
    asked = small_logs.columns([[3, 2], [4, 5]])
    for scorer in (fitted(log=none, size=6), fitted(log=asked, size=6)):
        ranks = scorer.ranks(asked, np.array([1, 3]))
        np.testing.assert_array_equal(ranks, [4, 4])


def test_other_orders_are_refused():
    wrong = LOG._replace(position=LOG.position + 1)
    with pytest.raises(ValueError, match="`position` count from 1"):
        fitted(log=wrong)
    for scorer in (fitted(), fitted(refreshed=True)):
        with pytest.raises(ValueError, match="`position` count from 1"):
            scorer.ranks(wrong, np.array([1]))


@pytest.mark.parametrize("number", range(3))
def test_settings_are_positive(number):
    settings = [1.0, 1.0, 1.0]
    settings[number] = 0.0
    with pytest.raises(ValueError, match=r"must be positive\. Received: 0\.0"):
        fitted(settings)
