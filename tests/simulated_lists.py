"""What tests ask of a simulated log of lists, beside what the demo does."""

from collections import Counter

import numpy as np

from jump_tf import schema
from jump_tf.experiments import list_simulator


def to_lists(simulation) -> tuple[list[schema.ShownList], list[str]]:
    """The lists as they are stored, and a vocabulary of all features."""
    texts = [
        [
            f"{field}={value}"
            for field, value in zip(list_simulator.FIELDS, of, strict=True)
        ]
        for of in simulation.features
    ]
    counts: Counter[str] = Counter()
    shown = np.bincount(simulation.items, minlength=len(texts)).tolist()
    for names, count in zip(texts, shown, strict=True):
        counts.update(dict.fromkeys(names, count))
    seen = [name for name in counts if counts[name]]
    vocabulary = sorted(seen, key=lambda name: (-counts[name], name))
    number = {
        name: index
        for index, name in enumerate(vocabulary, schema.FIRST_ITEM_ID)
    }
    ids = [[number.get(name, schema.OOV_ID) for name in of] for of in texts]
    ends = np.cumsum(simulation.lengths)
    lists = []
    for name, length, end in zip(
        simulation.list_ids, simulation.lengths, ends, strict=True
    ):
        part = slice(end - length, end)
        times = simulation.time_ms[part]
        lists.append(
            schema.ShownList(
                name,
                int(times[0]),
                ((times - times[0]) / 1000.0).tolist(),
                [ids[item] for item in simulation.items[part]],
                [[1.0] * len(list_simulator.FIELDS)] * int(length),
                simulation.clicked[part].astype(int).tolist(),
                simulation.converted[part].astype(int).tolist(),
            )
        )
    return lists, vocabulary


def relevance_concordance(simulation, scores, among=None):
    """Share of pairs in which the more relevant item scores higher.

    Pairs are of different items of a list. Clicks play no part in it, so
    neither does who looked: it tells whether a ranker is unbiased.

    Args:
        simulation: of the log.
        scores: `[N]`; equal ones count as half a pair.
        among: `[N]` bool, of which items; of all if None.
    """
    relevance = simulation.relevance[simulation.items]
    right, pairs = 0.0, 0
    for away in range(1, int(simulation.position.max())):
        ahead = relevance[away:] - relevance[:-away]
        same = simulation.lists[away:] == simulation.lists[:-away]
        same &= ahead != 0
        if among is not None:
            same &= among[away:] & among[:-away]
        scored = np.sign(scores[away:] - scores[:-away])
        right += np.sum(0.5 + 0.5 * (scored * np.sign(ahead))[same])
        pairs += int(same.sum())
    return float(right / pairs) if pairs else float("nan")
