"""One version of a SavedModel in memory."""

import gc
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from jump_tf import schema

# What runs a signature's graph, its inputs, its outputs with their types.
_Callable = tuple[Callable[..., list], list[str], dict[str, Any]]


class LoadedModel:
    """A SavedModel in a session of its own, as TF Serving loads it.

    Args:
        folder: `<anything>/<version>/`, a SavedModel.
        threads: of one operation; 0 leaves it to TensorFlow.

    Attributes:
        version: its number.
        signature_defs: what can be asked, by name.

    Raises:
        InputError: the folder holds no SavedModel.
    """

    def __init__(self, folder: pathlib.Path, threads: int = 0):
        if not (folder / tf.saved_model.SAVED_MODEL_FILENAME_PB).is_file():
            raise schema.InputError(
                f"A version folder must hold a SavedModel. Received: {folder}"
            )
        self.version = int(folder.name)
        self._session = tf.compat.v1.Session(
            graph=tf.Graph(), config=_config(threads)
        )
        with self._session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(
                self._session, [tf.saved_model.SERVING], str(folder)
            )
        self.signature_defs: Mapping[str, meta_graph_pb2.SignatureDef] = dict(
            meta_graph.signature_def
        )
        self._callables: dict[str, _Callable] = {}

    def run(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        """Returns all outputs of a signature; may be called by many threads.

        The first call of a signature takes seconds, in which TensorFlow
        prepares the graph for these outputs. Every other choice of outputs
        would take as long, so all are computed, whatever is asked for.

        Args:
            signature: its name.
            inputs: every input of the signature, of its type.

        Raises:
            tf.errors.OpError: the graph refuses the inputs.
        """
        callable_ = self._callables.get(signature)
        if callable_ is None:
            callable_ = self._make_callable(signature)
        run, feeds, types = callable_
        values = run(*(inputs[name] for name in feeds))
        return {
            name: np.asarray(value, dtype)
            for (name, dtype), value in zip(types.items(), values, strict=True)
        }

    def close(self) -> None:
        """Frees the session and the graph. Nothing may be running."""
        self._callables.clear()
        self._session.close()
        del self._session
        # A graph is a cycle of small objects that hold much memory outside
        # Python's sight: the collector would come too late by itself.
        gc.collect()

    def _make_callable(self, signature: str) -> _Callable:
        definition = self.signature_defs[signature]
        feeds = sorted(definition.inputs)
        options = config_pb2.CallableOptions(
            feed=[definition.inputs[name].name for name in feeds],
            fetch=[info.name for info in definition.outputs.values()],
        )
        # The public `make_callable` is `Session.run` where there are feeds,
        # which takes 0.3 ms longer each time to find out the same.
        run = self._session._make_callable_from_options(options)
        types = {
            name: tf.as_dtype(info.dtype).as_numpy_dtype
            for name, info in definition.outputs.items()
        }
        return self._callables.setdefault(signature, (run, feeds, types))


def _config(threads: int) -> config_pb2.ConfigProto:
    config = config_pb2.ConfigProto(
        # Operations run in the thread that asks: handing each to another
        # costs more than the small ones of a session's graph.
        inter_op_parallelism_threads=-1,
        intra_op_parallelism_threads=threads,
    )
    # A second pass over the graph doubles the time to load it and leaves its
    # runs as fast as the first.
    rewrite = config.graph_options.rewrite_options
    rewrite.meta_optimizer_iterations = rewrite.ONE
    return config
