"""Adam for embedding tables of which a batch sees few rows."""

import keras
import tensorflow as tf

from jump_tf.config.run import TrainingConfig
from jump_tf.layers.embedding_table import gather_rows


@keras.saving.register_keras_serializable(package="jump_tf")
class LazyAdam(keras.optimizers.Adam):
    """Adam that leaves the rows alone that a batch did not look up.

    For a sparse gradient (`tf.IndexedSlices`, as lookups in an `EmbeddingTable`
    give), with g_r the sum over every lookup of row r, and t the number of
    steps of the optimizer, not of the row:

        m_r <- m_r + (1 - beta_1) (g_r - m_r)
        v_r <- v_r + (1 - beta_2) (g_r^2 - v_r)
        w_r <- w_r - lr sqrt(1 - beta_2^t) / (1 - beta_1^t)
                     m_r / (sqrt(v_r) + epsilon)

    Rows without a lookup keep w, m and v bit by bit: their moments do not
    decay and they do not coast on old gradients, as they would in Adam. A step
    costs as much as the lookups, whatever the size of the table; Keras' Adam
    makes such a gradient dense.

    Dense gradients, and `amsgrad`, are Keras' Adam. Clipping sees the summed
    rows, so that norms are those of the dense gradient; on several replicas,
    those of the sum of their gradients. Weight decay, moving averages and the
    accumulation of gradients work, over the whole table.

    Args: see `keras.optimizers.Adam`.

    Reference: Kingma & Ba, ICLR 2015, section 2.
    """

    def update_step(self, gradient, variable, learning_rate):
        if not isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        scale = tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        m = self._moved(
            self._momentums[index], gradient, gradient.values, self.beta_1
        )
        v = self._moved(
            self._velocities[index],
            gradient,
            tf.square(gradient.values),
            self.beta_2,
        )
        rate = tf.cast(learning_rate, variable.dtype) * scale
        change = rate * m / (tf.sqrt(v) + self.epsilon)
        self.assign_sub(variable, _with_values(gradient, change))

    def _moved(self, slot, gradient, towards, beta):
        """Moves the gradient's rows of a slot, and returns them."""
        old = gather_rows(slot, gradient.indices)
        new = old + (1.0 - beta) * (towards - old)
        self.assign(slot, _with_values(gradient, new))
        return new

    def _clip_gradients(self, grads):
        # Keras (3.15) comes by here with all gradients, clipping or not. It
        # clips each replica's gradient and only then sums them: the norm would
        # be that of a slice of the batch. So they are summed here.
        if self._has_replicas:
            replica = tf.distribute.get_replica_context()
            grads = replica.all_reduce(tf.distribute.ReduceOp.SUM, list(grads))
        grads = [
            sum_duplicates(gradient)
            if isinstance(gradient, tf.IndexedSlices)
            else gradient
            for gradient in grads
        ]
        # The rows left out are zero, which no norm and no bound sees.
        clipped = super()._clip_gradients(
            [getattr(gradient, "values", gradient) for gradient in grads]
        )
        return [
            _with_values(gradient, values)
            if isinstance(gradient, tf.IndexedSlices)
            else values
            for gradient, values in zip(grads, clipped, strict=True)
        ]

    def _all_reduce_sum_gradients(self, grads_and_vars):
        # Summed before they were clipped: once more would count them twice.
        if self._has_replicas:
            return list(grads_and_vars)
        return super()._all_reduce_sum_gradients(grads_and_vars)

    @property
    def _has_replicas(self):
        return self._distribution_strategy.num_replicas_in_sync > 1


def compile_model(model: keras.Model, training: TrainingConfig) -> None:
    """Gives a model, which is built, its optimizer."""
    optimizer = LazyAdam(
        training.learning_rate, global_clipnorm=training.clip_norm
    )
    # Else Keras builds it within the first step, which is then traced twice.
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=training.jit_compile)


def sum_duplicates(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Sums the values of each row, so that each is named once."""
    ids, position = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(
        gradient.values, position, tf.size(ids)
    )
    return tf.IndexedSlices(values, ids, gradient.dense_shape)


def _with_values(gradient, values):
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
