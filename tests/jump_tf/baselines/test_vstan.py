import collections
import math

import numpy as np
import pytest

from jump_tf.baselines import base
from jump_tf.baselines.vstan import VSTAN
from tests import small_logs
from tests.small_logs import MINUTE_MS
from tests.small_logs import VOCABULARY

TRAINING = small_logs.draw(6, 80)
TRAINING_LOG = small_logs.timed(TRAINING, 2)
LOG = small_logs.timed(small_logs.draw(7, 40), 3)
KNOWN = small_logs.known_sessions(TRAINING_LOG)
DECAYS = ("click_decay", "session_decay_hours", "match_decay", "item_decay")


def latest_places(items):
    return {item: place for place, item in enumerate(items, 1)}


@pytest.mark.parametrize("sizes", [(80, 80), (5, 9)])
@pytest.mark.parametrize(
    "decays", [(2.0, 0.5, 3.0, 1.5), (math.inf,) * 4, (0.7, 0.1, math.inf, 4.0)]
)
def test_by_definition(sizes, decays):
    holders = collections.Counter(i for n in KNOWN for i in set(n.items))
    of_click, of_session, of_match, of_item = decays

    def by_hand(prefix, asked_ms):
        mine = latest_places(prefix)

        def similarity(n):
            shared = sum(
                math.exp((mine[item] - len(prefix)) / of_click)
                for item in set(n.items) & set(mine)
            )
            hours = abs(asked_ms - n.asked_ms[-1]) / base.HOUR_MS
            size = math.sqrt(len(mine) * len(set(n.items)))
            return shared / size * math.exp(-hours / of_session)

        recent = small_logs.by_recency(KNOWN, asked_ms)
        sharing = [n for n in recent if set(n.items) & set(mine)][: sizes[1]]
        found = collections.Counter()
        for n in sorted(sharing, key=lambda n: -round(similarity(n), 6))[
            : sizes[0]
        ]:
            theirs = latest_places(n.items)
            match = max(set(mine) & set(theirs), key=mine.get)
            weight = similarity(n) * math.exp(
                (mine[match] - len(prefix)) / of_match
            )
            for item, place in theirs.items():
                rarity = math.log(len(KNOWN) / holders[item])
                distance = abs(place - theirs[match])
                found[item] += (
                    weight * math.exp(-distance / of_item) * (1 + 2 * rarity)
                )
        return found

    scorer = VSTAN(
        TRAINING_LOG,
        VOCABULARY,
        neighbours=sizes[0],
        sample=sizes[1],
        idf=2.0,
        **dict(zip(DECAYS, decays, strict=True)),
    )
    small_logs.check_definition(scorer, TRAINING, LOG, by_hand, clocked=True)


def test_promises(monkeypatch):
    scorer = VSTAN(TRAINING_LOG, VOCABULARY, neighbours=7, sample=12)
    small_logs.check_promises(scorer, LOG, monkeypatch)


def test_by_hand():
    """After item 2 came 3, 4, and 5 and 6: five, three and one minute ago."""
    log = small_logs.columns([[2, 3], [2, 4], [2, 5, 6], [6, 3]])
    minutes = np.array([0, 1, 2, 3, 4, 5, 5, 0, 0]) * MINUTE_MS
    asked = small_logs.columns([[2, 3], [2, 4], [2, 5], [2, 6]])
    asked = asked._replace(asked_ms=np.full(8, 6 * MINUTE_MS))

    def ranks(**options):
        scorer = VSTAN(log._replace(asked_ms=minutes), 7, idf=0.0, **options)
        return scorer.ranks(asked, np.array([1, 3, 5, 7])).tolist()

    # Item 2 is first; 5 is nearer to it than 6 in their session, the latest.
    fading = 1 / 60
    assert ranks(session_decay_hours=fading) == [5, 4, 2, 3]
    assert ranks(session_decay_hours=fading, item_decay=0.25) == [4, 3, 2, 5]
    # The latest session alone, and the most similar; others by popularity.
    assert ranks(sample=1) == [4, 5, 2, 3]
    assert ranks(neighbours=1) == [4, 2, 5, 4]
