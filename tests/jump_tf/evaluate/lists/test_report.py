import json

import pytest

from jump_tf import schema
from jump_tf.evaluate.lists import baselines as list_baselines
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import figures as list_figures
from jump_tf.evaluate.lists import report as list_report
from jump_tf.experiments import list_simulator
from jump_tf.experiments.list_simulator import ListSimulatorConfig
from tests import evaluated
from tests import simulated_lists
from tests.jump_tf.evaluate.sessions.test_figures import size_and_colours
from tests.jump_tf.evaluate.sessions.test_report import Page
from tests.list_batches import FakeModel
from tests.list_batches import batches

pytest.importorskip("matplotlib")


def evaluate(fields, **options):
    config = ListSimulatorConfig(num_lists=400, num_items=11, mean_length=5.0)
    lists, vocabulary = simulated_lists.to_lists(
        list_simulator.simulate(config)
    )
    size = schema.FIRST_ITEM_ID + len(vocabulary)
    fitted = list_baselines.fit(
        batches(lists[:200], 50), batches(lists[200:250], 50), size, fields
    )
    found = evaluated.evaluate_list_batches(
        FakeModel(size, **options),
        batches(lists[250:], 50),
        fitted,
        num_fields=len(fields),
        replicates=20,
    )
    return {"split": schema.TEST, **found}


@pytest.fixture(scope="module")
def result():
    return evaluate(list_simulator.FIELDS)


@pytest.fixture
def run(tmp_path, result):
    run = tmp_path / "a <b> run"
    list_evaluation.write_evaluation(run, result)
    return run


def test_needs_an_evaluation(tmp_path):
    with pytest.raises(schema.InputError, match="jump-tf evaluate --run"):
        list_report.write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_says_what_is_missing(run):
    page = Page(list_report.write_report(run))
    for name in (
        "config.yaml",
        "data.json",
        "environment.json",
        "metrics.jsonl",
    ):
        assert f"The run has no {name}." in page.text
    assert page.images == [
        "AUC against baselines, test",
        "log loss against baselines, test",
        "calibration, test",
        "rates by position, test",
    ]


def test_whole_run(run, result):
    (run / "config.yaml").write_text("model: {name: <script>}\n")
    (run / "data.json").write_text('{"folder": "here"}')
    rows = [
        {"epoch": n, "loss": 1 / n, "val_ctcvr_auc": 0.5 + n / 10}
        for n in (1, 2)
    ]
    history = "".join(json.dumps(row) + "\n" for row in rows)
    (run / "metrics.jsonl").write_text(history)
    list_evaluation.write_evaluation(
        run, {**result, "split": schema.VALIDATION}
    )
    path = list_report.write_report(run)
    assert path == run / "report.html"
    page = Page(path)
    assert page.outside == []
    assert "training curves" in page.images
    # The test split comes first.
    assert page.images.index("calibration, test") < page.images.index(
        "calibration, validation"
    )
    assert "a <b> run" in page.text and "model: {name: <script>}" in page.text
    for name in ("ctr_auc", "cvr_log_loss", "ctcvr_ndcg_at_5", "ctr_f1"):
        assert f"{result[name]:.4f}" in page.text
    for name in ("field:category", "best_field (", "no feedback known"):
        assert name in page.text
    assert not list(run.glob("*.partial"))


def test_bars_that_win_are_said(run):
    assert (
        "The model loses to best_field in"
        in Page(list_report.write_report(run)).text
    )


def test_bags_of_features_and_a_leak(run):
    list_evaluation.write_evaluation(run, evaluate((), label_leak=True))
    page = Page(list_report.write_report(run))
    assert "of no use for prediction" in page.text
    assert "best_field (" not in page.text


def test_what_no_item_tells_is_a_dash(run, result):
    """As without conversions: None in the file."""
    nothing = json.loads(json.dumps(result))
    for numbers in (nothing, *nothing["baselines"].values()):
        for name in list(numbers):
            if name.startswith("cvr_"):
                numbers[name] = None
            for ends in ("intervals", "differences"):
                if name == ends:
                    numbers[ends] = {
                        metric: [None, None] if "cvr" in metric else pair
                        for metric, pair in numbers[ends].items()
                    }
    empty = {"predicted": [], "observed": [], "intervals": [], "num_items": []}
    nothing["calibration"]["cvr"] = empty
    list_evaluation.write_evaluation(run, nothing)
    assert Page(list_report.write_report(run)).text.count("-") > 5


def test_figures_have_a_panel_for_each_target(result):
    for png in (
        list_figures.margins(result, "auc"),
        list_figures.calibration(result),
        list_figures.by_position(result, {"free": result["free"]}),
    ):
        width, height, colours = size_and_colours(png)
        assert width == pytest.approx(3 * 408, abs=3)
        assert height > 200 and colours > 10
