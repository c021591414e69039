"""JUMP: a joint predictor for user click and dwell time (IJCAI 2018)."""

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config import JumpConfig
from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.dwell_heads import ItemDwellHead
from jump_tf.layers.dwell_heads import SharedDwellHead
from jump_tf.layers.dwell_history import HISTORY_SIZE
from jump_tf.layers.dwell_history import DwellHistory
from jump_tf.layers.fast_slow import FastSlow
from jump_tf.layers.session_attention import SessionAttention
from jump_tf.models.session_model import SessionModel


@keras.saving.register_keras_serializable(package="jump_tf")
class JUMP(SessionModel):
    """Embedding, fast-slow layer and attention under two heads.

        x_j = BatchNorm(V[i_j] + T[row(tau_j)])                        (16)
        h_j = FastSlow(h_{j-1}, x_j, ceil(tau_j / z) steps)        (14, 15)
        v_k = sum_{i <= k} a(i, k) h_i                             (12, 13)
        P(next click) = softmax(V v_k)                                  (9)
        log tau ~ Normal(mu(v_k, item), sigma)                     (6, 11)

    The defaults are the paper's; what differs in the `production` preset is
    an option each.

    Args:
        vocabulary_size: number of ids V, padding and unknown included.
        name: of the model.
        trainable: whether `fit` may change the weights.
        dtype: Keras dtype policy.
        **options: fields of `JumpConfig`.

    Call arguments, returns and masking: see `SessionModel`.
    """

    config: JumpConfig

    def __init__(
        self,
        vocabulary_size,
        *,
        name="jump",
        trainable=True,
        dtype=None,
        **options,
    ):
        config = JumpConfig(**options)
        super().__init__(
            vocabulary_size, config, name=name, trainable=trainable, dtype=dtype
        )
        self.items = keras.layers.Embedding(
            vocabulary_size, config.units, name="items"
        )
        self.click_embedding = ClickEmbedding(
            config.units,
            config.max_dwell_seconds,
            config.row_spacing,
            name="click_embedding",
        )
        self.fast_slow = FastSlow(
            config.units,
            config.micro_step_seconds,
            config.max_dwell_seconds,
            config.use_bias,
            config.tie_inputs,
            name="fast_slow",
        )
        self.attention = SessionAttention(config.residual, name="attention")
        self.click_dropout = keras.layers.Dropout(config.dropout)
        self.feature_dropout = keras.layers.Dropout(config.dropout)
        # Not the negatives' seed, or both would draw the same numbers.
        self.hiding = keras.random.SeedGenerator(config.seed + 1)
        if config.dwell_history:
            self.dwell_history = DwellHistory(
                config.max_dwell_seconds, name="dwell_history"
            )
        self.dwell_head = _dwell_head(vocabulary_size, config)

    def build(self, input_shape=None):
        clicks = (None, None, self.config.units)
        self.items.build()
        self.sampler.build()
        self.click_embedding.build(clicks)
        self.fast_slow.build(clicks, clicks[:-1])
        width = self.config.units + HISTORY_SIZE * self.config.dwell_history
        self.dwell_head.build((None, width))
        if self.config.item_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.vocabulary_size,), initializer="zeros"
            )
        if self.config.learned_start:
            self.start = self.add_weight(
                name="start",
                shape=(self.config.units,),
                initializer="glorot_uniform",
            )
        self.built = True

    def call(self, inputs, training=False):
        items = inputs[schema.ITEMS]
        dwell_seconds = inputs[schema.DWELL_SECONDS]
        real = items != schema.PAD_ID
        if training:
            items, dwell_seconds = self._hide(items, dwell_seconds)
        states = self.states(items, dwell_seconds, real, training)
        features = self.attention(states)
        features = self.feature_dropout(features, training=training)
        if self.config.dwell_history:
            history = self.dwell_history(dwell_seconds)
            features = ops.concatenate([features, history], axis=-1)
        return ops.concatenate([self._start_like(features), features], axis=1)

    def states(self, items, dwell_seconds, real, training=False):
        """`[B, T, d]` outputs of the fast-slow layer."""
        clicks = self.click_embedding(
            self._rows(items), dwell_seconds, real, training=training
        )
        clicks = self.click_dropout(clicks, training=training)
        return self.fast_slow(clicks, dwell_seconds)

    @property
    def item_variables(self):
        bias = [self.bias] if self.config.item_bias else []
        return [
            self.items.embeddings,
            *bias,
            *self.dwell_head.item_variables,
        ]

    def item_vectors(self, items=None):
        if items is None:
            vectors = self._normalized(self.items.embeddings)
        else:
            vectors = self._rows(items)
        if not self.config.item_bias:
            return vectors
        bias = self.bias if items is None else ops.take(self.bias, items, 0)
        return ops.concatenate([vectors, bias[..., None]], axis=-1)

    def queries(self, features):
        features = features[..., : self.config.units]
        if self.config.click_scale is not None:
            features = self.config.click_scale * self._normalized(features)
        if not self.config.item_bias:
            return features
        ones = ops.ones_like(features[..., :1])  # What the bias is times.
        return ops.concatenate([features, ones], axis=-1)

    def dwell_distribution(self, features, items, training=False):
        if self.config.dwell_head == "item":
            return self.dwell_head(features, items, None)
        return self.dwell_head(
            features, items, self._rows(items), training=training
        )

    def session_end_logits(self, features, items, training=False):
        return self.dwell_head.session_end(
            features, self._rows(items), training=training
        )

    def _rows(self, items):
        return self._normalized(self.items(items))

    def _normalized(self, vectors):
        if self.config.click_scale is None:
            return vectors
        return ops.normalize(vectors, axis=-1)

    def _start_like(self, features):
        shape = (ops.shape(features)[0], 1, features.shape[-1])
        if not self.config.learned_start:
            return ops.zeros(shape, features.dtype)
        history = shape[-1] - self.config.units
        return ops.broadcast_to(ops.pad(self.start, [[0, history]]), shape)

    def _hide(self, items, dwell_seconds):
        draws = keras.random.uniform((2, *ops.shape(items)), seed=self.hiding)
        hidden = (draws[0] < self.config.unknown_item_rate) & (
            items != schema.PAD_ID
        )
        return (
            ops.where(hidden, schema.OOV_ID, items),
            ops.where(
                draws[1] < self.config.unknown_dwell_rate,
                schema.UNKNOWN_DWELL,
                dwell_seconds,
            ),
        )


def _dwell_head(vocabulary_size, config):
    options = {
        "units": config.units,
        "scale": config.dwell_scale,
        "name": "dwell_head",
    }
    if config.initial_log_dwell is not None:
        options["initial_log_seconds"] = config.initial_log_dwell
    if config.dwell_head == "item":
        return ItemDwellHead(vocabulary_size, **options)
    return SharedDwellHead(dropout=config.dwell_dropout, **options)
