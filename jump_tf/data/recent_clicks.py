"""The training clicks by item and time, for lookups of what came before."""

import pathlib
from collections.abc import Sequence

import numpy as np

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import folders
from jump_tf.data import session_records
from jump_tf.data.recent_log import POPULAR
from jump_tf.data.recent_log import RecentClicks

LARGEST = (
    2**24 - 1
)  # Entries; float32, in which places travel, is exact so far.
_PERIOD_MINUTES = 15
_MOST_PERIODS = 20_000
_HOUR = 60.0
_MS_PER_MINUTE = 60_000


def read(
    data: str | pathlib.Path,
    vocabulary_size: int,
    splits: Sequence[str] = (schema.TRAIN,),
    ids: np.ndarray | None = None,
) -> RecentClicks:
    """The transitions of some splits of a data folder.

    A dwell that was cut at c1 hides when the next click came; of its session
    no later click is counted. Where there are more than `LARGEST` transitions,
    the latest are kept.

    Args:
        data: the data folder.
        vocabulary_size: number of ids V.
        splits: of the data folder.
        ids: `[W]` what each of its ids is called here; by default the same.
    """
    session, item, minute = _clicks(data, splits)
    item = item if ids is None else ids[item]
    known = item >= schema.FIRST_ITEM_ID
    follows = (session[1:] == session[:-1]) & known[1:] & known[:-1]
    follows &= item[1:] != item[:-1]
    origin = int(minute.min(initial=2**62)) if len(minute) else 0
    minute = minute - origin
    pages, followers = item[:-1][follows], item[1:][follows]
    minutes = minute[1:][follows]
    if len(minutes) > LARGEST:
        latest = np.sort(np.argsort(minutes, kind="stable")[-LARGEST:])
        pages, followers, minutes = (
            column[latest] for column in (pages, followers, minutes)
        )
    order = np.lexsort((minutes, pages))
    counts = np.bincount(pages, minlength=vocabulary_size)
    end = int(minute.max(initial=0)) + 1
    period = max(_PERIOD_MINUTES, -(-end // _MOST_PERIODS))
    popular_ids, log_shares = _popular(
        item[known], minute[known] // period, period, vocabulary_size
    )
    none = np.zeros(int(not len(order)), np.int64)  # A table is never empty.
    return RecentClicks(
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([followers[order], none]),
        np.concatenate([minutes[order], none]),
        popular_ids,
        log_shares,
        origin,
        end,
        period,
    )


def _clicks(data, splits):
    """Session, item and minute of clicks whose time is known, by session."""
    parts, number = [], 0
    for split in splits:
        files = folders.shards(data, split)
        for _, columns in batching.shuffle_pools(files, session_records.decode):
            lengths = columns[schema.ITEMS].row_lengths().numpy()
            seconds = columns[schema.DWELL_SECONDS].values.numpy()
            censored = columns[schema.DWELL_CENSORED].values.numpy()
            start_ms = columns[schema.START_MS].numpy()
            first = np.repeat(np.cumsum(lengths) - lengths, lengths)
            known = _sum_before(censored, first) == 0
            ms = np.repeat(start_ms, lengths) + 1000.0 * _sum_before(
                seconds, first
            )
            session = np.repeat(np.arange(len(lengths)) + number, lengths)
            parts.append(
                (
                    session[known],
                    columns[schema.ITEMS].values.numpy()[known],
                    np.ceil(ms[known] / _MS_PER_MINUTE).astype(np.int64),
                )
            )
            number += len(lengths)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _sum_before(values, first):
    """Of each element, the sum of those of its row before it."""
    before = np.cumsum(values, dtype=np.float64) - values
    return before - before[first]


def _popular(items, periods, period_minutes, vocabulary_size):
    number = int(periods.max(initial=0)) + 2
    order = np.argsort(periods, kind="stable")
    cuts = np.searchsorted(periods[order], np.arange(number + 1))
    ids = np.zeros([number, POPULAR], np.int64)
    log_shares = np.full([number, POPULAR], -10.0, np.float32)
    weights = np.zeros(vocabulary_size)
    decay = np.exp(-period_minutes / _HOUR)
    size = min(POPULAR, vocabulary_size)
    for period in range(number):  # Weights are those of clicks before it.
        total = weights.sum()
        if total > 0.0:
            best = np.argpartition(-weights, size - 1)[:size]
            best = best[np.argsort(-weights[best], kind="stable")]
            share = np.maximum(weights[best] / total, np.exp(-10.0))
            kept = weights[best] > 0.0
            ids[period, :size] = np.where(kept, best, schema.PAD_ID)
            log_shares[period, :size] = np.where(kept, np.log(share), -10.0)
        now = items[order[cuts[period] : cuts[period + 1]]]
        weights = weights * decay + np.bincount(now, minlength=vocabulary_size)
    return ids, log_shares
