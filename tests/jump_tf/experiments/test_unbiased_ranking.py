"""Hazards order items as they deserve, where the log's places do not.

Visitors of the simulated log look on with 0.8 from item to item, and good
items stand in front, so that most of what is not clicked was never looked at.
"""

import numpy as np
import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config.run import preset
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.experiments import list_simulator
from jump_tf.runs import model_factory
from tests import simulated_lists
from tests import small_lists

SMALL = (
    *("model.embedding_size=8", "model.units=16", "model.dropout=0.1"),
    *("model.head_units=16", "model.head_layers=1", "model.head_dropout=0"),
    *("training.epochs=4", "training.learning_rate=0.005"),
)
OBJECTIVES = {
    "plain": (),
    # Hazards that may be learned from the place would be those of the place.
    "survival": (
        *("model.objective=survival", "model.censor_weight=0.05"),
        *("model.positions=0", "model.offset_input=false"),
    ),
    "no place": ("model.positions=0", "model.offset_input=false"),
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A simulation, and the folder of its lists, of which the last are test."""
    simulation = list_simulator.simulate(
        list_simulator.ListSimulatorConfig(
            num_lists=5000,
            num_items=60,
            observation=list_simulator.STOP,
            keep=0.8,
            ranked=0.6,
            excitement=0.0,
        )
    )
    lists, vocabulary = simulated_lists.to_lists(simulation)
    splits = {
        schema.TRAIN: lists[:3500],
        schema.VALIDATION: lists[3500:4000],
        schema.TEST: lists[4000:],
    }
    folder = tmp_path_factory.mktemp("simulated")
    small_lists.write_folder(folder, splits, list_simulator.FIELDS, vocabulary)
    return simulation, folder


def concordance(simulated, settings, run):
    """Share of pairs of a test list that are in the order of their relevance,

    as the model scores them before anybody has seen the list.
    """
    simulation, folder = simulated
    config = preset("heroes").override([*SMALL, *settings])
    tasks.train(config, folder, run, verbose=0)
    model = model_factory.load_run(run)
    _, answers = list_predictions.predictor(model)(
        list_evaluation.batches(model, folder, schema.TEST),
        [list_predictions.FREE],
    )
    scores = np.zeros(len(simulation.lists))
    files = [4000 + n for shard in range(2) for n in range(shard, 1000, 2)]
    of_list = np.split(
        np.arange(len(simulation.lists)),
        simulation.lists.searchsorted(np.arange(1, 5000)),
    )
    order = np.concatenate([of_list[n] for n in files])
    scores[order] = answers[list_predictions.FREE].log_click
    return simulated_lists.relevance_concordance(
        simulation, scores, simulation.lists >= 4000
    )


@pytest.mark.exhaustive
def test_hazards_come_nearer_to_the_true_order(simulated, tmp_path):
    found = {
        name: concordance(simulated, settings, tmp_path / name)
        for name, settings in OBJECTIVES.items()
    }
    print(found)
    assert found["survival"] > found["plain"] + 0.03
    assert found["survival"] > found["no place"] + 0.03
    assert found["survival"] > 0.86
