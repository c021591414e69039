"""How fast the counting models of the next click answer, and how well.

For each, in order: the time to fit, the clicks ranked in a second, and recall
and MRR at 20 over the clicks asked for: the known items from the second click
of a session on, of so many sessions drawn from the split. NumPy uses one core.

python -m tests.benchmarks.neighbours --data DIR [--sessions 4000]
"""

import argparse
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from jump_tf import schema
from jump_tf.baselines import decayed_markov
from jump_tf.baselines import item_rules
from jump_tf.baselines import session_knn
from jump_tf.baselines import vstan
from jump_tf.data import click_log
from jump_tf.evaluate.sessions import baselines as session_baselines
from jump_tf.metrics import ranking as metrics_ranking

KINDS = (
    item_rules.MostPopular,
    item_rules.SessionPopular,
    item_rules.Markov,
    item_rules.AssociationRules,
    item_rules.ItemNeighbours,
    session_knn.SKNN,
    session_knn.VSKNN,
    vstan.VSTAN,
    decayed_markov.DecayedMarkov,
)


def main() -> None:
    """Prints a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--split", default=schema.TEST)
    parser.add_argument("--sessions", type=int, help="all by default")
    arguments = parser.parse_args()
    training = columns(arguments.data, schema.TRAIN)
    clicks = columns(arguments.data, arguments.split)
    asked = draw(clicks, arguments.sessions)
    print(f"{len(asked)} predictions")
    print("                     fit s  ranks/s  recall     MRR")
    for kind in KINDS:
        print(measure(kind, training, clicks, asked), flush=True)


def columns(data, split):
    """The log of a split."""
    return session_baselines.with_a_clock(click_log.read(data, split))


def draw(log, sessions):
    """Clicks to predict, of some sessions drawn at random or of all."""
    asked = (log.position > 1) & (log.item >= schema.FIRST_ITEM_ID)
    if sessions:
        drawn = np.random.default_rng(0).permutation(log.session.max() + 1)
        asked &= np.isin(log.session, drawn[:sessions])
    return np.flatnonzero(asked)


def measure(kind, training, log, asked):
    """One line of the table, settings as they are by default."""
    size = int(training.item.max()) + 1
    fitting, scorer = timed(kind, training, size)
    ranking, ranks = timed(scorer.ranks, log, asked)
    recall = metrics_ranking.recall(ranks).mean()
    reciprocal = metrics_ranking.reciprocal_rank(ranks).mean()
    return (
        f"{kind.__name__:18s} {fitting:7.2f} {len(asked) / ranking:8.0f}  "
        f"{recall:.4f}  {reciprocal:.4f}"
    )


def timed(function, *args):
    """Seconds, and what the function returns."""
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
