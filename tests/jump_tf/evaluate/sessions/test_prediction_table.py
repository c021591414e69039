import dataclasses

import numpy as np
import pytest
import scipy.stats

from jump_tf import schema
from jump_tf.evaluate.sessions import baselines as session_baselines
from jump_tf.evaluate.sessions import dwell_boosting
from jump_tf.evaluate.sessions import metrics as session_metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions as session_predictions
from jump_tf.metrics import ranking as metrics_ranking
from jump_tf.survival.distribution import LogNormal

VOCABULARY = 25


@pytest.fixture(scope="module")
def clicks(data_folder):
    return session_predictions.read_clicks(data_folder, schema.TEST)


@pytest.fixture(scope="module")
def ranks(clicks):
    random = np.random.default_rng(0)
    ranks = random.integers(1, 40, len(clicks))
    return np.where(
        clicks.predicted & clicks.known, ranks, metrics_ranking.MISS
    )


@pytest.fixture(scope="module")
def parametric(clicks):
    random = np.random.default_rng(1)
    location = random.normal(4.0, 1.0, len(clicks))
    return LogNormal(location, np.full(len(clicks), 1.4))


@pytest.fixture(scope="module")
def whole(clicks, ranks, parametric):
    return prediction_table.of(
        clicks, rank=ranks, rank_standard=ranks, dwell=parametric
    )


def test_file_reads_back(tmp_path, whole):
    path = prediction_table.write(tmp_path / "a.clicks.npz", whole)
    assert [p.name for p in tmp_path.iterdir()] == ["a.clicks.npz"]
    again = prediction_table.read(path)
    for field in dataclasses.fields(whole):
        column, read = getattr(whole, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(column, read)
        assert read.dtype == prediction_table.COLUMNS[field.name]


def test_columns_that_are_not_there_stay_away(
    tmp_path, clicks, ranks, parametric
):
    ranking = prediction_table.of(clicks, rank=ranks)
    timing = prediction_table.of(clicks, dwell=parametric)
    for table in (ranking, timing):
        path = prediction_table.write(tmp_path / "some.npz", table)
        again = prediction_table.read(path)
        names = set(prediction_table.measures(again))
        assert names == set(prediction_table.measures(table))
    ranked = set(prediction_table.measures(ranking))
    timed = set(prediction_table.measures(timing))
    assert "recall_at_20" in ranked and "dwell_nll" in timed
    assert not ranked & timed
    assert not any(name.endswith("standard_ties") for name in ranked)


def test_medians_alone_have_errors_and_no_scores(tmp_path, clicks, parametric):
    median = np.asarray(parametric.median_below(schema.MAX_DWELL_SECONDS))
    table = prediction_table.of(clicks, dwell_median_below_c1_seconds=median)
    path = prediction_table.write(tmp_path / "median.npz", table)
    found = prediction_table.measures(prediction_table.read(path))
    whole = prediction_table.measures(
        prediction_table.of(clicks, dwell=parametric)
    )
    assert set(found) == {
        "dwell_mae_seconds",
        "dwell_log_mae",
        "dwell_mae_all_clicks_seconds",
        "dwell_log_mae_all_clicks",
    }
    for name, measure in found.items():
        assert measure.mean() == whole[name].mean()


def test_measures_are_those_of_the_metrics(whole, clicks, ranks, parametric):
    found = prediction_table.measures(whole)
    expected = {
        **session_metrics.click_measures(clicks, ranks),
        **session_metrics.quick_dwell_measures(
            clicks, parametric, schema.MAX_DWELL_SECONDS
        ),
    }
    for name, measure in expected.items():
        assert found[name].mean() == pytest.approx(measure.mean(), rel=1e-5)


def test_measures_by_hand(whole, clicks, parametric):
    found = {n: m.mean() for n, m in prediction_table.measures(whole).items()}
    later = clicks.predicted & clicks.followed
    law = scipy.stats.lognorm(1.4, scale=np.exp(parametric.location))
    median = law.ppf(0.5 * law.cdf(schema.MAX_DWELL_SECONDS))
    error = np.abs(median - clicks.dwell_seconds)
    assert found["dwell_mae_seconds"] == pytest.approx(
        error[later].mean(), rel=1e-5
    )
    all_clicks = error[clicks.followed].mean()
    assert found["dwell_mae_all_clicks_seconds"] == pytest.approx(
        all_clicks, rel=1e-5
    )
    factor = np.log(median / np.maximum(clicks.dwell_seconds, 1))[later]
    assert found["dwell_log_mae"] == pytest.approx(np.abs(factor).mean())
    last = clicks.last & clicks.predicted
    z = (
        np.log(schema.LAST_DWELL_SECONDS) - parametric.location
    ) / parametric.scale
    staying = -scipy.stats.norm.logsf(z)
    assert found["dwell_nll_last_clicks"] == pytest.approx(
        staying[last].mean(), rel=1e-4
    )


def test_nothing_is_ranked_at_a_first_click(clicks):
    every = np.ones(len(clicks), int)
    table = prediction_table.of(clicks, rank=every)
    ranked = table.rank != prediction_table.NOT_RANKED
    np.testing.assert_array_equal(ranked, clicks.predicted & clicks.known)


def test_baselines_are_tables_too(data_folder, clicks):
    fitted = session_baselines.fit(data_folder, VOCABULARY)
    named = session_baselines.measures(fitted, clicks, schema.MAX_DWELL_SECONDS)
    tables = session_baselines.prediction_tables(fitted.scorers, clicks)
    known = session_baselines._asked(clicks, fitted.moment)
    for (name, first_too), baseline in fitted.dwell.items():
        law = baseline.dwell_distribution(known)
        # What learns from ended dwells alone knows of no others.
        median = np.asarray(law.median()) if baseline.of_ended else None
        if not first_too:
            tables[name] = prediction_table.of(
                clicks, dwell=law, dwell_median_below_c1_seconds=median
            )
    median = fitted.booster.median_seconds(
        dwell_boosting.past(clicks), clicks.item
    )
    tables[session_baselines.GRADIENT_BOOSTING] = prediction_table.of(
        clicks, dwell_median_below_c1_seconds=median
    )
    assert set(tables) == set(named)
    for name, table in tables.items():
        for metric, measure in prediction_table.measures(table).items():
            if "all_clicks" not in metric:
                expected = named[name][metric].mean()
                assert measure.mean() == pytest.approx(expected)


def test_other_files_are_refused(tmp_path):
    text, lacking = tmp_path / "text.npz", tmp_path / "lacking.npz"
    text.write_text("no archive")
    np.savez(lacking, session=np.arange(3))
    extra = tmp_path / "extra.npz"
    np.savez(extra, **{"session": np.arange(3), "mystery": np.arange(3)})
    for path in (text, lacking, extra, tmp_path / "none.npz"):
        with pytest.raises(
            schema.InputError, match="must be a prediction table"
        ):
            prediction_table.read(path)
