"""What the record files of sessions and of lists have in common."""

import abc
import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import numpy as np

from beam_jobs.transforms import splits
from jump_tf.data import encoding


class ShardFormat(abc.ABC):
    """How sessions or lists are written to a record file.

    Attributes:
        counted: (what a counter counts, the column of whole numbers that tells
            it, how the column tells it)s.
    """

    counted: ClassVar[Sequence[tuple[str, str, Callable[[np.ndarray], int]]]]

    @abc.abstractmethod
    def concatenate(self, batches: Sequence[Any]) -> splits.Grouped:
        """At least one batch of sessions or lists, end to end."""

    @abc.abstractmethod
    def columns(self, grouped: Any) -> Mapping[str, np.ndarray]:
        """The columns that `counted` names."""

    @abc.abstractmethod
    def records(self, grouped: Any, texts: Sequence[str]) -> Iterator[bytes]:
        """Yields records; texts outside the vocabulary become `OOV_ID`."""

    def file(
        self, batches: Iterable[splits.Grouped], texts: Sequence[str]
    ) -> tuple[bytes, dict[str, int]]:
        """The content of a record file, and what the counters count in it.

        Args:
            batches: of sessions or lists that belong to the shard, in any
                order.
            texts: of the vocabulary, in the order of their ids.
        """
        found = list(batches)
        if not found:
            return encoding.to_file([]), self._count([])
        whole = self.concatenate(found)
        whole = whole.take(splits.shuffled(whole.digests))
        content = encoding.to_file(self.records(whole, texts))
        return content, self._count([self.columns(whole)])

    def sizes(self, content: bytes) -> dict[str, int]:
        """What the counters count, read back from a record file's content."""
        names = {column for _, column, _ in self.counted}
        return self._count(
            {name: encoding.unpack_integers(record, name) for name in names}
            for record in encoding.from_file(content)
        )

    def _count(
        self, parts: Iterable[Mapping[str, np.ndarray]]
    ) -> dict[str, int]:
        totals: dict[str, int] = collections.Counter()
        for columns in parts:
            for name, column, count in self.counted:
                totals[name] += int(count(columns[column]))
        return {name: totals[name] for name, *_ in self.counted}
