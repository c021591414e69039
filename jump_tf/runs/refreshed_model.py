"""A trained model that reads the recent clicks of another data folder."""

import dataclasses
import pathlib

import numpy as np

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import recent_clicks
from jump_tf.models.joint_model import JointModel
from jump_tf.runs import folder
from jump_tf.runs import model_factory


def load_refreshed(run: pathlib.Path, data: pathlib.Path) -> JointModel:
    """The model of a run, with the clicks of all splits of a data folder.

    Items go by their names, as their ids differ between data folders; what the
    run does not know is nobody's transition.

    Args:
        run: folder of a trained run.
        data: a data folder, of later clicks for example.

    Raises:
        InputError: the model reads no recent clicks, or one of the folders is
            not what it should be.
    """
    config = folder.read_config(run)
    if not getattr(config.model, "recent_transitions", 0):
        raise schema.InputError(
            "`--recent-clicks` must be for a run with `recent_transitions`. "
            f"Received: {run}, which has none"
        )
    source = model_factory.load_run(run)
    names = folder.read_vocabulary(run)
    log = recent_clicks.read(
        data,
        schema.FIRST_ITEM_ID + len(names),
        list(folders.read_manifest(data)["splits"]),
        _ids_of_run(names, data),
    )
    sizes = dataclasses.replace(
        config.model,
        recent_entries=len(log.minutes),
        recent_periods=len(log.log_shares),
    )
    model = model_factory.empty_model(
        dataclasses.replace(config, model=sizes), len(names), "float32"
    )
    table = {id(weight) for weight in model.recent_transitions.table}
    for old, new in zip(source.weights, model.weights, strict=True):
        if id(new) not in table:
            new.assign(old)
    model.recent_transitions.set_log(log)
    return model


def _ids_of_run(names, data):
    """`[V]` the run's id of each id of the data folder."""
    ids = {name: id_ for id_, name in enumerate(names, schema.FIRST_ITEM_ID)}
    of_data = folders.read_vocabulary(data / schema.VOCABULARY_FILE)
    return np.array(
        [
            *range(schema.FIRST_ITEM_ID),
            *(ids.get(name, schema.OOV_ID) for name in of_data),
        ]
    )
