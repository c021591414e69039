"""Models as a configuration, a data folder or a run asks for them."""

import dataclasses
import pathlib

from jump_tf import schema
from jump_tf.config.list_models import MEAN
from jump_tf.config.list_models import ListConfig
from jump_tf.config.run import Config
from jump_tf.config.run import TrainingConfig
from jump_tf.data import input_pipeline
from jump_tf.data import list_batches
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
from jump_tf.train.optimizer import LazyAdam

MODELS: dict[str, type[JointModel] | type[ListModel]] = {
    model.config_class.architecture: model
    for model in (
        *(JUMP, GRU4Rec, RMTPP, ATRP, NSR, NARM, DTGRU, SASRec),
        *(HeroesSessions, Heroes, ListRNN, DNN, ESMM, ESMM2, MMoE),
    )
}

Model = JointModel | ListModel


def build_model(
    config: Config, data: pathlib.Path, num_items: int | None = None
) -> Model:
    """A fresh model; one of sessions knows how often each item is clicked.

    Of items beyond those of `data`, it knows that they are not.
    """
    if num_items is None:
        num_items = input_pipeline.vocabulary_length(data)
    model = _empty_model(config, num_items, config.training.dtype)
    if isinstance(model, JointModel):
        model.sampler.set_counts(input_pipeline.item_counts(data, num_items))
    else:
        list_batches.check_complete(data, schema.TRAIN)
    return model


def compile_model(model: Model, training: TrainingConfig) -> None:
    """Gives a model its optimizer."""
    optimizer = LazyAdam(
        training.learning_rate, global_clipnorm=training.clip_norm
    )
    model.compile(optimizer=optimizer, jit_compile=training.jit_compile)


def compiled(config: Config, num_items: int) -> Model:
    """A fresh model that knows no data, with its optimizer."""
    model = _empty_model(config, num_items, config.training.dtype)
    compile_model(model, config.training)
    return model


def load_run(run: pathlib.Path) -> Model:
    """The model of a run with the weights of its best epoch, in float32.

    Raises:
        InputError: it is not the folder of a trained run.
    """
    config = folder.read_config(run)
    model = _empty_model(config, len(folder.read_vocabulary(run)), "float32")
    load_best(run, model)
    return model


def with_data(config: Config, data: pathlib.Path) -> Config:
    """Fills in what the model takes from its data.

    Raises:
        InputError: the model is for data of another kind.
    """
    manifest = input_pipeline.read_manifest(data)
    kind = manifest.get("kind", schema.SESSIONS)
    if kind != config.kind:
        raise schema.InputError(
            f"The model {config.architecture} must have a data folder of "
            f"{config.kind}. Received: {data}, which holds {kind}"
        )
    if isinstance(config.model, ListConfig):
        return _with_list_data(config, data, manifest["fields"])
    model = dataclasses.replace(
        config.model, max_dwell_seconds=float(manifest["max_dwell_seconds"])
    )
    if model.initial_log_dwell is None:
        mean = input_pipeline.mean_log_dwell(data)
        model = dataclasses.replace(model, initial_log_dwell=mean)
    return dataclasses.replace(config, model=model)


def _with_list_data(config, data, fields):
    if config.training.jit_compile:
        raise schema.InputError(
            "`training.jit_compile` must be off for models of lists, whose "
            "batches have no fixed shapes. Received: true"
        )
    bags = config.model.combine == MEAN
    if not bags and not fields:
        raise schema.InputError(
            f"`model.combine` must be {MEAN} where items have bags of "
            f"features. Received: {config.model.combine}, for {data}"
        )
    model = dataclasses.replace(config.model, num_fields=max(len(fields), 1))
    return dataclasses.replace(config, model=model)


def _empty_model(config: Config, num_items: int, dtype: str) -> Model:
    model = MODELS[config.architecture](
        schema.FIRST_ITEM_ID + num_items,
        dtype=dtype,
        **dataclasses.asdict(config.model),
    )
    model.build()
    return model
