"""Models as a configuration, a data folder or a run asks for them."""

import dataclasses
import pathlib

from jump_tf import input_pipeline
from jump_tf import runs
from jump_tf import schema
from jump_tf.checkpoints import load_best
from jump_tf.config import Config
from jump_tf.config import TrainingConfig
from jump_tf.models.atrp import ATRP
from jump_tf.models.dtgru import DTGRU
from jump_tf.models.gru4rec import GRU4Rec
from jump_tf.models.joint_model import JointModel
from jump_tf.models.jump import JUMP
from jump_tf.models.narm import NARM
from jump_tf.models.nsr import NSR
from jump_tf.models.rmtpp import RMTPP
from jump_tf.models.sasrec import SASRec
from jump_tf.optimizers import LazyAdam

MODELS: dict[str, type[JointModel]] = {
    "jump": JUMP,
    "gru4rec": GRU4Rec,
    "rmtpp": RMTPP,
    "atrp": ATRP,
    "nsr": NSR,
    "narm": NARM,
    "dtgru": DTGRU,
    "sasrec": SASRec,
}


def build_model(
    config: Config, data: pathlib.Path, num_items: int | None = None
) -> JointModel:
    """A fresh model that knows how often each item is clicked in `data`.

    Of items beyond those of `data`, it knows that they are not.
    """
    if num_items is None:
        num_items = input_pipeline.read_manifest(data)["num_items"]
    model = _empty_model(config, num_items, config.training.dtype)
    model.sampler.set_counts(input_pipeline.item_counts(data, num_items))
    return model


def compile_model(model: JointModel, training: TrainingConfig) -> None:
    """Gives a model its optimizer."""
    optimizer = LazyAdam(
        training.learning_rate, global_clipnorm=training.clip_norm
    )
    model.compile(optimizer=optimizer, jit_compile=training.jit_compile)


def compiled(config: Config, num_items: int) -> JointModel:
    """A fresh model that knows no data, with its optimizer."""
    model = _empty_model(config, num_items, config.training.dtype)
    compile_model(model, config.training)
    return model


def load_run(run: pathlib.Path) -> JointModel:
    """The model of a run with the weights of its best epoch, in float32.

    Raises:
        InputError: it is not the folder of a trained run.
    """
    config = runs.read_config(run)
    model = _empty_model(config, len(runs.read_vocabulary(run)), "float32")
    load_best(run, model)
    return model


def with_data(config: Config, data: pathlib.Path) -> Config:
    """Fills in what the model takes from its data."""
    manifest = input_pipeline.read_manifest(data)
    model = dataclasses.replace(
        config.model, max_dwell_seconds=float(manifest["max_dwell_seconds"])
    )
    if model.initial_log_dwell is None:
        mean = input_pipeline.mean_log_dwell(data)
        model = dataclasses.replace(model, initial_log_dwell=mean)
    return dataclasses.replace(config, model=model)


def _empty_model(config: Config, num_items: int, dtype: str) -> JointModel:
    model = MODELS[config.architecture](
        schema.FIRST_ITEM_ID + num_items,
        dtype=dtype,
        **dataclasses.asdict(config.model),
    )
    model.build()
    return model
