"""How much of the variance of a dwell is its session's, and its item's."""

import dataclasses

import numpy as np

from jump_tf import schema

LEAST_REPEATS = 1_000  # Of fewer a variance is too uncertain to be told.


@dataclasses.dataclass(frozen=True)
class Variances:
    """Of what sessions s and items i bring to a value.

        y = mean + effect_s + effect_i + noise

    Attributes:
        total: of a value.
        session: of the effects of sessions: the covariance of two values of a
            session, on different items.
        item: of the effects of items: that of two values of an item, in
            different sessions.
        both: that of two values of a session on the same item, which is the sum
            of the two where these add up; None where there are too few.
    """

    total: float
    session: float
    item: float
    both: float | None

    @property
    def within(self) -> float:
        """What neither the session nor the item explains."""
        return self.total - self.session - self.item


def variances(
    sessions: np.ndarray, items: np.ndarray, values: np.ndarray
) -> Variances:
    """Estimates by the products of pairs, whose expectations they are.

    No value is multiplied by itself, so that noise adds nothing, however small
    the groups are. A pair of a group of n counts 1 / n, so that all values
    count alike.

    Args:
        sessions: `[N]` number of each value's session.
        items: `[N]` ids.
        values: `[N]`.

    Raises:
        InputError: too few values have another one of their session, or item.

    Reference: Koch, Technometrics 9(1), 1967.
    """
    session, item = _numbered(sessions), _numbered(items)
    both = _numbered(session * (item.max(initial=0) + 1) + item)
    pairs = len(np.unique(both))
    repeats = pairs - len(np.unique(session)), pairs - len(np.unique(item))
    if min(repeats) < LEAST_REPEATS:
        raise schema.InputError(
            f"At least {LEAST_REPEATS} dwells must come after one on another "
            "item of their session, and as many after one of another session "
            f"on their item. Received: {repeats[0]} and {repeats[1]}"
        )
    values = values - values.mean()
    apart = _mean_product_apart(values, session, item, both)
    twice = len(values) - pairs >= LEAST_REPEATS
    each = np.arange(len(values))
    return Variances(
        float(np.mean(values**2)) - apart,
        _mean_product(values, session, both) - apart,
        _mean_product(values, item, both) - apart,
        _mean_product(values, both, each) - apart if twice else None,
    )


def _mean_product_apart(values, session, item, both) -> float:
    """Of pairs that share neither session nor item: the mean squared."""

    def of_pairs(values):
        of_session, of_item, of_both = (
            np.sum(np.bincount(group, values) ** 2)
            for group in (session, item, both)
        )
        # Pairs that share both are in both of the sums before.
        return np.sum(values) ** 2 - of_session - of_item + of_both

    return float(of_pairs(values) / of_pairs(np.ones(len(values))))


def _mean_product(values, group, part) -> float:
    """Of pairs of a group that are not of the same part of it."""
    group_of_part = group[np.unique(part, return_index=True)[1]]

    def of_groups(values):
        """Sums of the products of each group's pairs."""
        parts = np.bincount(part, values) ** 2
        same = np.bincount(group_of_part, parts)
        return np.bincount(group, values) ** 2 - same

    weight = 1.0 / np.bincount(group)
    pairs = of_groups(np.ones(len(values)))
    return float(weight @ of_groups(values) / (weight @ pairs))


def _numbered(groups):
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)
