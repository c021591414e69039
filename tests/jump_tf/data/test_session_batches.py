import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import encoding
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.runs import checkpoints
from tests import records


def training_batches(
    folder, epoch=0, seed=4, sessions=13, clicks=40, fixed_shapes=False
):
    return session_batches.training_batches(
        folder,
        batch_sessions=sessions,
        batch_clicks=clicks,
        seed=seed,
        epoch=tf.Variable(epoch, dtype=tf.int64),
        fixed_shapes=fixed_shapes,
    )


def as_arrays(batch):
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), batch)


def sessions_in(batches):
    """The clicks of each row of a batch, as the multiset of all rows."""
    found = collections.Counter()
    for inputs, targets, weights in map(as_arrays, batches):
        for row in range(len(weights)):
            length = int(weights[row].sum())
            items = targets[schema.ITEMS][row]
            if length == 0:  # A session that fills up a batch.
                assert not any(column[row].any() for column in inputs.values())
                assert not any(column[row].any() for column in targets.values())
                continue
            assert (weights[row] == (np.arange(len(items)) < length)).all()
            assert (items[length:] == schema.PAD_ID).all()
            assert list(inputs[schema.ITEMS][row, : length - 1]) == list(
                items[: length - 1]
            )
            assert (inputs[schema.ITEMS][row, length - 1 :] == 0).all()
            assert (inputs[schema.DWELL_SECONDS][row, length - 1 :] == 0).all()
            end = np.flatnonzero(targets[schema.SESSION_END][row])
            assert list(end) == [length - 1]
            found[
                tuple(items[:length]),
                tuple(targets[schema.DWELL_SECONDS][row, :length]),
                tuple(targets[schema.DWELL_CENSORED][row, :length]),
            ] += 1
    return found


def expected_sessions(sessions):
    return collections.Counter(
        (
            tuple(s.items),
            tuple(np.float32(s.dwell_seconds)),
            tuple(s.dwell_censored),
        )
        for s in sessions
    )


def test_an_epoch_has_each_training_session_once(data_folder, sessions):
    batches = list(training_batches(data_folder))
    assert sessions_in(batches) == expected_sessions(sessions[schema.TRAIN])


def test_fixed_shapes_are_few_and_lose_no_session(data_folder, sessions):
    batches = list(training_batches(data_folder, fixed_shapes=True))
    assert sessions_in(batches) == expected_sessions(sessions[schema.TRAIN])
    shapes = {tuple(weights.shape) for *_, weights in batches}
    assert shapes == {(13, 2), (13, 3), (13, 4), (8, 6), (5, 8), (3, 12)}
    assert all(
        inputs[schema.ITEMS].shape == (weights.shape[0], weights.shape[1] - 1)
        for inputs, _, weights in batches
    )


def test_fixed_shapes_waste_little(data_folder):
    """Empty sessions at the end of each pool, a third of a row at most."""
    empty = sum(
        int(np.sum(~weights.numpy().any(1)))
        for *_, weights in training_batches(data_folder, fixed_shapes=True)
    )
    assert empty < 2 * 13  # There are two pools.


@pytest.mark.parametrize("split", [schema.VALIDATION, schema.TEST])
def test_evaluation_has_each_session_once(data_folder, sessions, split):
    batches = session_batches.evaluation_batches(
        data_folder, split, batch_clicks=60
    )
    assert sessions_in(batches) == expected_sessions(sessions[split])


def test_batches_hold_similar_lengths_within_the_bounds(data_folder):
    real = slots = 0
    for inputs, _, weights in training_batches(data_folder):
        rows, steps = inputs[schema.ITEMS].shape
        assert rows <= 13
        assert rows == 1 or rows * steps <= 40
        real += float(tf.reduce_sum(weights))
        slots += rows * (steps + 1)
    assert real / slots > 0.9


@pytest.mark.parametrize("fixed", [False, True])
def test_order_depends_on_seed_and_epoch_alone(data_folder, fixed):
    def order(**options):
        return [
            inputs[schema.ITEMS].numpy().tolist()
            for inputs, *_ in training_batches(
                data_folder, fixed_shapes=fixed, **options
            )
        ]

    once = order(epoch=3)
    assert once == order(epoch=3)
    assert once != order(epoch=4)
    assert once != order(epoch=3, seed=5)


def test_the_epoch_is_read_when_iteration_begins(data_folder):
    epoch = tf.Variable(0, dtype=tf.int64)
    batches = session_batches.training_batches(
        data_folder, batch_sessions=9, batch_clicks=99, seed=4, epoch=epoch
    )
    orders = []
    for number in (0, 1, 0):
        epoch.assign(number)
        orders.append([w.shape[0] for *_, w in batches])
        assert len(orders[-1]) == batches.cardinality()
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("done", [0, 1, 17])
def test_a_pipeline_goes_on_where_its_position_was_saved(
    data_folder, tmp_path, done, monkeypatch
):
    """In a process of its own, so to speak: all is made anew."""
    monkeypatch.setattr(batching, "RECORDS_PER_POOL", 1)
    before = checkpoints.Position()
    before.move(3, done)
    saved = tf.train.Checkpoint(position=before).write(str(tmp_path / "at"))
    uninterrupted = list(training_batches(data_folder, epoch=3))
    assert len(uninterrupted) > 17
    after = checkpoints.Position()
    tf.train.Checkpoint(position=after).read(saved).assert_consumed()
    rest = session_batches.training_batches(
        data_folder,
        batch_sessions=13,
        batch_clicks=40,
        seed=4,
        epoch=after.epoch,
    ).skip(int(after.batch))
    assert rest.cardinality() == len(uninterrupted) - done
    for mine, theirs in zip(rest, uninterrupted[done:], strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, mine, theirs)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_cut_session_has_an_unknown_end(
    data_folder, sessions, tmp_path, fixed
):
    mine = [
        dataclasses.replace(session, session_cut=n % 3 // 2)
        for n, session in enumerate(sessions[schema.TRAIN])
    ]
    name = encoding.shard_name(schema.TRAIN, 0, 1)
    records.write_sessions(str(tmp_path / name), mine)
    ends = {
        tuple(np.float32(s.dwell_seconds)): -1.0 if s.session_cut else 1.0
        for s in mine
    }
    for _, targets, weights in map(
        as_arrays, training_batches(tmp_path, fixed_shapes=fixed)
    ):
        for end, dwell, real in zip(
            targets[schema.SESSION_END],
            targets[schema.DWELL_SECONDS],
            weights,
            strict=True,
        ):
            length = int(real.sum())
            expected = np.zeros_like(end)
            if length:
                expected[length - 1] = ends.pop(tuple(dwell[:length]))
            np.testing.assert_array_equal(end, expected)
    assert not ends


def test_page_load_asks_for_each_click_with_the_last_dwell_unknown(
    data_folder, sessions
):
    batches = session_batches.evaluation_batches(
        data_folder, schema.TEST, moment=schema.PAGE_LOAD, batch_clicks=90
    )
    found = collections.Counter()
    for inputs, targets, weights in map(as_arrays, batches):
        for row in range(len(weights)):
            *first, asked = np.flatnonzero(weights[row])
            assert first == ([0] if asked == 1 else [])
            dwell = list(inputs[schema.DWELL_SECONDS][row])
            assert dwell[asked - 1] == schema.UNKNOWN_DWELL
            assert not any(dwell[asked:])
            items = inputs[schema.ITEMS][row]
            assert not items[asked:].any()
            found[
                tuple(items[:asked]),
                tuple(dwell[: asked - 1]),
                targets[schema.ITEMS][row, asked],
            ] += 1
    expected = collections.Counter(
        (
            tuple(s.items[:k]),
            tuple(np.float32(s.dwell_seconds[: k - 1])),
            s.items[k],
        )
        for s in sessions[schema.TEST]
        for k in range(1, len(s))
    )
    assert found == expected


def test_statistics_are_of_the_training_split(data_folder, sessions):
    mine = sessions[schema.TRAIN]
    counts = session_batches.item_counts(data_folder, 23)
    items = [item for s in mine for item in s.items]
    np.testing.assert_array_equal(counts, np.bincount(items, minlength=25))
    logs = [
        np.log(max(seconds, 1.0))
        for s in mine
        for seconds, censored in zip(
            s.dwell_seconds, s.dwell_censored, strict=True
        )
        if not censored
    ]
    assert session_batches.mean_log_dwell(data_folder) == pytest.approx(
        np.mean(logs), rel=1e-5
    )


def test_a_folder_without_manifest_or_shards_is_refused(tmp_path, data_folder):
    with pytest.raises(schema.InputError, match=r"no manifest\.json"):
        folders.read_manifest(tmp_path)
    with pytest.raises(schema.InputError, match="`test` must be complete"):
        folders.shards(tmp_path, schema.TEST)
    lone = next(data_folder.glob("train-00001*"))
    (tmp_path / lone.name).write_bytes(lone.read_bytes())
    with pytest.raises(schema.InputError, match="`train` must be complete"):
        folders.shards(tmp_path, schema.TRAIN)


def test_no_pipeline_is_tuned_while_it_runs(data_folder):
    """Where one thread runs all, the tuning sleeps in it; see `batching`."""
    for batches in (
        training_batches(data_folder),
        *(
            session_batches.evaluation_batches(
                data_folder, schema.VALIDATION, moment=moment
            )
            for moment in schema.MOMENTS
        ),
    ):
        assert batches.options().autotune.enabled is False
