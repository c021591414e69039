"""Batches, epochs and dropout by the number of training clicks."""

import dataclasses
import json

import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config import log_size
from jump_tf.config.run import preset

OPEN = preset("production")


@pytest.mark.parametrize(
    ("clicks", "batch_clicks", "epochs", "dropout", "dwell_dropout"),
    [
        (0, 128, 20, 0.4, 0.5),
        (28_162, 128, 20, 0.4, 0.5),
        (50_000, 256, 10, 0.4, 0.5),
        (99_999, 512, 10, 0.4, 0.5),
        (200_000, 1024, 10, 0.25, 0.2),
        (10**9, 2048, 10, 0.25, 0.2),
    ],
)
def test_the_rule(clicks, batch_clicks, epochs, dropout, dwell_dropout):
    found = log_size.fitted(OPEN, clicks)
    assert found.training.batch_clicks == batch_clicks
    assert found.training.batch_sessions == batch_clicks // 4
    assert found.training.epochs == epochs
    assert found.model.dropout == dropout
    assert found.model.dwell_dropout == dwell_dropout
    # All else is as it was, and nothing is left to say.
    assert log_size.fitted(found, 1) == found
    assert dataclasses.replace(
        found,
        model=dataclasses.replace(
            found.model, dropout=None, dwell_dropout=None
        ),
        training=OPEN.training,
    ) == dataclasses.replace(OPEN)


def test_what_is_given_stands():
    given = OPEN.override(["training.epochs=3", "model.dropout=0.1"])
    found = log_size.fitted(given, 28_162)
    assert (found.training.epochs, found.model.dropout) == (3, 0.1)
    assert found.training.batch_sessions == 32


def test_it_is_said_in_one_line():
    said = log_size.described(log_size.fitted(OPEN, 28_162), 28_162)
    assert said == (
        "28,162 clicks: batches of 32 sessions or 128 clicks, 20 epochs, "
        "dropout 0.4"
    )


def test_models_of_lists_have_no_such_rule(tmp_path):
    manifest = {
        "kind": schema.LISTS,
        "num_fields": 2,
        "num_features": 9,
        "fields": ["item"],
    }
    (tmp_path / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    config = preset("heroes").override(["training.epochs=null"])
    with pytest.raises(
        schema.InputError, match=r"`epochs` must be a number\. Received"
    ):
        tasks.with_data(config, tmp_path)
