"""Whether the predicted law of the dwell is right: of the whole, not by click.

All is over clicks, from the second of a session on, that were followed by
another; dwells that lasted c1 are cut there, as was known before they began. A
last click's dwell is cut by what the visitor did, and has no place here.

    dwell_median_absolute_error_seconds  of the dwells within c1
    dwell_pinball_at    seconds, of predicted quantiles cut at c1
    dwell_brier_at      of "stays longer than so many seconds"
    dwell_coverage_at   share of dwells in central intervals of so many percent
    dwell_concordance   share of pairs of dwells whose medians are in order
    dwell_calibration_error  of ten bins of F(dwell), the largest departure of a
                        share from a tenth (D-calibration)
    dwell_kaplan_meier_error  the largest departure of the mean predicted
                        survival from the Kaplan-Meier estimate, over moments;
                        with nothing cut but at c1, that is the share observed
    dwell_calibration   the curves themselves
"""

import operator

import numpy as np

from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.metrics import concordance
from jump_tf.metrics import dwell as dwell_metrics
from jump_tf.survival.distribution import Distribution

PINBALL_LEVELS = (0.1, 0.5, 0.9)
BRIER_SECONDS = (10, 30, 60, 120, 300, 600)
COVERAGE_SHARES = (0.5, 0.8, 0.95)
CURVE_SECONDS = (2, 5, 10, 20, 30, 60, 120, 240, 480, 960, 1500)


def dwell_details(
    clicks: Clicks, law: Distribution, max_dwell_seconds: float
) -> dict[str, object]:
    """See above; NaN of no dwell.

    Args:
        clicks: all of a split.
        law: of their dwells.
        max_dwell_seconds: c1.
    """
    among = ~clicks.last & clicks.predicted
    seconds, censored = clicks.dwell_seconds[among], clicks.censored[among]
    law = law.map(operator.itemgetter(among))
    transforms = dwell_metrics.probability_transform(law, seconds)
    histogram = dwell_metrics.transform_histogram(transforms, censored)
    error = dwell_metrics.absolute_error(law, seconds)[~censored]
    curves = _survival_curves(law, seconds, censored, max_dwell_seconds)
    return {
        "dwell_median_absolute_error_seconds": _mean(np.median, error),
        "dwell_pinball_at": {
            str(level): _mean(
                np.mean,
                dwell_metrics.pinball(law, seconds, level, max_dwell_seconds),
            )
            for level in PINBALL_LEVELS
        },
        "dwell_brier_at": {
            str(at): _mean(np.mean, dwell_metrics.brier(law, seconds, at))
            for at in BRIER_SECONDS
            if at < max_dwell_seconds
        },
        "dwell_coverage_at": {
            f"{share:.0%}".rstrip("%"): _mean(
                np.mean, dwell_metrics.coverage(transforms, censored, share)
            )
            for share in COVERAGE_SHARES
        },
        "dwell_concordance": concordance.concordance(
            np.asarray(law.median()), seconds, censored
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


def _survival_curves(law, seconds, censored, max_dwell_seconds):
    moments = [at for at in CURVE_SECONDS if at < max_dwell_seconds]
    predicted = [
        _mean(np.mean, np.exp(np.asarray(law.log_survival(np.float64(at)))))
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
