"""What counting alone predicts of shown items: the baselines of lists.

All are rates of the training split by something that is known of an item,
drawn towards the rate of all items; how much, training says, too.

    constant        the rate of all items
    position        by the place in the list
    since_click     by the places since the last click, which only those know
                    who are told the feedback on earlier items
    field:<name>    by the item's feature in a field
    best_field      for each rate, by the field that is best on validation
"""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from jump_tf.evaluate.columns import joined
from jump_tf.evaluate.lists import predictions
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.metrics import lists as list_measures

CONSTANT = "constant"
POSITION = "position"
SINCE_CLICK = "since_click"
FIELD = "field:"
BEST_FIELD = "best_field"
# Of how many items the rate of all is worth, that which training likes best.
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4)
_POSITIONS = 200
_SINCE = 20
Key = Callable[[Shown], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rates:
    """Logs of the two rates by the value of a key of `[size]` values.

    Attributes:
        key: from items to `[N]` values.
        log_click: `[size]`.
        log_conversion: `[size]`, of a click.
    """

    key: Key
    log_click: np.ndarray
    log_conversion: np.ndarray

    def __call__(self, shown: Shown) -> Answers:
        values = self.key(shown)
        return Answers(self.log_click[values], self.log_conversion[values])


@dataclasses.dataclass(frozen=True)
class Baselines:
    """The baselines of a data folder, fitted.

    Attributes:
        rates: by the name of the baseline, all but `best_field`.
        best: of `ctr` and `cvr`, the name of the best field's baseline; empty
            where items have no fields, or validation no items.
    """

    rates: Mapping[str, Rates]
    best: Mapping[str, str]

    def __call__(self, shown: Shown) -> dict[str, Answers]:
        """What each baseline says of items, by its name."""
        said = {name: rates(shown) for name, rates in self.rates.items()}
        if self.best:
            said[BEST_FIELD] = Answers(
                said[self.best[predictions.CTR]].log_click,
                said[self.best[predictions.CVR]].log_conversion,
            )
        return said


def fit(
    training: Iterable,
    validation: Iterable,
    vocabulary_size: int,
    fields: Sequence[str] = (),
) -> Baselines:
    """Fits the baselines on two splits.

    Args:
        training: batches, which are counted one by one and not kept.
        validation: batches; the best field alone is picked on them.
        vocabulary_size: ids of features, padding and unknown included.
        fields: names of the F fields, empty for bags of features.
    """
    keys = _keys(vocabulary_size, fields)
    counts = {name: np.zeros([3, size]) for name, (_, size) in keys.items()}
    for inputs, targets, weights in training:
        shown = predictions.of_batch(inputs, targets, weights, len(fields))
        for name, (key, size) in keys.items():
            counts[name] += _count(shown, key(shown), size)
    rates = {
        name: Rates(key, *_log_rates(counts[name]))
        for name, (key, _) in keys.items()
    }
    return Baselines(rates, _best(rates, validation, len(fields)))


def smoothed(successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Rates by value, drawn towards the rate of all.

    That of a value with s successes in t trials is `(s + m g) / (t + m)`, g
    the rate of all and m that of `STRENGTHS` with which each trial would have
    been predicted best from all others.

    Args:
        successes: `[size]`.
        trials: `[size]`, at least as many; g where there are none.

    Returns:
        `[size]` in (0, 1): to g belong half a success and half a failure more
        than were seen, so that nothing is certain.

    Reference: Stone, JRSS B 36(2), 1974, for predicting what is left out;
    Krichevsky & Trofimov, IEEE Trans. Inf. Theory 27(2), 1981, for the halves.
    """
    overall = (successes.sum() + 0.5) / (trials.sum() + 1.0)
    seen = trials > 0
    losses = [
        _left_out_loss(successes[seen], trials[seen], strength, overall)
        for strength in STRENGTHS
    ]
    strength = STRENGTHS[int(np.argmin(losses))]
    return (successes + strength * overall) / (trials + strength)


def _left_out_loss(successes, trials, strength, overall) -> float:
    others = trials - 1.0 + strength
    success = np.maximum(successes - 1.0, 0.0) + strength * overall
    failures = trials - successes
    failure = np.maximum(failures - 1.0, 0.0) + strength * (1.0 - overall)
    return -float(
        successes @ np.log(success / others)
        + failures @ np.log(failure / others)
    )


def _log_rates(counts) -> tuple[np.ndarray, np.ndarray]:
    shown, clicked, converted = counts
    click = smoothed(clicked, shown)
    return np.log(click), np.log(smoothed(converted, clicked))


def _count(shown, values, size) -> np.ndarray:
    """`[3, size]` items shown, clicked and converted."""
    return np.stack(
        [
            np.bincount(values, weights, size)
            for weights in (None, shown.clicked, shown.converted)
        ]
    )


def _keys(vocabulary_size, fields) -> dict[str, tuple[Key, int]]:
    """By the name of the baseline: the key, and how many values it has."""
    keys: dict[str, tuple[Key, int]] = {
        CONSTANT: (lambda shown: np.zeros(len(shown), int), 1),
        POSITION: (
            lambda shown: np.minimum(shown.position, _POSITIONS),
            _POSITIONS + 1,
        ),
        SINCE_CLICK: (
            lambda shown: np.minimum(shown.since_click, _SINCE),
            _SINCE + 1,
        ),
    }
    for column, name in enumerate(fields):
        keys[f"{FIELD}{name}"] = (
            functools.partial(_feature, column),
            vocabulary_size,
        )
    return keys


def _feature(column: int, shown: Shown) -> np.ndarray:
    return shown.features[:, column]


def _best(rates, validation, num_fields) -> dict[str, str]:
    if not num_fields:
        return {}
    parts = [
        predictions.of_batch(inputs, targets, weights, num_fields)
        for inputs, targets, weights in validation
    ]
    if not parts:
        return {}
    shown = joined(parts, "lists")[0]
    losses: dict[str, dict[str, float]] = {
        predictions.CTR: {},
        predictions.CVR: {},
    }
    for name in rates:
        if name.startswith(FIELD):
            answers = rates[name](shown)
            for target, by_name in losses.items():
                seen = predictions.target(shown, answers, target)
                by_name[name] = list_measures.log_loss(*seen).value()
    # Where validation has no click, the first will do.
    return {
        target: min(by_name, key=lambda name: np.nan_to_num(by_name[name]))
        for target, by_name in losses.items()
    }
