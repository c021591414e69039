import dataclasses
import json

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.cli import main as cli
from jump_tf.data import encoding
from jump_tf.evaluate.sessions import dwell_floor
from jump_tf.evaluate.sessions import predictions
from tests import records

NUM_ITEMS = 12
SESSIONS = {schema.TRAIN: 1000, schema.VALIDATION: 300, schema.TEST: 200}
# Variances of the log dwell.
OF_SESSION, OF_ITEM, OF_NEITHER = 1.2, 0.3, 0.8


def draw(random, level):
    """A session of 2 to 11 clicks, whose dwells have known variances."""
    length = random.integers(2, 12)
    items = random.integers(0, NUM_ITEMS, length)
    logs = 4 + np.sqrt(OF_SESSION) * random.normal() + level[items]
    logs += np.sqrt(OF_NEITHER) * random.normal(size=length)
    seconds = np.minimum(np.exp(logs), 100_000.0)
    seconds[-1] = schema.LAST_DWELL_SECONDS
    return schema.Session(
        "s",
        0,
        (items + schema.FIRST_ITEM_ID).tolist(),
        seconds.tolist(),
        [0] * (length - 1) + [1],
        0,
    )


def write(folder, sizes):
    random = np.random.default_rng(5)
    level = random.normal(size=NUM_ITEMS)
    level *= np.sqrt(OF_ITEM) / level.std(ddof=1)
    sessions = {
        split: [draw(random, level) for _ in range(count)]
        for split, count in sizes.items()
    }
    for split, mine in sessions.items():
        name = encoding.shard_name(split, 0, 1)
        records.write_sessions(str(folder / name), mine)
    names = [f"i{n}\n" for n in range(NUM_ITEMS)]
    (folder / schema.VOCABULARY_FILE).write_text("".join(names))
    counts = {
        split: {"sessions": len(mine), "clicks": sum(map(len, mine))}
        for split, mine in sessions.items()
    }
    manifest = {
        "num_items": NUM_ITEMS,
        "max_dwell_seconds": 100_000.0,
        "splits": counts,
        "rows": 0,
        "rejected": {},
        "filtered": {},
    }
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("floor"), SESSIONS)


@pytest.fixture(scope="module")
def splits(data):
    return {
        split: predictions.read_clicks(data, split) for split in schema.SPLITS
    }


@pytest.fixture(scope="module")
def floor(splits):
    return floor_on(splits, schema.TEST)


def floor_on(splits, split):
    size = NUM_ITEMS + schema.FIRST_ITEM_ID
    return dwell_floor.floor_of(splits[schema.TRAIN], splits[split], size)


def part(clicks, rows):
    return type(clicks)(
        **{
            field.name: getattr(clicks, field.name)[rows]
            for field in dataclasses.fields(clicks)
        }
    )


class TestFloor:
    def test_known_shares_are_recovered(self, floor):
        variance = floor["variance"]
        total = OF_SESSION + OF_ITEM + OF_NEITHER
        assert variance["log_dwell"] == pytest.approx(total, rel=0.06)
        for name, expected in (
            ("session", OF_SESSION),
            ("item", OF_ITEM),
            ("within", OF_NEITHER),
            ("same_item_again", OF_SESSION + OF_ITEM),
        ):
            share = expected / total
            assert variance[name] == pytest.approx(share, abs=0.05), name

    def test_who_knows_more_errs_less(self, floor):
        constant, past, future = (
            floor["errors"][name]["share"]
            for name in (
                dwell_floor.CONSTANT,
                dwell_floor.PAST,
                dwell_floor.FUTURE,
            )
        )
        assert constant == 1.0
        assert past < 0.95
        assert future < past - 0.01

    def test_constant_by_hand(self, splits, floor):
        known, asked = (
            clicks.dwell_seconds[clicks.followed & clicks.predicted]
            for clicks in (splits[schema.TRAIN], splits[schema.TEST])
        )
        errors = floor["errors"]
        assert errors["num_dwells"] == len(asked)
        mae = errors[dwell_floor.CONSTANT]["mae_seconds"]
        expected = np.abs(asked - np.median(known)).mean()
        assert mae == pytest.approx(expected)

    def test_what_was_cut_is_not_taken_for_observed(self, splits):
        """Of targets that nobody saw, no number says anything."""
        random = np.random.default_rng(0)

        def with_cut(clicks, cut, at):
            return dataclasses.replace(
                clicks,
                censored=clicks.censored | cut,
                dwell_seconds=np.where(cut, at, clicks.dwell_seconds),
            )

        # What comes before a last click is nobody's past.
        cut = {
            split: np.append(clicks.last[1:], False)
            & (random.random(len(clicks)) < 0.5)
            for split, clicks in splits.items()
        }
        found = [
            floor_on(
                {s: with_cut(splits[s], cut[s], at) for s in splits},
                schema.VALIDATION,
            )
            for at in (2.0, 90_000.0)
        ]
        for name in ("variance", "errors"):
            one, other = (floor[name] for floor in found)
            one.pop(dwell_floor.FUTURE, None)  # It is told them as dwells.
            other.pop(dwell_floor.FUTURE, None)
            assert one == other
        train = splits[schema.TRAIN].followed & ~cut[schema.TRAIN]
        assert found[0]["variance"]["num_dwells"] == train.sum()

    def test_small_logs_are_refused(self, splits):
        few = part(splits[schema.TRAIN], splits[schema.TRAIN].session < 30)
        with pytest.raises(schema.InputError, match="At least 1000 dwells mu"):
            floor_on({**splits, schema.TRAIN: few}, schema.TEST)

    def test_splits_without_dwells_are_refused(self, splits):
        clicks = splits[schema.TEST]
        first = part(clicks, clicks.position == 1)
        with pytest.raises(schema.InputError, match="must have dwells after a"):
            floor_on({**splits, schema.TEST: first}, schema.TEST)


class TestVerb:
    def test_says_the_floor_and_writes_it(self, data, floor, tmp_path, capsys):
        flags = ["--dwell", "--split", "test", "--output", str(tmp_path)]
        assert cli.main(["inspect", str(data), *flags]) == 0
        said = capsys.readouterr().out
        found = json.loads((tmp_path / "inspection.json").read_text())
        assert found["dwell_floor"] == {"split": "test", **floor}
        assert dwell_floor.describe(found["dwell_floor"]) in said
        rows = {" ".join(line.split()) for line in said.splitlines()}
        past = floor["errors"][dwell_floor.PAST]
        assert (
            f"booster that knows the past {past['mae_seconds']:.4f} "
            f"{past['share']:.4f}"
        ) in rows
        assert f"of the session {floor['variance']['session']:.1%}" in rows

    def test_default_split_is_validation(self, data, monkeypatch, capsys):
        """And without scikit-learn it says what to install."""
        asked = []
        monkeypatch.setattr(dwell_floor, "measure", _without(asked))
        assert cli.main(["inspect", str(data), "--dwell"]) == 2
        said = capsys.readouterr().err
        assert "pip install 'jump-tf[evaluate]'" in said
        assert asked == [(data, schema.VALIDATION)]

    def test_a_split_is_for_the_floor_alone(self, data, capsys):
        assert cli.main(["inspect", str(data), "--split", "test"]) == 2
        said = capsys.readouterr().err
        assert said == (
            "jump-tf: `--split` must be given with `--dwell`. Received: "
            "--split=test\n"
        )


def _without(asked):
    """A measurement without scikit-learn."""

    def measure(*arguments):
        asked.append(arguments)
        raise ModuleNotFoundError("no sklearn", name="sklearn")

    return measure


def test_unknown_shares_are_dashes(floor):
    variance = {**floor["variance"], "same_item_again": None}
    said = dwell_floor.describe(
        {**floor, "split": "test", "variance": variance}
    )
    assert "on one item      -" in said
