"""What training is told of a model's kind: one of sessions or one of lists."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.config.run import TrainingConfig
from jump_tf.data import input_pipeline
from jump_tf.data import list_batches
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import summaries as list_summaries
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.train import tensorboard


@dataclasses.dataclass(frozen=True)
class Task:
    """How models of one kind are trained and watched.

    Attributes:
        monitored: the name in `metrics.jsonl` of what the best epoch has most
            of, and patience waits for.
        shown: names in `metrics.jsonl` to what a line about an epoch calls
            them, with their format.
        validation: makes, of a model and a data folder, what is called after
            each epoch and returns its metrics without the `val_`.
        batches: of the training split, see `input_pipeline.training_batches`.
        callbacks: what writes for TensorBoard, see `tensorboard.callbacks`.
        has_unused_heads: whether a configuration trains a head by no loss;
            Keras would warn of weights without a gradient at every step.
    """

    monitored: str
    shown: dict[str, tuple[str, str]]
    validation: Callable[[Any, pathlib.Path], Any]
    batches: Callable[
        [Any, pathlib.Path, TrainingConfig, tf.Variable], tf.data.Dataset
    ]
    callbacks: Callable[..., list[keras.callbacks.Callback]]
    has_unused_heads: Callable[[Config], bool]

    def one_line(self, record: dict[str, Any]) -> str:
        """An epoch's record in words."""
        shown = ", ".join(
            f"{called} {record[name]:{form}}"
            for name, (called, form) in self.shown.items()
        )
        return (
            f"epoch {record['epoch']}: loss {record['loss']:.4f}, "
            f"validation {shown}"
        )


def task_of(config: Config) -> Task:
    """The task of a configuration's model."""
    return _TASKS[config.kind]


def _session_batches(model, data, training, epoch):
    return input_pipeline.training_batches(
        data,
        batch_sessions=training.batch_sessions,
        batch_clicks=training.batch_clicks,
        seed=training.seed,
        epoch=epoch,
        step_seconds=model.step_seconds,
        fixed_shapes=training.jit_compile,
    )


def _list_batches(model, data, training, epoch):
    return list_batches.training_batches(
        data,
        batch_lists=training.batch_sessions,
        batch_items=training.batch_clicks,
        max_list_length=model.config.max_list_length,
        seed=training.seed,
        epoch=epoch,
    )


_TASKS = {
    schema.SESSIONS: Task(
        monitored="val_recall_at_20",
        shown={
            "val_recall_at_20": ("recall@20", ".4f"),
            "val_mrr_at_20": ("MRR@20", ".4f"),
            "val_dwell_mae_seconds": ("dwell MAE in s", ".2f"),
        },
        validation=session_evaluation.Validation,
        batches=_session_batches,
        callbacks=tensorboard.callbacks,
        has_unused_heads=lambda config: not config.model.dwell_weight,
    ),
    schema.LISTS: Task(
        monitored="val_ctcvr_auc",
        shown={
            "val_ctr_auc": ("CTR AUC", ".4f"),
            "val_ctcvr_auc": ("CTCVR AUC", ".4f"),
            "val_ctcvr_log_loss": ("CTCVR log-loss", ".4f"),
        },
        validation=list_evaluation.Validation,
        batches=_list_batches,
        callbacks=list_summaries.callbacks,
        has_unused_heads=lambda config: (
            config.model.conversion_weight in (0, 1)
        ),
    ),
}
