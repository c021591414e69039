import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.data.encoding import shard_name
from jump_tf.evaluate import columns
from jump_tf.evaluate.lists import baselines as list_baselines
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import metrics as list_metrics
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.evaluate.lists import slices as list_slices
from jump_tf.evaluate.lists import tables as list_tables
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.experiments import list_oracle
from jump_tf.experiments import list_simulator
from jump_tf.experiments.list_simulator import ListSimulatorConfig
from jump_tf.metrics import lists as list_measures
from tests import evaluated
from tests import records
from tests import simulated_lists
from tests.list_batches import FakeModel
from tests.list_batches import batches

SIZES = {schema.TRAIN: 700, schema.VALIDATION: 150, schema.TEST: 250}


@pytest.fixture(scope="module")
def simulation():
    return list_simulator.simulate(
        ListSimulatorConfig(
            num_lists=sum(SIZES.values()),
            num_items=19,
            num_categories=3,
            min_length=1,
            mean_length=6.0,
            max_length=11,
            seed=3,
        )
    )


@pytest.fixture(scope="module")
def splits(simulation):
    lists, _ = simulated_lists.to_lists(simulation)
    parts = iter(lists)
    return {
        split: list(itertools.islice(parts, size))
        for split, size in SIZES.items()
    }


@pytest.fixture(scope="module")
def vocabulary_size(simulation):
    return schema.FIRST_ITEM_ID + len(simulated_lists.to_lists(simulation)[1])


@pytest.fixture(scope="module")
def fitted(splits, vocabulary_size):
    return list_baselines.fit(
        batches(splits[schema.TRAIN], 64),
        batches(splits[schema.VALIDATION], 64),
        vocabulary_size,
        list_simulator.FIELDS,
    )


@pytest.fixture(scope="module")
def model(vocabulary_size):
    return FakeModel(vocabulary_size)


@pytest.fixture(scope="module")
def result(model, splits, fitted):
    return evaluated.evaluate_list_batches(
        model, batches(splits[schema.TEST]), fitted, num_fields=3, replicates=50
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, splits, vocabulary_size):
    """The lists as `jump-tf prepare` leaves them, each split in two files."""
    folder = tmp_path_factory.mktemp("lists")
    for split, lists in splits.items():
        for shard in range(2):
            path = folder / shard_name(split, shard, 2)
            records.write_lists(str(path), lists[shard::2])
    manifest = {
        "kind": schema.LISTS,
        "fields": list(list_simulator.FIELDS),
        "num_features": vocabulary_size - schema.FIRST_ITEM_ID,
        "splits": {
            split: {
                "lists": len(lists),
                "items": sum(map(len, lists)),
                "clicks": sum(sum(one.clicked) for one in lists),
                "conversions": sum(sum(one.converted) for one in lists),
            }
            for split, lists in splits.items()
        },
    }
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def shown_of(lists, num_fields=3):
    return columns.joined(
        [
            list_predictions.of_batch(*batch, num_fields)
            for batch in batches(lists)
        ],
        "lists",
    )[0]


def flat(lists, name):
    return np.concatenate([getattr(one, name) for one in lists])


class TestColumns:
    def test_come_in_the_order_of_the_files(self, splits):
        lists = splits[schema.TEST]
        shown = shown_of(lists)
        lengths = [len(one) for one in lists]
        np.testing.assert_array_equal(
            shown.lists, np.repeat(np.arange(len(lists)), lengths)
        )
        np.testing.assert_array_equal(shown.clicked, flat(lists, "clicked"))
        np.testing.assert_array_equal(shown.converted, flat(lists, "converted"))
        np.testing.assert_array_equal(shown.features, flat(lists, "features"))
        np.testing.assert_array_equal(shown.length, np.repeat(lengths, lengths))
        assert shown.num_lists == len(lists)

    def test_places_since_the_last_click(self, simulation, splits):
        shown = shown_of(splits[schema.TRAIN])
        expected = list_oracle.shown(simulation).since_click[: len(shown)]
        np.testing.assert_array_equal(shown.since_click, expected)
        assert expected.max() > 3 and (expected == 0).any()

    def test_targets(self, splits):
        shown = shown_of(splits[schema.TEST])
        answers = list_predictions.Answers(
            np.log(np.full(len(shown), 0.5)), np.log(np.full(len(shown), 0.2))
        )
        for name, probability, number in (
            (list_predictions.CTR, 0.5, len(shown)),
            (list_predictions.CVR, 0.2, shown.clicked.sum()),
            (list_predictions.CTCVR, 0.1, len(shown)),
        ):
            target = list_predictions.target(shown, answers, name)
            assert len(target.labels) == number
            np.testing.assert_allclose(
                np.exp(target.log_probabilities), probability
            )
        assert list_predictions.target(
            shown, answers, list_predictions.CVR
        ).labels.sum() == (shown.converted.sum())


class TestPredictor:
    def test_answers_go_with_their_items(self, model, splits):
        shown, answers = list_predictions.Predictor(model)(
            batches(splits[schema.TEST]), ("known",), 3
        )
        table = model.table.numpy()[shown.features].sum(1)
        logits = table[:, 0] - 1.5 + 1.5 * (shown.since_click == 1)
        np.testing.assert_allclose(
            answers["known"].log_click, -np.log1p(np.exp(-logits)), rtol=1e-5
        )
        np.testing.assert_allclose(
            answers["known"].log_conversion,
            -np.log1p(np.exp(1.0 - table[:, 1])),
            rtol=1e-5,
        )

    def test_batches_are_nothing(self, model, splits):
        predictor = list_predictions.Predictor(model)
        one = predictor(batches(splits[schema.TEST], 3))
        other = predictor(batches(splits[schema.TEST], 111))
        np.testing.assert_array_equal(one[0].lists, other[0].lists)
        np.testing.assert_allclose(
            one[1]["known"].log_click, other[1]["known"].log_click
        )

    def test_free_knows_no_click(self, model, splits):
        lists = [
            dataclasses.replace(one, clicked=[1] * len(one))
            for one in splits[schema.TEST]
        ]
        predictor = list_predictions.Predictor(model)
        _, mine = predictor(batches(splits[schema.TEST]), ("free", "known"))
        _, others = predictor(batches(lists), ("free", "known"))
        np.testing.assert_array_equal(
            mine["free"].log_click, others["free"].log_click
        )
        assert np.any(mine["known"].log_click != others["known"].log_click)

    def test_refuses(self, model, splits):
        predictor = list_predictions.Predictor(model)
        with pytest.raises(schema.InputError, match="`feedback` must"):
            predictor(batches(splits[schema.TEST]), ("soft",))
        with pytest.raises(schema.InputError, match="at least one list"):
            predictor([])

    def test_no_number_is_refused(self, vocabulary_size, splits):
        model = FakeModel(vocabulary_size, follows=math.nan)
        with pytest.raises(ValueError, match="`logits` must be numbers"):
            list_predictions.Predictor(model)(batches(splits[schema.TEST]))


class TestBars:
    def test_rates_by_hand(self):
        successes, trials = np.array([3.0, 0, 9, 0]), np.array([5.0, 2, 30, 0])
        rates = list_baselines.smoothed(successes, trials)
        overall = 12.5 / 38
        assert rates[3] == pytest.approx(overall)
        strengths = (rates[:3] * trials[:3] - successes[:3]) / (
            overall - rates[:3]
        )
        np.testing.assert_allclose(strengths, strengths[0])
        assert any(
            strengths[0] == pytest.approx(m) for m in list_baselines.STRENGTHS
        )

    def test_strength_follows_the_spread(self):
        """Equal rates are drawn together; rates far apart are left alone."""
        random = np.random.default_rng(0)
        trials = np.full(200, 40.0)
        alike = list_baselines.smoothed(
            random.binomial(40, 0.3, 200).astype(float), trials
        )
        assert np.std(alike) < 0.01
        spread = random.beta(0.5, 0.5, 200)
        apart = random.binomial(40, spread).astype(float)
        np.testing.assert_allclose(
            list_baselines.smoothed(apart, trials), apart / 40, atol=0.05
        )

    def test_left_out_loss_by_hand(self):
        successes, trials = np.array([2.0, 0.0]), np.array([3.0, 1.0])
        strength, overall = 3.0, 0.4
        expected = 0.0
        for hits, number in zip(successes, trials, strict=True):
            for label in [1] * int(hits) + [0] * int(number - hits):
                rate = (hits - label + strength * overall) / (
                    number - 1 + strength
                )
                expected -= math.log(rate if label else 1 - rate)
        found = list_baselines._left_out_loss(
            successes, trials, strength, overall
        )
        assert found == pytest.approx(expected)

    def test_nothing_is_certain(self):
        rates = list_baselines.smoothed(np.zeros(3), np.array([5.0, 0, 2]))
        assert (rates > 0).all()
        assert (
            list_baselines.smoothed(np.array([5.0]), np.array([5.0])) < 1
        ).all()
        assert list_baselines.smoothed(
            np.zeros(2), np.zeros(2)
        ) == pytest.approx(0.5)

    def test_constant_is_the_rate_of_training(self, fitted, splits):
        train = splits[schema.TRAIN]
        said = fitted(shown_of(splits[schema.TEST]))[list_baselines.CONSTANT]
        clicked, converted = flat(train, "clicked"), flat(train, "converted")
        assert np.ptp(said.log_click) == 0
        rate = (clicked.sum() + 0.5) / (len(clicked) + 1)
        assert math.exp(said.log_click[0]) == pytest.approx(rate, rel=1e-3)
        assert math.exp(said.log_conversion[0]) == pytest.approx(
            (converted.sum() + 0.5) / (clicked.sum() + 1), rel=0.05
        )

    def test_by_position(self, fitted, splits):
        train = shown_of(splits[schema.TRAIN])
        said = fitted(train)[list_baselines.POSITION]
        for place in (1, 4):
            here = train.position == place
            assert np.ptp(said.log_click[here]) == 0
            assert math.exp(said.log_click[here][0]) == pytest.approx(
                train.clicked[here].mean(), abs=0.05
            )

    def test_best_field_is_best_on_validation(self, fitted, splits):
        shown = shown_of(splits[schema.VALIDATION])
        said = fitted(shown)
        for name in (list_predictions.CTR, list_predictions.CVR):
            losses = {
                bar: list_measures.log_loss(
                    *list_predictions.target(shown, answers, name)
                ).value()
                for bar, answers in said.items()
                if bar.startswith(list_baselines.FIELD)
            }
            assert len(losses) == 3
            assert fitted.best[name] == min(losses, key=losses.get)
            best = list_predictions.target(
                shown, said[list_baselines.BEST_FIELD], name
            )
            assert list_measures.log_loss(*best).value() == min(losses.values())

    def test_bags_of_features_have_no_fields(self, splits, vocabulary_size):
        found = list_baselines.fit(
            batches(splits[schema.TRAIN]), [], vocabulary_size
        )
        assert set(found.rates) == {
            list_baselines.CONSTANT,
            list_baselines.POSITION,
            list_baselines.SINCE_CLICK,
        }
        assert list_baselines.BEST_FIELD not in found(
            shown_of(splits[schema.TEST])
        )

    def test_no_validation_is_no_best_field(self, splits, vocabulary_size):
        found = list_baselines.fit(
            batches(splits[schema.TRAIN]),
            [],
            vocabulary_size,
            list_simulator.FIELDS,
        )
        assert found.best == {}


class TestEvaluation:
    def test_numbers_are_those_of_the_metrics(self, model, splits, result):
        shown, answers = list_predictions.Predictor(model)(
            batches(splits[schema.TEST]), ("known", "free")
        )
        for mode, numbers in (("known", result), ("free", result["free"])):
            for name in list_predictions.TARGETS:
                target = list_predictions.target(shown, answers[mode], name)
                auc = list_measures.auc(*target).value()
                assert numbers[f"{name}_auc"] == pytest.approx(auc)
                ranking = list_measures.rank_within(*target)
                gain = list_measures.ndcg_at(ranking, 10).value()
                assert numbers[f"{name}_ndcg_at_10"] == pytest.approx(gain)
                some = numbers[f"{name}_num_lists"]
                assert some == (ranking.positives > 0).sum()
                without = numbers[f"{name}_num_lists_without"]
                assert some + without == (ranking.length > 0).sum()
        assert result["ctr_auc"] != result["free"]["ctr_auc"]

    def test_is_plain_json_with_all_names(self, result):
        again = json.loads(json.dumps(result, allow_nan=False))
        assert again == result
        for name in list_predictions.TARGETS:
            for metric in (
                *list_metrics.HEADLINES,
                "calibration_error",
                "group_auc_unweighted",
                "map",
                "ndcg_at_1",
                "f1",
            ):
                assert result[f"{name}_{metric}"] >= 0
        assert result["kind"] == "lists" and result["feedback"] == "known"

    def test_sizes(self, result, splits):
        test = splits[schema.TEST]
        assert (
            result["num_lists"]
            == len(test)
            == result["ctr_num_lists"] + (result["ctr_num_lists_without"])
        )
        assert result["num_items"] == sum(map(len, test))
        assert result["num_clicks"] == flat(test, "clicked").sum()
        assert result["num_conversions"] == flat(test, "converted").sum()

    def test_constant_bar(self, result):
        constant = result["baselines"][list_baselines.CONSTANT]
        for name in list_predictions.TARGETS:
            assert constant[f"{name}_auc"] == pytest.approx(0.5)
            assert constant[f"{name}_group_auc"] == pytest.approx(0.5)

    def test_intervals_hold_the_numbers(self, result):
        for numbers in (result, result["free"], *result["baselines"].values()):
            for name, (low, high) in numbers["intervals"].items():
                assert (
                    low <= numbers[name] + 1e-9 and numbers[name] <= high + 1e-9
                )

    def test_differences_are_paired(self, result):
        for name, bar in result["baselines"].items():
            assert set(bar["differences"]) == set(bar["intervals"])
            for metric, (low, high) in bar["differences"].items():
                ahead = result[metric] - bar[metric]
                assert low - 0.02 <= ahead <= high + 0.02, (name, metric)
        free = result["free"]["differences"]
        assert list_baselines.SINCE_CLICK not in free and "known" in free
        low, high = free["known"]["ctr_auc"]
        assert low <= result["free"]["ctr_auc"] - result["ctr_auc"] <= high

    def test_a_bar_does_not_differ_from_itself(self, splits, fitted):
        class Constant(FakeModel):
            def __call__(self, inputs, training):
                zeros = tf.zeros_like(inputs["clicked"])
                return {
                    name: zeros + float(np.log(np.exp(log) / -np.expm1(log)))
                    for name, log in (
                        ("click", self.one),
                        ("conversion", self.two),
                    )
                }

        model = Constant(10)
        rates = fitted.rates[list_baselines.CONSTANT]
        model.one, model.two = rates.log_click[0], rates.log_conversion[0]
        found = evaluated.evaluate_list_batches(
            model,
            batches(splits[schema.TEST]),
            fitted,
            num_fields=3,
            replicates=20,
        )
        differences = found["baselines"][list_baselines.CONSTANT]["differences"]
        np.testing.assert_allclose(list(differences.values()), 0, atol=1e-6)

    def test_free_first(self, model, splits, fitted, result):
        found = evaluated.evaluate_list_batches(
            model,
            batches(splits[schema.TEST]),
            fitted,
            num_fields=3,
            feedback=("free",),
            replicates=50,
        )
        assert found["ctr_auc"] == result["free"]["ctr_auc"]
        assert "known" not in found and "free" not in found
        assert found["feedback"] == "free"
        since = found["baselines"][list_baselines.SINCE_CLICK]
        assert "differences" not in since
        assert list_tables.format_table({"split": "test", **found})

    def test_no_conversion_at_all(self, model, splits, fitted):
        """Half of the targets have no number; the file is written."""
        lists = [
            dataclasses.replace(one, converted=[0] * len(one))
            for one in splits[schema.TEST]
        ]
        found = evaluated.evaluate_list_batches(
            model, batches(lists), fitted, num_fields=3, replicates=5
        )
        assert found["cvr_auc"] is None and found["ctcvr_ndcg"] is None
        assert found["ctr_auc"] is not None
        json.dumps(found, allow_nan=False)
        assert list_tables.format_table({"split": "test", **found})

    def test_calibration(self, result):
        for mode in (result, result["free"]):
            bins = mode["calibration"]["ctr"]
            shares, numbers = bins["observed"], bins["num_items"]
            assert np.dot(shares, numbers) == pytest.approx(
                result["num_clicks"]
            )
            for share, (low, high) in zip(
                shares, bins["intervals"], strict=True
            ):
                assert low <= share <= high

    def test_table_and_sentences(self, result):
        result = {"split": "test", **result}
        text = list_tables.format_table(result)
        for name in (
            list_baselines.CONSTANT,
            list_baselines.POSITION,
            "the model, no feedback",
        ):
            assert name in text
        assert f"{result['ctr_auc']:.4f}" in text
        worse = json.loads(json.dumps(result))
        worse["ctr_log_loss"] = 9.0
        sentences = list_tables.losses_to_baselines(worse)
        assert any("ctr_log_loss (9.0000 against" in s for s in sentences)
        better = {**result, "baselines": {}}
        assert list_tables.losses_to_baselines(better) == []
        assert "No baseline beats the model." in list_tables.format_table(
            better
        )

    def test_label_leak_is_said(self, splits, fitted, vocabulary_size):
        model = FakeModel(vocabulary_size, label_leak=True)
        found = evaluated.evaluate_list_batches(
            model,
            batches(splits[schema.TEST]),
            fitted,
            num_fields=3,
            feedback=("known",),
            replicates=5,
        )
        assert found["label_leak"]
        text = list_tables.format_table({"split": "test", **found})
        assert "of no use for prediction" in text


class TestSlices:
    def test_parts_hold_all(self, result):
        for by in result["slices"].values():
            number = sum(part["num_items"] for part in by.values())
            assert number == result["num_items"]
        assert "ctr_ndcg_at_10" not in result["slices"]["position"]["1"]
        assert "ctr_ndcg_at_10" in result["slices"]["list_length"]["2-3"]

    def test_by_position(self, splits, result):
        rates = result["by_position"]
        shown = shown_of(splits[schema.TEST])
        for place in (1, 5):
            here = shown.position == place
            index = rates["position"].index(place)
            observed = rates["ctr"]["observed"][index]
            assert observed == pytest.approx(shown.clicked[here].mean())
            assert rates["ctr"]["num_items"][index] == here.sum()
            clicked = here & shown.clicked
            assert rates["cvr"]["num_items"][index] == clicked.sum()
            low, high = rates["ctr"]["intervals"][index]
            assert low < observed < high

    def test_wilson_by_hand(self):
        """Its ends are the shares from which the observed one is just 1.96
        standard deviations away."""
        low, high = list_slices.wilson(np.array([3.0]), np.array([17.0]))
        for end in (low[0], high[0]):
            away = abs(3 / 17 - end) / math.sqrt(end * (1 - end) / 17)
            assert away == pytest.approx(1.959964, rel=1e-5)


class TestFolder:
    def test_evaluate(self, folder, model, result):
        found = evaluated.evaluate_lists(model, folder, replicates=50)
        assert found.pop("split") == schema.TEST
        # Floats of another batch's shape differ in the last digit.
        for name in ("num_lists", "num_items", "num_clicks", "best_field"):
            assert found[name] == result[name]
        for name in ("ctr_auc", "cvr_log_loss", "ctcvr_map_at_10"):
            assert found[name] == pytest.approx(result[name], rel=1e-5)

    def test_long_lists_keep_their_last_items(self, folder, vocabulary_size):
        model = FakeModel(vocabulary_size)
        model.config.max_list_length = 4
        found = evaluated.evaluate_lists(
            model, folder, feedback=("known",), replicates=5
        )
        assert found["num_lists"] == SIZES[schema.TEST]
        assert found["by_position"]["position"] == [1, 2, 3, 4]

    def test_validation(self, folder, model):
        validation = list_evaluation.Validation(model, folder)
        numbers = validation()
        assert numbers == validation()
        assert isinstance(validation.shown, Shown)
        found = evaluated.evaluate_lists(
            model, folder, schema.VALIDATION, feedback=("known",), replicates=5
        )
        assert set(numbers) >= {"ctr_auc", "ctcvr_auc", "ctr_log_loss"}
        for name, value in numbers.items():
            assert value == pytest.approx(found[name]), name

    def test_writes(self, tmp_path, result):
        path = list_evaluation.write_evaluation(
            tmp_path / "run", {"split": "test", **result}
        )
        assert path == tmp_path / "run" / "evaluation" / "test.json"
        assert json.loads(path.read_text()) == {"split": "test", **result}
        assert not list(tmp_path.rglob("*.partial"))

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"kind": schema.SESSIONS}, "must hold lists"),
            ({"num_features": 999}, "trained on the vocabulary"),
            (
                {"splits": {key: {"lists": 251} for key in schema.SPLITS}},
                "must be whole",
            ),
        ],
    )
    def test_refuses(self, folder, model, tmp_path, change, words):
        for path in folder.iterdir():
            (tmp_path / path.name).symlink_to(path)
        manifest = json.loads((folder / schema.MANIFEST_FILE).read_text())
        (tmp_path / schema.MANIFEST_FILE).unlink()
        (tmp_path / schema.MANIFEST_FILE).write_text(
            json.dumps(manifest | change)
        )
        with pytest.raises(schema.InputError, match=words):
            evaluated.evaluate_lists(model, tmp_path, replicates=5)
