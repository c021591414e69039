"""A row of weights for each item, for catalogues of millions."""

import keras
from keras import ops


def gather_rows(table, ids):
    """Rows `[..., d]` of a variable `[V, d]`, at a cost free of V.

    Keras' own `ops.take` reads the variable first. TensorFlow copies all of it
    for that, once single rows of it have been written.

    Args:
        table: Keras variable `[V, d]` that does not autocast.
        ids: `[...]` int.
    """
    variable = table.value
    if hasattr(variable, "_get"):  # Mirrored: this replica's own.
        variable = variable._get()
    if hasattr(variable, "sparse_read"):
        return variable.sparse_read(ids)
    return ops.take(variable, ids, axis=0)


@keras.saving.register_keras_serializable(package="jump_tf")
class EmbeddingTable(keras.layers.Layer):
    """Looks up rows so that a training step costs the same for any V.

    The gradient names the rows it touches; see `LazyAdam`. The whole table,
    `[V, d]` in the variable dtype, is the attribute `embeddings`.

    Args:
        vocabulary_size: number of ids V.
        units: size d of a row.
        embeddings_initializer: of the table.

    Call arguments:
        ids: `[...]` int, below V.

    Returns:
        `[..., d]` in the compute dtype.

    Masking: none; padding has a row like any other id.
    """

    def __init__(
        self,
        vocabulary_size,
        units,
        embeddings_initializer="uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.embeddings_initializer = keras.initializers.get(
            embeddings_initializer
        )

    def build(self, ids_shape=None):
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.vocabulary_size, self.units),
            initializer=self.embeddings_initializer,
            autocast=False,  # Or mixed precision would cast all of it.
        )

    def call(self, ids):
        rows = gather_rows(self.embeddings, ops.cast(ids, "int32"))
        return ops.cast(rows, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "embeddings_initializer": keras.initializers.serialize(
                self.embeddings_initializer
            ),
        }
