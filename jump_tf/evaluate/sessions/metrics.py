"""From clicks and answers to named measures: what is averaged over which.

Clicks are ranked from the second of a session on, those on items that training
never saw left out; under names with `_all` those are misses. Under names with
`_without_repeats` clicks on the item of the click before are left out. An item
ranks below its equals, under names with `_standard_ties` above them.

Dwell errors are over clicks, from the second on, that were followed by another
within c1; scores of the distribution count those cut at c1 too. Names with
`_all_clicks` are over the first clicks as well, of which nothing is known but
the item; with `_last_clicks` over those that end a session, of which it is
known that they lasted c2:

    recall_at_20, mrr_at_20, ndcg_at_20  share, mean 1 / rank, mean gain
    coverage_at_20      share of the catalogue in any of `num_lists` lists
    popularity_at_20    mean clicks in training of what is listed, as a share
                        of the most popular item's; `_clicks` counts them
    gini_at_20          how unevenly items are listed: 0 equally, 1 one alone
    dwell_mae_seconds   between a dwell and the median of those within c1
    dwell_log_mae       between their logs
    dwell_nll           minus log density per second, or log survival
    dwell_crps_seconds  integral of the squared error of the cdf, up to c1
    dwell_integrated_brier  the same over c1: the mean Brier score over time
    ..._skill           1 - the model's over that of the constant median
    session_end_log_loss

What `dwell_details` holds is of the whole, and no mean of clicks: whether the
predicted distribution is right, and how far off it is by quantile or moment.
It is over clicks, from the second of a session on, that were followed by
another; dwells that lasted c1 are cut there, as was known before they began. A
last click's dwell is cut by what the visitor did, and has no place here.

    dwell_median_absolute_error_seconds  of the dwells within c1
    dwell_pinball_at    seconds, of predicted quantiles cut at c1
    dwell_brier_at      of "stays longer than so many seconds"
    dwell_coverage_at   share of dwells in central intervals of so many percent
    dwell_coverage_by_session_length
                        the same within sessions of some lengths
    dwell_concordance   share of pairs of dwells whose medians are in order
    dwell_calibration_error  of ten bins of F(dwell), the largest departure of a
                        share from a tenth (D-calibration)
    dwell_kaplan_meier_error  the largest departure of the mean predicted
                        survival from the Kaplan-Meier estimate, over moments;
                        with nothing cut but at c1, that is the share observed
    dwell_calibration   the curves themselves
"""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.evaluate import comparison
from jump_tf.evaluate.comparison import Judged
from jump_tf.evaluate.sessions.predictions import LISTED
from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.evaluate.sessions.predictions import LoggedClicks
from jump_tf.metrics import dwell as dwell_metrics
from jump_tf.metrics import ranking
from jump_tf.metrics.bootstrap import Measure
from jump_tf.survival.distribution import Distribution

Measures = dict[str, Measure]

UNSEEN_MISSED = "_all"
WITHOUT_REPEATS = "_without_repeats"
STANDARD_TIES = "_standard_ties"
# What is left of the clicks, by what the names of the metrics end in.
AMONG = ("", UNSEEN_MISSED, WITHOUT_REPEATS, UNSEEN_MISSED + WITHOUT_REPEATS)
ALL_CLICKS = "_all_clicks"
PINBALL_LEVELS = (0.1, 0.5, 0.9)
BRIER_SECONDS = (10, 30, 60, 120, 300, 600)
COVERAGE_SHARES = (0.5, 0.8, 0.95)
CURVE_SECONDS = (2, 5, 10, 20, 30, 60, 120, 240, 480, 960, 1500)
# Names of what a mean is over, and measures any of which is over just that.
_COUNTED = {
    **{f"num_predictions{among}": (f"recall_at_20{among}",) for among in AMONG},
    "num_dwells": ("dwell_mae_seconds", "dwell_mae_constant_median_seconds"),
    "num_dwells_all_clicks": (
        "dwell_mae_all_clicks_seconds",
        "dwell_mae_constant_median_all_clicks_seconds",
    ),
}
_SKILLS = {
    "dwell_mae_skill": "dwell_mae_seconds",
    "dwell_nll_skill": "dwell_nll",
    "dwell_crps_skill": "dwell_crps_seconds",
}
AT_20 = {
    "recall_at_20": ranking.recall,
    "mrr_at_20": ranking.reciprocal_rank,
    "ndcg_at_20": ranking.discounted_gain,
}


def click_measures(
    clicks: LoggedClicks, ranks: np.ndarray, suffix: str = ""
) -> Measures:
    """Recall, MRR and NDCG at 20 `AMONG` all there is to predict.

    Args:
        clicks: all of a split.
        ranks: `[N]`, `ranking.MISS` where there is none.
        suffix: of all names.
    """
    ranked = clicks.predicted & clicks.known
    moves = ~clicks.repeats_last
    counted = {
        "": ranked,
        UNSEEN_MISSED: clicks.predicted,
        WITHOUT_REPEATS: ranked & moves,
        UNSEEN_MISSED + WITHOUT_REPEATS: clicks.predicted & moves,
    }
    measures = {}
    for name, metric in AT_20.items():
        values = np.where(ranked, metric(ranks), 0.0)
        for among in AMONG:
            measure = Measure(values, counted[among])
            measures[f"{name}{among}{suffix}"] = measure
    return measures


def quick_dwell_measures(
    clicks: Clicks, dwell: Distribution, max_dwell_seconds: float
) -> Measures:
    """Absolute error and log score of the dwell."""
    among = ~clicks.last & clicks.predicted
    error = dwell_metrics.absolute_error(
        dwell, clicks.dwell_seconds, max_dwell_seconds
    )
    log_score = dwell_metrics.negative_log_likelihood(
        dwell, clicks.dwell_seconds, clicks.censored
    )
    return {
        "dwell_mae_seconds": Measure(error, among & ~clicks.censored),
        "dwell_nll": Measure(log_score, among),
    }


def dwell_measures(table: Any, *, first_too: bool = False) -> Measures:
    """Errors and scores of the dwell, of a `PredictionTable` that has them.

    One of medians alone has no scores of the distribution.
    """
    among = ~table.last & (table.predicted | first_too)
    ended = among & ~table.censored
    median = table.dwell_median_below_c1_seconds.astype(np.float64)
    seconds = table.dwell_seconds.astype(np.float64)
    infix = ALL_CLICKS if first_too else ""
    error = np.abs(median - seconds)
    log_error = dwell_metrics.log_absolute_error(median, seconds)
    errors = {
        f"dwell_mae{infix}_seconds": Measure(error, ended),
        f"dwell_log_mae{infix}": Measure(log_error, ended),
    }
    if table.dwell_nll is None:
        return errors
    log_score = table.dwell_nll.astype(np.float64)
    ranked = table.dwell_crps_seconds.astype(np.float64)
    return errors | {
        f"dwell_nll{infix}": Measure(log_score, among),
        f"dwell_crps{infix}_seconds": Measure(ranked, among),
    }


def last_dwell_measures(table: Any) -> Measures:
    """Log score of the last dwells, which lasted c2 or more."""
    log_score = table.dwell_nll.astype(np.float64)
    among = table.last & table.predicted
    return {"dwell_nll_last_clicks": Measure(log_score, among)}


def session_end_measures(
    clicks: Clicks, logits: np.ndarray, base_rate: float
) -> Measures:
    """Log loss of the session's end, and that of the training share alone.

    Where the log ended, nobody knows whether the session did.
    """
    among = clicks.predicted & ~clicks.session_cut
    rate = np.clip(base_rate, 1e-6, 1.0 - 1e-6)
    constant = np.where(clicks.last, -np.log(rate), -np.log1p(-rate))
    loss = np.logaddexp(0.0, np.where(clicks.last, -logits, logits))
    return {
        "session_end_log_loss": Measure(loss, among),
        "session_end_log_loss_constant": Measure(constant, among),
    }


def means(measures: Measures) -> dict[str, Any]:
    """The metric of each measure, and over how many clicks they are."""
    sizes = {
        name: int(measures[of].counted.sum())
        for name, either in _COUNTED.items()
        for of in either[::-1]
        if of in measures
    }
    return {name: measure.mean() for name, measure in measures.items()} | sizes


def judge(
    named: Mapping[Any, Measures],
    sessions: np.ndarray,
    replicates: int,
    seed: int = 0,
) -> dict[Any, Judged]:
    """Judges predictors together, over the same draws of sessions.

    Args:
        named: the measures of each.
        sessions: `[N]`, index of each click's session, from 0.
        replicates: how many draws.
        seed: of the draws.
    """
    metrics = {
        who: {name: one.over(sessions) for name, one in measures.items()}
        for who, measures in named.items()
    }
    numbers = {who: means(measures) for who, measures in named.items()}
    return comparison.judge(numbers, metrics, replicates, seed)


def recommended(
    listed: np.ndarray, training_counts: np.ndarray
) -> dict[str, float]:
    """What lists of 20 hold, over the catalogue.

    Args:
        listed: `[V]` how many lists hold each id, see `predictions.Answers`.
        training_counts: `[V]` clicks of each id in training.

    Reference: Ludewig & Jannach, UMUAI 28, 2018, for the measures.
    """
    listed = listed[schema.FIRST_ITEM_ID :]
    counts = training_counts[schema.FIRST_ITEM_ID :]
    total = listed.sum()
    if not total:
        return {}
    clicks = float(listed @ counts / total)
    ascending = np.sort(listed)
    ranks = np.arange(1, len(listed) + 1)
    gini = (2.0 * (ranks @ ascending) / total - len(listed) - 1) / len(listed)
    return {
        "num_lists": round(total / min(LISTED, len(listed))),
        "coverage_at_20": float(np.mean(listed > 0)),
        "popularity_at_20": clicks / float(max(counts.max(), 1)),
        "popularity_at_20_clicks": clicks,
        "gini_at_20": float(gini),
    }


def skills(
    mine: Measures, constant: Measures, max_dwell_seconds: float
) -> dict[str, float]:
    """What is derived from means: skill, and the integrated Brier score."""
    if "dwell_crps_seconds" not in mine:
        return {}
    scores = {
        name: 1.0 - mine[of].mean() / (constant[of].mean() or np.nan)
        for name, of in _SKILLS.items()
    }
    brier = mine["dwell_crps_seconds"].mean() / max_dwell_seconds
    return {**scores, "dwell_integrated_brier": brier}


def unseen(clicks: LoggedClicks) -> dict[str, float]:
    """How many clicks to predict are on items that training never saw."""
    never = clicks.predicted & ~clicks.known
    share = Measure(never.astype(np.float64), clicks.predicted).mean()
    return {"num_clicks": int(never.sum()), "share": share}


def dwell_details(
    clicks: Clicks,
    dwell: Distribution,
    max_dwell_seconds: float,
    lengths: Mapping[str, np.ndarray] | None = None,
) -> dict[str, object]:
    """Whether the predicted distribution is right; NaN of no dwell.

    Args:
        clicks: all of a split.
        dwell: distribution of their dwells.
        max_dwell_seconds: c1.
        lengths: `[N]` bool masks of the clicks in sessions of some lengths,
            by what they are called.
    """
    among = ~clicks.last & clicks.predicted
    seconds, censored = clicks.dwell_seconds[among], clicks.censored[among]
    dwell = dwell.map(operator.itemgetter(among))
    transforms = dwell_metrics.probability_transform(dwell, seconds)
    histogram = dwell_metrics.transform_histogram(transforms, censored)
    error = dwell_metrics.absolute_error(dwell, seconds, max_dwell_seconds)
    error = error[~censored]
    curves = _survival_curves(dwell, seconds, censored, max_dwell_seconds)
    return {
        "dwell_median_absolute_error_seconds": _mean(np.median, error),
        "dwell_pinball_at": {
            str(level): _mean(
                np.mean,
                dwell_metrics.pinball(dwell, seconds, level, max_dwell_seconds),
            )
            for level in PINBALL_LEVELS
        },
        "dwell_brier_at": {
            str(at): _mean(np.mean, dwell_metrics.brier(dwell, seconds, at))
            for at in BRIER_SECONDS
            if at < max_dwell_seconds
        },
        "dwell_coverage_at": _coverage(transforms, censored),
        "dwell_coverage_by_session_length": {
            name: _coverage(transforms[of[among]], censored[of[among]])
            for name, of in (lengths or {}).items()
        },
        "dwell_concordance": dwell_metrics.concordance(
            np.asarray(dwell.median()), seconds, censored
        ),
        "dwell_calibration_error": dwell_metrics.calibration_error(histogram),
        "dwell_kaplan_meier_error": float(
            np.max(
                np.abs(
                    np.subtract(
                        curves["predicted_survival"],
                        curves["observed_survival"],
                    )
                ),
                initial=0.0,
            )
        ),
        "dwell_calibration": {
            "transform_histogram": dwell_metrics.transform_histogram(
                transforms, censored, 20
            ).tolist(),
            **curves,
        },
    }


def _coverage(transforms, censored):
    return {
        f"{share:.0%}".rstrip("%"): _mean(
            np.mean, dwell_metrics.coverage(transforms, censored, share)
        )
        for share in COVERAGE_SHARES
    }


def _survival_curves(dwell, seconds, censored, max_dwell_seconds):
    moments = [at for at in CURVE_SECONDS if at < max_dwell_seconds]
    predicted = [
        _mean(np.mean, np.exp(np.asarray(dwell.log_survival(np.float64(at)))))
        for at in moments
    ]
    observed = dwell_metrics.kaplan_meier(seconds, censored, np.array(moments))
    return {
        "seconds": moments,
        "predicted_survival": predicted,
        "observed_survival": observed.tolist(),
    }


def _mean(statistic, values) -> float:
    return float(statistic(values)) if len(values) else float("nan")
