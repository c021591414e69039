import dataclasses

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.evaluate.lists import prediction_table
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown

SHOWN = Shown(
    lists=np.array([0, 0, 1]),
    position=np.array([1, 2, 1]),
    length=np.array([2, 2, 1]),
    clicked=np.array([True, False, True]),
    converted=np.array([False, False, True]),
    since_click=np.array([0, 1, 0]),
    features=np.array([[2, 5], [3, 5], [2, 4]]),
)
ANSWERS = {
    "known": Answers(np.log([0.5, 0.2, 0.1]), np.log([0.3, 0.2, 0.4])),
    "free": Answers(np.log([0.4, 0.3, 0.2]), np.log([0.2, 0.1, 0.3])),
}


def test_file_reads_back(tmp_path):
    path = prediction_table.write(tmp_path, schema.TEST, SHOWN, ANSWERS)
    assert [p.name for p in path.parent.iterdir()] == ["test.items.npz"]
    shown, answers = prediction_table.read(tmp_path, schema.TEST)
    assert set(answers) == set(ANSWERS)
    for one, other in (
        (shown, SHOWN),
        *((answers[name], ANSWERS[name]) for name in ANSWERS),
    ):
        for field in dataclasses.fields(other):
            column = getattr(one, field.name)
            np.testing.assert_array_equal(column, getattr(other, field.name))
            assert column.dtype == getattr(other, field.name).dtype


def test_other_files_are_refused(tmp_path):
    with pytest.raises(schema.InputError, match="must be a prediction table"):
        prediction_table.read(tmp_path, schema.TEST)
    path = prediction_table.path(tmp_path, schema.TEST)
    path.parent.mkdir()
    np.savez(path, lists=np.arange(3))
    with pytest.raises(schema.InputError, match="must be a prediction table"):
        prediction_table.read(tmp_path, schema.TEST)
