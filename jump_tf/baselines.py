"""The baselines of a data folder, fitted and measured together."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jump_tf import metrics
from jump_tf import predictions
from jump_tf import schema
from jump_tf import scorecard
from jump_tf.models import counts
from jump_tf.models import neighbours
from jump_tf.models import rules
from jump_tf.models.scorers import Scorer
from jump_tf.predictions import Clicks
from jump_tf.scorecard import Measures

MOST_POPULAR = "most_popular"
SESSION_POPULAR = "session_popular"
MARKOV = "markov"
ASSOCIATION_RULES = "association_rules"
ITEM_KNN = "item_knn"
S_KNN = "s_knn"
VS_KNN = "vs_knn"
CONSTANT_MEDIAN = "constant_median"
ITEM_MEDIAN = "item_median"
_MODEL = "model"
_ITEM_SCORERS: dict[str, type[Scorer]] = {
    MOST_POPULAR: counts.MostPopular,
    SESSION_POPULAR: rules.SessionPopular,
    MARKOV: counts.Markov,
    ASSOCIATION_RULES: rules.AssociationRules,
    ITEM_KNN: rules.ItemNeighbours,
}
_SESSION_SCORERS: dict[str, type[Scorer]] = {
    S_KNN: neighbours.SKNN,
    VS_KNN: neighbours.VSKNN,
}


@dataclasses.dataclass(frozen=True)
class Baselines:
    """Counts of the training split, fitted.

    Attributes:
        scorers: name -> what scores items.
        dwell: (name, whether first clicks are counted too) -> a law of the
            dwell, fitted on the clicks on which it is measured.
        training_counts: `[V]` clicks of each id.
        end_rate: share of the clicks from the second on that end a session.
    """

    scorers: dict[str, Scorer]
    dwell: dict[tuple[str, bool], counts.ConstantDwell]
    training_counts: np.ndarray
    end_rate: float


def fit(data: str | pathlib.Path, vocabulary_size: int) -> Baselines:
    """The baselines of a data folder, from its training split alone."""
    clicks = predictions.read_clicks(data, schema.TRAIN)
    later = clicks.predicted
    dwell: dict[tuple[str, bool], counts.ConstantDwell] = {}
    for first_too in (False, True):
        fitted = clicks.followed & (later | first_too)
        log = clicks.item[fitted], clicks.dwell_seconds[fitted], vocabulary_size
        dwell[CONSTANT_MEDIAN, first_too] = counts.ConstantDwell(*log)
        dwell[ITEM_MEDIAN, first_too] = counts.ItemMedianDwell(*log)
    return Baselines(
        _fitted(_ITEM_SCORERS, clicks, vocabulary_size),
        dwell,
        np.bincount(clicks.item, minlength=vocabulary_size),
        float(clicks.last[later].mean()) if later.any() else 0.0,
    )


def fit_neighbours(
    data: str | pathlib.Path, vocabulary_size: int
) -> dict[str, Scorer]:
    """The slower scorers that compare whole sessions, by name; see `fit`."""
    clicks = predictions.read_clicks(data, schema.TRAIN)
    return _fitted(_SESSION_SCORERS, clicks, vocabulary_size)


def click_measures(
    scorers: dict[str, Scorer], clicks: Clicks
) -> dict[str, Measures]:
    """The measures of each scorer on clicks, by its name."""
    (asked,) = np.nonzero(clicks.predicted & clicks.known)
    named: dict[str, Measures] = {}
    for name, scorer in scorers.items():
        ranks = np.full(len(clicks), metrics.MISS)
        ranks[asked] = scorer.ranks(*_columns(clicks), asked)
        named[name] = scorecard.click_measures(clicks, ranks)
    return named


def measures(
    fitted: Baselines, clicks: Clicks, max_dwell_seconds: float
) -> dict[str, Measures]:
    """The measures of each baseline on clicks, by its name."""
    named = click_measures(fitted.scorers, clicks)
    for (name, first_too), dwell in fitted.dwell.items():
        law = dwell.dwell_distribution(None, clicks.item)
        named.setdefault(name, {}).update(
            scorecard.dwell_measures(
                clicks, law, max_dwell_seconds, first_too=first_too
            )
        )
    return named


def compare(
    mine: Measures,
    theirs: dict[str, Measures],
    sessions: np.ndarray,
    replicates: int,
    seed: int,
) -> tuple[dict[str, list[float]], dict[str, dict[str, Any]]]:
    """Intervals of a model, and the numbers of each baseline beside them.

    All are averaged over the same draws of sessions.

    Args:
        mine: measures of the model.
        theirs: measures of each baseline, by its name.
        sessions: `[N]`, see `metrics.resampled_means`; so are the others.
        replicates: how many draws.
        seed: of the draws.

    Returns:
        The model's 95 % intervals, and for each baseline its numbers, its
        `intervals` and its `differences`: intervals of model - baseline.
    """
    named = {_MODEL: mine, **theirs}
    flat = {
        (who, name): measure
        for who, measures_of_one in named.items()
        for name, measure in measures_of_one.items()
    }
    means = metrics.resampled_means(flat, sessions, replicates, seed)
    intervals = {key: metrics.interval(drawn) for key, drawn in means.items()}
    compared = {
        who: {
            **scorecard.means(baseline),
            "intervals": {name: intervals[who, name] for name in baseline},
            "differences": {
                name: metrics.interval(means[_MODEL, name] - means[who, name])
                for name in baseline
            },
        }
        for who, baseline in theirs.items()
    }
    return {name: intervals[_MODEL, name] for name in mine}, compared


def _fitted(kinds, clicks, vocabulary_size):
    log = _columns(clicks)
    return {name: kind(*log, vocabulary_size) for name, kind in kinds.items()}


def _columns(clicks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return clicks.session, clicks.position, clicks.item
