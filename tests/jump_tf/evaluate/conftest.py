"""Evaluations that several modules look at, each made once."""

import types

import pytest

from jump_tf import schema
from jump_tf.evaluate.sessions import baselines as session_baselines
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.models.jump import JUMP


@pytest.fixture(scope="session", autouse=True)
def baselines_are_fitted_once(data_folder):
    """On the folder that most tests share, and that nobody changes."""
    fit, fitted = session_baselines.fit, {}

    def once(data, *options):
        if data != data_folder:
            return fit(data, *options)
        if options not in fitted:
            fitted[options] = fit(data, *options)
        return fitted[options]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_baselines, "fit", once)
        yield


@pytest.fixture(scope="session")
def jump(data_folder):
    """A model that nobody trains or changes, and what is said of it.

    `results` and `tables` are by the moment of asking.
    """
    model = JUMP(25, units=6, dwell_head="shared")
    model.build()
    both = {
        moment: session_evaluation.evaluate_clicks(
            model, data_folder, moment=moment, replicates=50
        )
        for moment in schema.MOMENTS
    }
    return types.SimpleNamespace(
        model=model,
        results={moment: result for moment, (result, _) in both.items()},
        tables={moment: table for moment, (_, table) in both.items()},
    )
