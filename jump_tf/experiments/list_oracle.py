"""What is behind a simulated log of lists, and what it scores itself."""

import dataclasses
from typing import Any

import numpy as np

from jump_tf.evaluate.lists import metrics as list_metrics
from jump_tf.evaluate.lists.columns import Answers
from jump_tf.evaluate.lists.columns import Shown


@dataclasses.dataclass(frozen=True)
class Oracle:
    """Of N shown items, given the feedback on those before in their list.

    Attributes:
        lists: `[N]` from 0, ascending.
        position: `[N]` in its list, from 1.
        attraction: `[N]` probability of a click if the visitor looks: the
            hazard by which an unbiased ranker ranks.
        examination: `[N]` probability that the visitor looks.
        conversion: `[N]` r, probability of a conversion after a click.
        clicked: `[N]` bool, what was drawn.
        converted: `[N]` bool.
        items: `[N]` from 0.
        relevance: `[I]` logits of each item of the catalogue.
        worth: `[I]` logits, likewise, of conversion.
        excitement: `[I]` logits that a click on it adds right after it, before
            any fading.
    """

    lists: np.ndarray
    position: np.ndarray
    attraction: np.ndarray
    examination: np.ndarray
    conversion: np.ndarray
    clicked: np.ndarray
    converted: np.ndarray
    items: np.ndarray
    relevance: np.ndarray
    worth: np.ndarray
    excitement: np.ndarray

    @property
    def click(self) -> np.ndarray:
        """`[N]` pCTR given the feedback before: `examination * attraction`."""
        return self.examination * self.attraction

    @property
    def answers(self) -> Answers:
        """What the best predictor says that knows all feedback before."""
        return Answers(np.log(self.click), np.log(self.conversion))

    @property
    def shown(self) -> Shown:
        """The log; its features are those items' numbers."""
        length = np.bincount(self.lists)[self.lists]
        start = np.flatnonzero(self.position == 1)[self.lists]
        at = np.arange(len(self.lists))
        last = np.maximum.accumulate(np.where(self.clicked, at, -1))
        before = np.append(-1, last[:-1])
        return Shown(
            lists=self.lists,
            position=self.position,
            length=length,
            clicked=self.clicked,
            converted=self.converted,
            since_click=np.where(before >= start, at - before, 0),
            features=self.items[:, np.newaxis],
        )

    def best_possible(self, among: np.ndarray | None = None) -> dict[str, Any]:
        """What the oracle scores on the log; none is expected to do more.

        Args:
            among: `[S]` bool, of which lists; of all if None.

        Returns:
            The numbers of `lists.scorecard`: `ctr_auc`, `ctr_log_loss`, ....
        """
        counted = np.ones(len(self.lists), bool)
        if among is not None:
            counted = among[self.lists]
        shown, answers = self.shown, self.answers
        columns = {
            field.name: getattr(shown, field.name)[counted]
            for field in dataclasses.fields(Shown)
        }
        columns["lists"] = np.unique(columns["lists"], return_inverse=True)[1]
        scores, counts = list_metrics.scores(
            Shown(**columns),
            Answers(
                answers.log_click[counted], answers.log_conversion[counted]
            ),
        )
        return {name: s.value() for name, s in scores.items()} | counts
