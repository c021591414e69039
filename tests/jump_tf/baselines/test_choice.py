import numpy as np
import pytest

from jump_tf.baselines import choice
from jump_tf.baselines import item_rules
from tests import small_logs

TRAINING = small_logs.columns([[2, 3]])
VALIDATION = small_logs.columns([[2, 3, 1, 4], [4, 2, 3], [1, 5, 2]])


class Fixed(item_rules.MostPopular):
    """Gives all clicks one rank; notes what it is asked for."""

    asked: tuple = ()

    def __init__(self, log, vocabulary_size, rank):
        assert log is TRAINING
        super().__init__(log, vocabulary_size)
        self.rank = rank

    def ranks(self, log, asked):
        assert log is VALIDATION
        Fixed.asked = tuple(asked)
        return np.full(len(asked), self.rank)


def best(*ranks, validation=VALIDATION):
    grid = [{"rank": rank} for rank in ranks]
    return choice.fit_best(Fixed, grid, TRAINING, validation, 6)


@pytest.mark.parametrize("ranks", [(3, 2, 9), (2, 21, 2), (25, 30)])
def test_the_best_on_validation_is_taken_the_first_of_equals(ranks):
    fitted, settings = best(*ranks)
    expected = min(ranks) if min(ranks) <= 20 else ranks[0]
    assert fitted.rank == settings["rank"] == expected
    # Known items from the second click of a session on.
    assert Fixed.asked == (1, 3, 5, 6, 8, 9)


def test_of_many_clicks_every_so_many_th_is_ranked(monkeypatch):
    monkeypatch.setattr(choice, "CLICKS", 3)
    best(1, 2)
    assert Fixed.asked == (1, 5, 8)


def test_where_there_is_no_choice_nothing_is_ranked():
    fitted, settings = best(7, validation=None)
    assert fitted.rank == settings["rank"] == 7
