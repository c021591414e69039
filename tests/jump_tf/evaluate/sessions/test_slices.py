"""Slices and rules: parts of the clicks that add up to all of them."""

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions import slices
from jump_tf.evaluate.sessions import tables
from tests import small_logs

# Of each kind, a click that is ranked is in one part.
KINDS = ("session_length", "item_support", "position", "repeat")


def make_table(seed, sessions=60):
    """A table of random ranks, with ties, repeats and unknown items."""
    log = small_logs.columns(small_logs.draw(seed, sessions))
    session, position, item = log.session, log.position, log.item
    random = np.random.default_rng(seed)
    length = np.bincount(session)[session]
    last = position == length
    clicks = predictions.LoggedClicks(
        session=session,
        position=position,
        length=length,
        item=item,
        last=last,
        censored=last,
        dwell_seconds=np.where(last, 30.0, random.integers(1, 99, len(item))),
    )
    rank = random.integers(1, 60, len(item))
    won = np.maximum(rank - random.integers(0, 3, len(item)), 1)
    return prediction_table.of(clicks, rank=rank, rank_standard=won)


def counts_of(table):
    """Every known item was seen; a few of them often."""
    counts = np.bincount(table.item, minlength=small_logs.VOCABULARY) + 1
    counts[: schema.FIRST_ITEM_ID] = 0
    return counts * counts


@pytest.mark.parametrize("seed", range(3))
def test_parts_are_of_all_and_their_means_give_the_whole(seed):
    table = make_table(seed)
    measures = prediction_table.measures(table)
    ranked = table.predicted & table.known
    found = slices.slices(table, counts_of(table), measures)
    masks = slices.slice_masks(table, counts_of(table))
    for kind in KINDS:
        within = np.sum([mask & ranked for mask in masks[kind].values()], 0)
        np.testing.assert_array_equal(within, ranked)
        parts = [p for p in found[kind].values() if p["num_predictions"]]
        assert len(parts) > 1
        sizes = np.array([part["num_predictions"] for part in parts])
        assert sizes.sum() == ranked.sum()
        for name in metrics.AT_20:
            means = np.array([part[name] for part in parts])
            assert means @ sizes / sizes.sum() == pytest.approx(
                measures[name].mean()
            )


@pytest.mark.parametrize("seed", range(3))
def test_a_written_table_has_the_same_slices(seed, tmp_path):
    table = make_table(seed)
    again = prediction_table.read(
        prediction_table.write(tmp_path / "t.npz", table)
    )
    one, other = (
        slices.slices(t, counts_of(table), prediction_table.measures(t))
        for t in (table, again)
    )
    np.testing.assert_equal(one, other)


@pytest.mark.parametrize("ties", ["", metrics.STANDARD_TIES])
def test_rules_by_hand(ties):
    table = make_table(7)
    found = metrics.means(prediction_table.measures(table))
    ranks = table.rank_standard if ties else table.rank
    kept = {among: [] for among in metrics.AMONG}
    for n, item in enumerate(table.item):
        if table.position[n] == 1:
            continue
        hit = float(item >= schema.FIRST_ITEM_ID and ranks[n] <= 20)
        same = item == table.item[n - 1] and item >= schema.FIRST_ITEM_ID
        for among, values in kept.items():
            unknown = item == schema.OOV_ID
            out = unknown and metrics.UNSEEN_MISSED not in among
            if not out and not (same and metrics.WITHOUT_REPEATS in among):
                values.append(hit)
    assert len({len(values) for values in kept.values()}) == 4
    for among, values in kept.items():
        assert found[f"num_predictions{among}"] == len(values)
        mean = pytest.approx(np.mean(values))
        assert found[f"recall_at_20{among}{ties}"] == mean


def test_ties_that_are_won_lose_nothing():
    measures = prediction_table.measures(make_table(1))
    for name in metrics.AT_20:
        for among in metrics.AMONG:
            lost = measures[f"{name}{among}"]
            won = measures[f"{name}{among}{metrics.STANDARD_TIES}"]
            np.testing.assert_array_equal(won.counted, lost.counted)
            assert np.all(won.values >= lost.values)
            assert won.mean() > lost.mean()


def test_the_printed_table_has_all_that_was_sliced():
    table = make_table(2)
    measures = prediction_table.measures(table)
    result = {
        "moment": schema.PAGE_LEAVE,
        **metrics.means(measures),
        "slices": slices.slices(table, counts_of(table), measures),
    }
    header, *rows = tables.slices(result)
    assert header[:3] == ["page_leave", "num_predictions", "recall_at_20"]
    named = {row[0]: row[1:] for row in rows}
    assert len(named) == 4 + sum(len(result["slices"][k]) for k in KINDS)
    recall = f"{result['recall_at_20']:.4f}"
    assert named["all"][:2] == [str(result["num_predictions"]), recall]
    without = f"{result['mrr_at_20_without_repeats']:.4f}"
    assert named["repeats of the last item left out"][2] == without
    new = result["slices"]["repeat"]["new"]
    assert named["repeat new"][0] == str(new["num_predictions"])
    assert len(tables.rules(result)) == 8
    # An older evaluation knows fewer rules.
    older = {k: v for k, v in result.items() if "without_repeats" not in k}
    assert len(tables.rules(older)) == 4
