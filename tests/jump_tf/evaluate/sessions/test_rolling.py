"""Day by day: what counts learns all of the past, and nothing else."""

import collections
import dataclasses
import itertools
import json

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.data import click_log
from jump_tf.data import encoding
from jump_tf.evaluate.sessions import baselines
from jump_tf.evaluate.sessions import evaluation
from jump_tf.evaluate.sessions import judging
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions import rolling
from jump_tf.evaluate.sessions import tables
from tests import records
from tests.jump_tf.evaluate.sessions.test_evaluation import Follower

DAY_MS = 86_400_000
START_MS = 16_000 * DAY_MS
VOCABULARY = 25
DAYS = 3  # Of the test; as many are validation, and as many training.


def draw(seed=0, sessions=240):
    """Sessions of nine days, whose favourites change from day to day."""
    random = np.random.default_rng(seed)
    starts = np.sort(random.integers(0, 9 * DAY_MS, sessions))
    found = []
    for number, start in enumerate(starts.tolist()):
        length = int(random.integers(2, 6))
        items = start // DAY_MS * 2 + random.integers(2, 5, length)
        items = np.where(random.random(length) < 0.05, schema.OOV_ID, items)
        seconds = np.exp(random.normal(4.0, 1.5, length))
        seconds[-1] = 30.0
        found.append(
            schema.Session(
                f"s{number}",
                START_MS + start,
                items.tolist(),
                np.minimum(seconds, 2000.0).astype(np.float32).tolist(),
                [*(seconds[:-1] >= 2000).astype(int).tolist(), 1],
            )
        )
    return found


def ends(session):
    return session.start_ms + 1000 * sum(session.dwell_seconds[:-1])


def write(folder, sessions, days=DAYS, validation_days=DAYS, **options):
    """A data folder that is split by the sessions' ends."""
    folder.mkdir()
    end = max(map(ends, sessions))
    splits = {name: [] for name in schema.SPLITS}
    for session in sessions:
        back = (end - ends(session)) / DAY_MS
        name = schema.TEST if back <= days else schema.VALIDATION
        late = back <= days + validation_days
        splits[name if late else schema.TRAIN].append(session)
    for name, mine in splits.items():
        shard = folder / encoding.shard_name(name, 0, 1)
        records.write_sessions(str(shard), mine)
    names = "".join(f"i{n}\n" for n in range(VOCABULARY - 2))
    (folder / schema.VOCABULARY_FILE).write_text(names)
    manifest = {
        "num_items": VOCABULARY - 2,
        "max_dwell_seconds": 2000.0,
        "splits": {
            name: {"sessions": len(mine), "clicks": sum(map(len, mine))}
            for name, mine in splits.items()
        },
        "options": {
            "split": "temporal",
            "test_days": days,
            "validation_days": validation_days,
            **options,
        },
    }
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def judged(folder, split=schema.TEST):
    """What is said of a model that ranks item i at place i, by day."""
    past = click_log.read(folder, schema.TRAIN)
    training = baselines.with_a_clock(past)
    scorers = {
        name: kind(training, VOCABULARY)
        for name, kind in baselines._SCORERS.items()
    }
    clicks = predictions.read_clicks(folder, split)
    named = {
        rolling.MODEL: prediction_table.of(
            clicks, rank=clicks.item.astype(np.int64)
        ),
        **baselines.prediction_tables(scorers, clicks),
    }
    once = {who: prediction_table.measures(t) for who, t in named.items()}
    fresh = baselines.refreshed(VOCABULARY)
    return rolling.by_day(folder, split, clicks, once, fresh)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("rolling") / "data", draw())


@pytest.fixture(scope="module")
def found(folder):
    return judged(folder)


def test_days_are_of_the_split_and_add_up(folder, found):
    clicks = predictions.read_clicks(folder, schema.TEST)
    table = prediction_table.of(clicks, rank=clicks.item.astype(np.int64))
    plain = metrics.means(prediction_table.measures(table))
    days = [day[rolling.MODEL] for day in found["days"].values()]
    assert len(days) == DAYS
    sizes = np.array([day["num_predictions"] for day in days])
    assert sizes.min() > 10 and sizes.sum() == plain["num_predictions"]
    for name in ("recall_at_20", "mrr_at_20"):
        values = np.array([day[name] for day in days])
        mean = pytest.approx(values @ sizes / sizes.sum())
        assert plain[name] == mean
        assert found["mean"][rolling.MODEL][name] == pytest.approx(
            values.mean()
        )
    missed = [day["recall_at_20_all"] for day in days]
    assert all(a < b["recall_at_20"] for a, b in zip(missed, days, strict=True))


def by_hand(folder, split):
    """Reciprocal ranks of a Markov chain, by the number of the day."""
    earlier = schema.SPLITS[: schema.SPLITS.index(split)]
    logs = {name: visits(folder, name) for name in (*earlier, split)}
    end = max(visit[-1][1] for visit in logs[split])
    before = [[item for item, *_ in v] for name in earlier for v in logs[name]]
    found = []
    for day in range(DAYS):
        start, over = (
            end - (DAYS - day) * DAY_MS,
            end - (DAYS - day - 1) * DAY_MS,
        )
        seen = [
            [
                item
                for item, time_ms, known in visit
                if known and time_ms < start
            ]
            for visit in logs[split]
        ]
        chain = Chain(before if day == 0 else before + seen)
        found.append(
            np.mean(
                [
                    chain.reciprocal_rank(last, item)
                    for visit in logs[split]
                    for (last, *_), (item, time_ms, _) in itertools.pairwise(
                        visit
                    )
                    if item != schema.OOV_ID
                    and (day == 0 or time_ms >= start)
                    and (day == DAYS - 1 or time_ms < over)
                ]
            )
        )
    return found


def visits(folder, split):
    """Item, instant and whether it is known of each click, by session."""
    log = click_log.read(folder, split)
    rows = zip(
        log.item.tolist(), log.time_ms.tolist(), log.time_known, strict=True
    )
    return [list(itertools.islice(rows, n)) for n in log.length]


class Chain:
    """Counts what followed what, as if no unknown item were clicked."""

    def __init__(self, past):
        past = [[i for i in items if i != schema.OOV_ID] for items in past]
        self.clicks = collections.Counter(itertools.chain(*past))
        self.pairs = collections.Counter(
            pair for items in past for pair in itertools.pairwise(items)
        )

    def reciprocal_rank(self, last, target):
        keys = {
            item: (self.pairs[last, item], self.clicks[item])
            for item in range(schema.FIRST_ITEM_ID, VOCABULARY)
        }
        rank = sum(key >= keys[target] for key in keys.values())
        return 1.0 / rank if rank <= 20 else 0.0


def test_a_refreshed_chain_by_hand(folder, found):
    for split, told in (
        (schema.TEST, found),
        (schema.VALIDATION, judged(folder, schema.VALIDATION)),
    ):
        days = [day["markov"]["mrr_at_20"] for day in told["days"].values()]
        assert days == pytest.approx(by_hand(folder, split))


def test_fresh_counts_are_better_where_favourites_change(found):
    fresh, once = found["mean"], found["mean_fitted_once"]
    for name in ("most_popular", "markov"):
        assert fresh[name]["mrr_at_20"] > 1.2 * once[name]["mrr_at_20"]
    assert fresh[rolling.MODEL] == once[rolling.MODEL]


def test_one_day_after_training_is_the_plain_evaluation(tmp_path):
    folder = write(tmp_path / "data", draw(1), days=1.0, validation_days=0.0)
    found = judged(folder)
    (day,) = found["days"].values()
    for who, numbers in day.items():
        plain = found["mean_fitted_once"].get(who, {})
        assert {name: numbers[name] for name in plain} == plain
    assert found["mean"] == found["mean_fitted_once"]


def test_no_new_clicks_change_nothing(tmp_path, folder):
    past = click_log.read(folder, schema.TRAIN)
    log = click_log.read(folder, schema.TEST)
    known = (log.position > 1) & (log.item >= schema.FIRST_ITEM_ID)
    (asked,) = np.nonzero(known)
    none = log.before(int(log.start_ms.min()))
    assert len(none) == 0
    more = click_log.joined([past, none])
    training, split = map(baselines.with_a_clock, (past, log))
    for name, learn_and_rank in baselines.refreshed(VOCABULARY).items():
        kind = baselines._SCORERS[name]
        once = kind(training, VOCABULARY)
        np.testing.assert_array_equal(
            learn_and_rank(more, log, asked), once.ranks(split, asked)
        )


def test_the_future_does_not_reach_the_past(tmp_path, folder, found):
    """Other items on the last day change nothing of the days before."""
    sessions = draw()
    last_day = max(map(ends, sessions)) - DAY_MS
    changed = [
        dataclasses.replace(session, items=session.items[::-1])
        if session.start_ms >= last_day
        else session
        for session in sessions
    ]
    other = judged(write(tmp_path / "data", changed))
    *before, last = found["days"].values()
    *same, another = other["days"].values()
    assert before == same
    assert last["markov"] != another["markov"]


def test_it_is_refused_where_training_is_not_before(tmp_path, data_folder):
    folder = write(tmp_path / "data", draw(), split="random")
    for data, split in (
        (folder, schema.TEST),
        (data_folder, schema.TEST),  # Older folders say nothing of splits.
        (folder, schema.TRAIN),
    ):
        with pytest.raises(schema.InputError, match="A rolling evaluation"):
            evaluation.evaluate_clicks(Follower(), data, split, by_day=True)


def test_file_and_tables_say_it(folder, tmp_path):
    result, table = evaluation.evaluate_clicks(
        Follower(), folder, by_day=True, replicates=5
    )
    evaluation.write_evaluation(tmp_path, result, table)
    again = judging.judge_again(tmp_path, folder, by_day=True)
    assert again["rolling"] == result["rolling"]
    recall, mrr = tables.rolling(result)
    header, *rows = mrr
    sizes = ["num_predictions", "num_predictions_all"]
    assert header[:4] == ["mrr_at_20", *sizes, "model"]
    for row, day in zip(rows, result["rolling"]["days"].values(), strict=False):
        assert row[1:3] == [str(day["model"][size]) for size in sizes]
    assert "markov" in header and "item_median" not in header
    assert [row[0] for row in rows] == [
        *result["rolling"]["days"],
        "mean of the days",
        "the same, fitted once",
    ]
    column = header.index("markov")
    told = result["rolling"]
    # Dwells are not learned anew.
    assert (
        told["mean"]["item_median"] == told["mean_fitted_once"]["item_median"]
    )
    mean = told["mean"]["markov"]["mrr_at_20"]
    assert rows[DAYS][column] == f"{mean:.4f}"
    assert f"{mean:.4f}" in tables.format_table(result)
    assert recall[0][0] == "recall_at_20"
    assert tables.rolling({}) == []
