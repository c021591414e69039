"""Training on several devices, with the result of one.

A batch is cut into one slice of sessions for each replica. Everything that
depends on the whole batch is summed over the replicas: the number of clicks
that the loss is divided by, the moments of batch normalisation, the gradients.
Random draws come from seeds that all replicas step alike: negatives are the
same on all, as in one process; dropout and masked inputs repeat from replica
to replica, so that with them several devices train as well as one, but not to
the same numbers.
"""

import functools
import json
import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from jump_tf import schema

NONE = "none"
MIRRORED = "mirrored"
MULTIWORKER = "multiworker"
STRATEGIES = (NONE, MIRRORED, MULTIWORKER)
CLUSTER = "TF_CONFIG"


def split_cpu(number: int) -> None:
    """Makes this machine's processor look like several, to try things out.

    Raises:
        InputError: TensorFlow has begun to work.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * number
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        raise schema.InputError(
            "`--logical-cpus` must come before any work. "
            f"Received: {number} ({error})"
        ) from error


class Devices:
    """Where a model is trained. Make it before anything of TensorFlow.

    Args:
        name: `none`, one device; `mirrored`, all GPUs of this machine (all
            logical CPUs where it has none); `multiworker`, all devices of the
            processes that the environment variable TF_CONFIG lists.

    Raises:
        InputError: there is no such strategy, or TF_CONFIG is not fit for it.
    """

    def __init__(self, name: str = NONE):
        if name not in STRATEGIES:
            raise schema.InputError(
                f"`--strategy` must be one of {STRATEGIES}. Received: {name}"
            )
        self.several_processes = name == MULTIWORKER
        self.chief = True
        if name == NONE:
            self.strategy = tf.distribute.get_strategy()
        elif name == MIRRORED:
            self.strategy = tf.distribute.MirroredStrategy(_local_devices())
        else:
            self.chief = _read_cluster(os.environ.get(CLUSTER))
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._sum = tf.function(self._sum_over_processes)

    @property
    def replicas(self) -> int:
        """How many slices a batch is cut into."""
        return self.strategy.num_replicas_in_sync

    def cut(self, batches: tf.data.Dataset) -> Any:
        """What `fit` takes in the place of whole batches.

        Every process reads all of them and keeps its own slices: each session
        is with one replica, once an epoch. Shards are not dealt out, as then a
        batch would be another one for each number of processes.
        """
        if self.replicas == 1:
            return batches

        distributed = self.strategy.distribute_datasets_from_function(
            lambda context: own_slices(
                batches,
                self.replicas,
                context.num_input_pipelines,
                context.input_pipeline_id,
            )
        )
        # It counts slices; Keras (3.15) reads this as the number of steps.
        distributed._cardinality = batches.cardinality().numpy()
        return distributed

    def prepare(self, model: keras.Model) -> None:
        """Makes a compiled model train on slices as on whole batches."""
        if self.replicas == 1:
            return
        # Keras (3.15) builds the model from a batch, even one that is built:
        # it takes the mean of the replicas' slices, which fails where these
        # differ in length, and always under several workers.
        model._maybe_symbolic_build = lambda **_: None
        model.compute_loss = functools.partial(
            _share_of_loss, model.compute_loss
        )
        # Keras (3.15) normalises by the moments of all replicas where a layer
        # is `synchronized`, but not under a mask: each replica's slice then
        # has moments of its own.
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer._moments = functools.partial(_moments, layer)
        if self.several_processes:
            model.train_step = functools.partial(_vector_logs, model.train_step)

    def any(self, *flags: bool) -> list[bool]:
        """Whether any process raises each flag; all must call it at once."""
        if not self.several_processes:
            return list(flags)
        raised = self._sum(tf.constant(flags, tf.float32))
        return [bool(count) for count in raised.numpy()]

    def of_chief(self, flag: bool) -> bool:
        """The chief's flag; all processes must call it at once."""
        return self.any(flag and self.chief)[0]

    def _sum_over_processes(self, values):
        # Of a copy, which has a device.
        total = self.strategy.run(lambda: _all_reduce(tf.identity(values)))
        return self.strategy.experimental_local_results(total)[0]


def own_slices(
    batches: tf.data.Dataset, replicas: int, processes: int, process: int
) -> tf.data.Dataset:
    """The slices of each batch that the replicas of one process take.

    Args:
        batches: whole ones, the same in all processes.
        replicas: in all processes together.
        processes: that share them evenly.
        process: which of them, from 0.
    """
    local = replicas // processes

    def slice_of(replica, *batch):
        cut = functools.partial(_slice, replica=replica, replicas=replicas)
        return keras.tree.map_structure(cut, batch)

    mine = tf.data.Dataset.range(process * local, (process + 1) * local)
    return batches.flat_map(
        lambda *batch: mine.map(lambda n: slice_of(n, *batch))
    ).prefetch(2 * local)


def _local_devices() -> list[str]:
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]


def _read_cluster(text: str | None) -> bool:
    """Whether TF_CONFIG makes this process the chief.

    Raises:
        InputError: it is missing or does not say who takes part.
    """
    try:
        config = json.loads(text or "")
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], task["index"]
        known = 0 <= index < len(cluster[kind]) and not (
            {"chief", "worker"}.isdisjoint({kind})
            or set(cluster) - {"chief", "worker"}
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        known = False
    if not known:
        raise schema.InputError(
            f"`--strategy {MULTIWORKER}` must find in the environment variable "
            f"{CLUSTER} the cluster and this task, as in "
            '{"cluster": {"worker": ["a:4000", "b:4000"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: {text}'
        )
    return _is_chief(cluster, kind, index)


def _is_chief(cluster: Mapping[str, Any], kind: str, index: int) -> bool:
    return index == 0 and kind == ("chief" if "chief" in cluster else "worker")


def _slice(tensor, replica, replicas: int):
    """Rows of one replica; as even as can be, none where rows are few."""
    rows = tf.shape(tensor, tf.int64)[0]
    return tensor[replica * rows // replicas : (replica + 1) * rows // replicas]


def _all_reduce(values):
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _share_of_loss(
    compute_loss, x=None, y=None, y_pred=None, sample_weight=None, training=True
):
    """This replica's part of the loss, as Keras sums them up.

    A mean over a replica's clicks becomes its part of the mean over all. The
    value is the whole loss, evenly shared, which is what Keras averages over
    the epoch; the gradient is that of the part.
    """
    loss = compute_loss(x, y, y_pred, sample_weight, training=training)
    mine = tf.math.count_nonzero(sample_weight, dtype=loss.dtype)
    total, number = _all_reduce([tf.stop_gradient(loss) * mine, mine])
    part = loss * mine / number
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return part + tf.stop_gradient(total / number / replicas - part)


def _moments(layer, inputs, mask):
    """Mean and variance over the real clicks of all replicas."""
    axes = layer._reduction_axes
    real = tf.cast(mask[..., tf.newaxis], inputs.dtype)
    number, total = _all_reduce(
        [tf.reduce_sum(real), tf.reduce_sum(inputs * real, axes)]
    )
    number = number + keras.backend.epsilon()
    mean = total / number
    squares = tf.reduce_sum(tf.square(inputs - mean) * real, axes)
    return mean, _all_reduce(squares) / number


def _vector_logs(train_step, data):
    """Logs of one axis: Keras (3.15) averages them over workers along it."""
    logs = train_step(data)
    return keras.tree.map_structure(lambda log: tf.reshape(log, [1]), logs)
