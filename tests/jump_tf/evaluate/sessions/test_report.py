import html.parser
import json

import pytest

from jump_tf import schema
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.evaluate.sessions import report as session_report
from jump_tf.evaluate.sessions import tables as session_tables
from jump_tf.models.gru4rec import GRU4Rec
from tests import evaluated

pytest.importorskip("matplotlib")


class Page(html.parser.HTMLParser):
    """Checks that tags close, and gathers text, images and links out."""

    EMPTY = ("meta", "img", "br")

    def __init__(self, path):
        super().__init__()
        self.open, self.images, self.outside, self.text = [], [], [], ""
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "img":
            self.images.append(attrs["alt"])
        for name in ("src", "href"):
            if not attrs.get(name, "data:").startswith("data:"):
                self.outside.append(attrs[name])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def result(jump):
    return jump.results[schema.PAGE_LEAVE]


@pytest.fixture
def run(tmp_path, result):
    run = tmp_path / "a <b> run"
    session_evaluation.write_evaluation(run, result)
    return run


def test_needs_an_evaluation(tmp_path):
    with pytest.raises(schema.InputError, match="jump-tf evaluate --run"):
        session_report.write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_says_what_is_missing(run):
    page = Page(session_report.write_report(run))
    for name in ("config.yaml", "data.json", "environment.json"):
        assert f"The run has no {name}." in page.text
    assert "The run has no metrics.jsonl." in page.text
    assert page.images == ["dwell calibration", "attention weights"]


def test_whole_run(run, result):
    (run / "config.yaml").write_text("model: {name: <script>}\n")
    (run / "data.json").write_text('{"folder": "here"}')
    rows = [{"epoch": n, "loss": 1 / n} for n in (1, 2)]
    history = "".join(json.dumps(row) + "\n" for row in rows)
    (run / "metrics.jsonl").write_text(history)
    session_evaluation.write_evaluation(
        run, {**result, "moment": schema.PAGE_LOAD}
    )
    path = session_report.write_report(run)
    assert path == run / "report.html"
    page = Page(path)
    assert page.outside == []
    assert page.images.count("dwell calibration") == 2
    assert "training curves" in page.images
    assert "test, page_load" in page.text and "a <b> run" in page.text
    assert "model: {name: <script>}" in page.text
    assert f"{result['recall_at_20']:.4f}" in page.text
    assert not list(run.glob("*.partial"))


def test_both_moments_are_in_one_table(run, result):
    load = {**result, "moment": schema.PAGE_LOAD}
    session_evaluation.write_evaluation(run, load)
    page = Page(session_report.write_report(run))
    assert page.text.count("test, page_leave and page_load") == 1
    for moment in schema.MOMENTS:
        assert page.text.count(f"the model, {moment}") == len(
            session_tables.TABLES
        )
    assert "further numberspage_leavepage_load" in page.text
    for sentence in session_tables.losses_of([result, load]):
        assert sentence in page.text


def test_lost_baselines_are_said(run, result):
    lost = session_tables.losses_to_baselines(result)
    assert lost
    page = Page(session_report.write_report(run))
    for sentence in lost:
        assert sentence in page.text


def test_baselines_that_are_left_out_are_said(run, result):
    assert "gradient_boosting" in Page(session_report.write_report(run)).text
    without = {**result, "left_out": {"gradient_boosting": "It rained."}}
    session_evaluation.write_evaluation(run, without)
    page = Page(session_report.write_report(run))
    assert page.text.count("Without gradient_boosting. It rained.") == 1


def test_no_learned_dwell_is_a_sentence(run, data_folder):
    model = GRU4Rec(25, units=4)
    model.build()
    result = evaluated.evaluate(model, data_folder, replicates=5)
    session_evaluation.write_evaluation(
        run, {**result, "split": schema.VALIDATION}
    )
    page = Page(session_report.write_report(run))
    assert "The model learns no dwell." in page.text
    assert page.images.count("dwell calibration") == 1


def test_new_numbers_are_shown(run, result):
    page = Page(session_report.write_report(run))
    assert f"coverage_at_20{result['coverage_at_20']:.4f}" in page.text
    for name in ("dwell_concordance", "dwell_kaplan_meier_error"):
        assert f"{name}{result[name]:.4f}" in page.text
    assert "dwell_decile" in page.text
    assert "It was not judged day by day (--rolling)." in page.text
    # Other rules of ranking have a table of their own.
    for label, suffix in (
        ("ties won", "_standard_ties"),
        ("unseen items are misses", "_all"),
        ("repeats of the last item left out", "_without_repeats"),
    ):
        numbers = [
            f"{result[f'{metric}{suffix}']:.4f}"
            for metric in ("recall_at_20", "mrr_at_20", "ndcg_at_20")
        ]
        among = suffix.removesuffix("_standard_ties")
        size = result[f"num_predictions{among}"]
        assert "".join([label, str(size), *numbers]) in page.text
        assert f"recall_at_20{suffix}0" not in page.text


def test_days_are_shown_where_there_are_some(run, result):
    numbers = {"recall_at_20": 0.25, "mrr_at_20": 0.125}
    sizes = {"num_predictions": 7, "num_predictions_all": 9}
    mean = {"model": numbers, "markov": numbers}
    rolling = {
        "days": {"2016-05-25 00:19": {**mean, "model": numbers | sizes}},
        "mean": mean,
        "mean_fitted_once": {"markov": numbers},
    }
    session_evaluation.write_evaluation(run, {**result, "rolling": rolling})
    page = Page(session_report.write_report(run))
    header = "mrr_at_20num_predictionsnum_predictions_allmodelmarkov"
    assert f"{header}2016-05-25 00:19790.12500.1250" in page.text
    assert "mean of the days--0.25000.2500" in page.text
    assert "the same, fitted once---0.2500" in page.text


def test_what_is_no_evaluation_is_left_out(run, result):
    """Such as the comparisons that `jump-tf reproduce` puts beside them."""
    (run / "evaluation" / "test.page_leave.against-x.json").write_text("{}")
    assert Page(session_report.write_report(run)).text


def test_no_dwell_is_a_sentence(run, result):
    nothing = {**result, "num_dwells": 0, "split": schema.VALIDATION}
    session_evaluation.write_evaluation(run, nothing)
    page = Page(session_report.write_report(run))
    assert "The split has no dwell to judge by." in page.text
