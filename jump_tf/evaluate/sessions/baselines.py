"""The baselines of a data folder, fitted and measured together."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.baselines import dwell as dwell_baselines
from jump_tf.baselines import item_rules
from jump_tf.baselines.base import NEVER
from jump_tf.baselines.base import Log
from jump_tf.baselines.base import Scorer
from jump_tf.baselines.dwell_booster import BoostedDwell
from jump_tf.data.click_log import ClickLog
from jump_tf.evaluate.sessions import dwell_boosting
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.prediction_table import PredictionTable
from jump_tf.evaluate.sessions.predictions import LoggedClicks
from jump_tf.evaluate.sessions.rolling import Refreshed
from jump_tf.metrics import ranking

MOST_POPULAR = "most_popular"
SESSION_POPULAR = "session_popular"
MARKOV = "markov"
ASSOCIATION_RULES = "association_rules"
ITEM_KNN = "item_knn"
CONSTANT_MEDIAN = "constant_median"
CONSTANT_MEAN = "constant_mean"
ITEM_MEDIAN = "item_median"
ITEM_EFFECT = "item_effect"
PREVIOUS_DWELL = "previous_dwell"
SESSION_MEAN = "session_mean"
GRADIENT_BOOSTING = "gradient_boosting"
_MODEL = "model"
_SCORERS: dict[str, type[Scorer]] = {
    MOST_POPULAR: item_rules.MostPopular,
    SESSION_POPULAR: item_rules.SessionPopular,
    MARKOV: item_rules.Markov,
    ASSOCIATION_RULES: item_rules.AssociationRules,
    ITEM_KNN: item_rules.ItemNeighbours,
}


@dataclasses.dataclass(frozen=True)
class Baselines:
    """Counts of the training split, fitted.

    Attributes:
        scorers: name -> what scores items.
        dwell: (name, whether first clicks are counted too) -> one of
            `dwell_baselines`, fitted on the clicks on which it is measured.
        training_counts: `[V]` clicks of each id.
        end_rate: share of the clicks from the second on that end a session,
            of those of which it is known.
        moment: of asking for a dwell; at `page_load` the dwell of the click
            before is not known yet.
        booster: of the dwells from the second click on, if it can be had.
        left_out: name -> why there is no such baseline.
    """

    scorers: dict[str, Scorer]
    dwell: dict[tuple[str, bool], Any]
    training_counts: np.ndarray
    end_rate: float
    moment: str = schema.PAGE_LEAVE
    booster: BoostedDwell | None = None
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)


def fit(
    data: str | pathlib.Path,
    vocabulary_size: int,
    moment: str = schema.PAGE_LEAVE,
) -> Baselines:
    """The baselines of a data folder, from its training split alone."""
    clicks = predictions.read_clicks(data, schema.TRAIN)
    later = clicks.predicted & ~clicks.session_cut
    booster, left_out = _try_booster(clicks, vocabulary_size, moment)
    return Baselines(
        {
            name: kind(_without_a_clock(clicks), vocabulary_size)
            for name, kind in _SCORERS.items()
        },
        _fit_dwell(clicks, vocabulary_size, moment),
        np.bincount(clicks.item, minlength=vocabulary_size),
        float(clicks.last[later].mean()) if later.any() else 0.0,
        moment,
        booster,
        left_out,
    )


def refreshed(vocabulary_size: int) -> dict[str, Refreshed]:
    """What ranks as each scorer does that is fitted on all of the past."""

    def fit_and_rank(kind, past, log, asked):
        scorer = kind(with_a_clock(past), vocabulary_size)
        return scorer.ranks(with_a_clock(log), asked)

    return {
        name: functools.partial(fit_and_rank, kind)
        for name, kind in _SCORERS.items()
    }


def with_a_clock(log: ClickLog, moment: str = schema.PAGE_LEAVE) -> Log:
    """The clicks of a split as counting models take them.

    Args:
        log: sessions.
        moment: of asking. A click is asked for when it is made, the dwell
            before it being known; at `page_load` it is asked for with the
            click before, of which it is not.
    """
    time_ms, position = log.time_ms, log.position
    asked_ms = time_ms
    if moment == schema.PAGE_LOAD:
        before = np.concatenate([time_ms[:1], time_ms[:-1]])
        asked_ms = np.where(position > 1, before, time_ms)
    done_ms = np.where(log.time_known, time_ms, NEVER)
    return Log(log.session, position, log.item, asked_ms, done_ms)


def prediction_tables(
    scorers: dict[str, Scorer], clicks: LoggedClicks, log: Log | None = None
) -> dict[str, PredictionTable]:
    """What each scorer says of clicks, by its name.

    Args:
        scorers: fitted.
        clicks: of a split.
        log: the same with a clock, if scorers look at one.
    """
    log = _without_a_clock(clicks) if log is None else log
    (asked,) = np.nonzero(clicks.predicted & clicks.known)
    tables = {}
    for name, scorer in scorers.items():
        ranks = np.full(len(clicks), ranking.MISS)
        ranks[asked] = scorer.ranks(log, asked)
        tables[name] = prediction_table.of(clicks, rank=ranks)
    return tables


def measures(
    fitted: Baselines, clicks: LoggedClicks, max_dwell_seconds: float
) -> dict[str, Measures]:
    """The measures of each baseline on clicks, by its name."""
    tables = prediction_tables(fitted.scorers, clicks)
    named = {name: prediction_table.measures(t) for name, t in tables.items()}
    known = _asked(clicks, fitted.moment)
    for (name, first_too), baseline in fitted.dwell.items():
        law = baseline.dwell_distribution(known)
        table = prediction_table.of(
            clicks,
            dwell=law,
            dwell_median_below_c1_seconds=(
                np.asarray(law.median()) if baseline.of_ended else None
            ),
            max_dwell_seconds=max_dwell_seconds,
        )
        named.setdefault(name, {}).update(
            (metric, measure)
            for metric, measure in prediction_table.measures(table).items()
            if first_too == (metrics.ALL_CLICKS in metric)
        )
    if fitted.booster:
        named[GRADIENT_BOOSTING] = dwell_boosting.measures(
            fitted.booster, clicks, fitted.moment
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
        sessions: `[N]`, index of each click's session, from 0.
        replicates: how many draws of sessions.
        seed: of the draws.

    Returns:
        The model's 95 % intervals, and for each baseline its numbers, its
        `intervals` and its `differences`: intervals of model - baseline.
    """
    named = {_MODEL: mine, **theirs}
    judged = metrics.judge(named, sessions, replicates, seed)
    ours = judged.pop(_MODEL)
    compared = {
        who: {
            **baseline.numbers,
            "intervals": baseline.intervals,
            "differences": ours.differences(baseline),
        }
        for who, baseline in judged.items()
    }
    return ours.intervals, compared


def _try_booster(clicks, vocabulary_size, moment):
    """The booster, or None and why there is none."""
    told = dwell_boosting.past(clicks, moment)
    try:
        return dwell_boosting.fit(clicks, told, vocabulary_size), {}
    except schema.InputError as error:
        why = str(error)
    except ModuleNotFoundError:
        why = (
            "This needs scikit-learn. Install it with: "
            "pip install 'jump-tf[evaluate]'"
        )
    return None, {GRADIENT_BOOSTING: why}


def _fit_dwell(clicks, vocabulary_size, moment) -> dict[tuple[str, bool], Any]:
    known = _asked(clicks, moment)
    fitted: dict[tuple[str, bool], Any] = {}
    for first_too in (False, True):
        among = ~clicks.last & (clicks.predicted | first_too)
        ended = among & ~clicks.censored
        log = known[ended], clicks.dwell_seconds[ended], vocabulary_size
        for name, kind in (
            (CONSTANT_MEDIAN, dwell_baselines.ConstantDwell),
            (CONSTANT_MEAN, dwell_baselines.ConstantMeanDwell),
            (ITEM_MEDIAN, dwell_baselines.ItemMedianDwell),
            (PREVIOUS_DWELL, dwell_baselines.PreviousDwell),
        ):
            fitted[name, first_too] = kind(*log)
        cut = clicks.dwell_seconds[among], clicks.censored[among]
        fitted[SESSION_MEAN, first_too] = dwell_baselines.SessionMeanDwell(
            clicks.session[among], *cut
        )
        fitted[ITEM_EFFECT, first_too] = dwell_baselines.ItemEffectDwell(
            clicks.item[among], *cut, vocabulary_size
        )
    return fitted


def _without_a_clock(clicks) -> Log:
    """For the scorers of every evaluation, which have no use for one."""
    never = np.full(len(clicks), NEVER)
    return Log(clicks.session, clicks.position, clicks.item, never, never)


def _asked(clicks, moment):
    return dwell_baselines.asked(
        clicks.item,
        clicks.position,
        clicks.dwell_seconds,
        hidden=int(moment == schema.PAGE_LOAD),
    )
