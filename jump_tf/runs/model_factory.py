"""Models as a configuration, a data folder or a run asks for them."""

import dataclasses
import pathlib

from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.models.atrp import ATRP
from jump_tf.models.dnn import DNN
from jump_tf.models.dtgru import DTGRU
from jump_tf.models.esmm import ESMM
from jump_tf.models.esmm2 import ESMM2
from jump_tf.models.gru4rec import GRU4Rec
from jump_tf.models.heroes import Heroes
from jump_tf.models.heroes_sessions import HeroesSessions
from jump_tf.models.joint_model import JointModel
from jump_tf.models.jump import JUMP
from jump_tf.models.list_model import ListModel
from jump_tf.models.list_rnn import ListRNN
from jump_tf.models.mmoe import MMoE
from jump_tf.models.narm import NARM
from jump_tf.models.nsr import NSR
from jump_tf.models.rmtpp import RMTPP
from jump_tf.models.sasrec import SASRec
from jump_tf.runs import folder
from jump_tf.runs.checkpoints import load_best

MODELS: dict[str, type[JointModel] | type[ListModel]] = {
    model.config_class.architecture: model
    for model in (
        *(JUMP, GRU4Rec, RMTPP, ATRP, NSR, NARM, DTGRU, SASRec),
        *(HeroesSessions, Heroes, ListRNN, DNN, ESMM, ESMM2, MMoE),
    )
}

Model = JointModel | ListModel


def empty_model(
    config: Config, num_items: int, dtype: str | None = None
) -> Model:
    """Returns a built model that knows nothing of its data.

    Args:
        config: of the run, with its data.
        num_items: of its vocabulary.
        dtype: by default the configuration's.
    """
    model = MODELS[config.architecture](
        schema.FIRST_ITEM_ID + num_items,
        dtype=dtype or config.training.dtype,
        **dataclasses.asdict(config.model),
    )
    model.build()
    return model


def load_run(run: pathlib.Path) -> Model:
    """The model of a run with the weights of its best epoch, in float32.

    Raises:
        InputError: it is not the folder of a trained run.
    """
    config = folder.read_config(run)
    model = empty_model(config, len(folder.read_vocabulary(run)), "float32")
    load_best(run, model)
    return model
