"""A session model of an encoder, the item table's scores and a dwell head."""

import keras
from keras import ops

from jump_tf import schema
from jump_tf.layers.dwell_features import HISTORY_SIZE
from jump_tf.layers.dwell_features import DwellHistory
from jump_tf.layers.dwell_heads import ItemDwellHead
from jump_tf.layers.dwell_heads import SharedDwellHead
from jump_tf.layers.embedding_table import EmbeddingTable
from jump_tf.models.session_model import SessionModel


class JointModel(SessionModel):
    """Everything around an encoder, which a subclass defines.

    Items are scored by the table that their clicks are read from. In training
    some items and dwells are masked, as serving will not know all of them.

    Arguments, returns and masking: see `SessionModel`.
    """

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.items = EmbeddingTable(vocabulary_size, config.units, name="items")
        self.scored = self.items
        if not config.tie_items:
            self.scored = EmbeddingTable(
                vocabulary_size, config.units, name="scored"
            )
        if config.item_bias:
            self.bias = EmbeddingTable(vocabulary_size, 1, "zeros", name="bias")
        dropout = config.dropout or 0.0
        self.click_dropout = keras.layers.Dropout(dropout)
        self.feature_dropout = keras.layers.Dropout(dropout)
        # Not the negatives' seed, or both would draw the same numbers.
        self.input_masking = keras.random.SeedGenerator(config.seed + 1)
        if config.dwell_history:
            self.dwell_history = DwellHistory(
                config.max_dwell_seconds, name="dwell_history"
            )
        self.dwell_head = self.make_dwell_head()

    def make_gru(self):
        """The layer `[B, T, d] -> [B, T, d]` of encoders that are a GRU."""
        return self.make_recurrent(keras.layers.GRU, "gru", reset_after=False)

    def make_dwell_head(self):
        """The layer `(features, items, rows) -> (distribution, end logits)`."""
        config, options = self.config, self.dwell_head_options()
        if config.dwell_head == "item":
            return ItemDwellHead(self.vocabulary_size, **options)
        return SharedDwellHead(
            components=config.dwell_components,
            dropout=config.dwell_dropout or 0.0,
            **options,
        )

    def dwell_head_options(self):
        """The arguments of every `DwellHead`."""
        config = self.config
        options = {
            "units": config.units,
            "scale": config.dwell_scale,
            "name": "dwell_head",
        }
        if config.initial_log_dwell is not None:
            options["initial_log_seconds"] = config.initial_log_dwell
        return options

    @property
    def encoded_width(self):
        """Size of what `encode` returns; queries are its first d columns.

        Beyond them are few plain numbers, which dropout spares.
        """
        return self.config.units

    @property
    def dwell_width(self):
        """Size of the dwell head's input."""
        return self.encoded_width + HISTORY_SIZE * self.config.dwell_history

    def encode(self, items, dwell_seconds, real, training=False):
        """`[B, T, encoded_width]` float32: row k - 1 knows k clicks.

        Args:
            items: `[B, T]` ids.
            dwell_seconds: `[B, T]`; negative or NaN where unknown.
            real: `[B, T]` bool, False on padding on the right.
            training: whether dropout and the like are on.
        """
        raise NotImplementedError

    def build(self, input_shape=None):
        self.items.build()
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer="ones",
            trainable=False,
            autocast=False,
        )
        if not self.config.tie_items:
            self.scored.build()
        self.sampler.build()
        self.dwell_head.build((None, self.dwell_width))
        if self.config.item_bias:
            self.bias.build()
        if self.config.learned_start:
            self.start = self.add_weight(
                name="start",
                shape=(self.config.units,),
                initializer="glorot_uniform",
                autocast=False,
            )
        self.built = True

    def call(self, inputs, training=False):
        items = inputs[schema.ITEMS]
        dwell_seconds = self.seen(inputs[schema.DWELL_SECONDS])
        real = items != schema.PAD_ID
        if training:
            items, dwell_seconds = self._hide(items, dwell_seconds)
        features = self.encode(items, dwell_seconds, real, training)
        features = self._drop_out(features, training)
        plain = self.plain_features(
            items, dwell_seconds, inputs.get(schema.START_MS)
        )
        features = ops.concatenate([features, *plain], axis=-1)
        return ops.concatenate([self.start_like(features), features], axis=1)

    def plain_features(self, items, dwell_seconds, start_ms=None):
        """What features hold beside the encoded: `[B, T, ...]` each.

        Args:
            items: `[B, T]` ids.
            dwell_seconds: `[B, T]`.
            start_ms: `[B]` instants at which the sessions began; None for the
                end of the log.
        """
        if self.config.dwell_history:
            return [self.dwell_history(dwell_seconds)]
        return []

    def seen(self, dwell_seconds):
        """The dwells as the model reads them: unknown if it reads none."""
        if self.config.dwell_input:
            return dwell_seconds
        return ops.full_like(dwell_seconds, schema.UNKNOWN_DWELL)

    @property
    def item_variables(self):
        bias = [self.bias.embeddings] if self.config.item_bias else []
        scored = [] if self.config.tie_items else [self.scored.embeddings]
        return [
            self.items.embeddings,
            *scored,
            *bias,
            *self.dwell_head.item_variables,
        ]

    def rows(self, items):
        return self._normalized(self.items(items))

    def item_vectors(self, items=None, rows=None):
        if items is None:
            vectors = self._normalized(self.scored.embeddings)
        elif rows is None or not self.config.tie_items:
            vectors = self._normalized(self.scored(items))
        else:
            vectors = rows
        if not self.config.item_bias:
            return vectors
        bias = self.bias.embeddings if items is None else self.bias(items)
        return ops.concatenate([vectors, bias], axis=-1)

    def queries(self, features, training=False):
        features = features[..., : self.config.units]
        if self.config.click_scale is not None:
            features = self.config.click_scale * self._normalized(features)
        if self.config.item_bias:
            ones = ops.ones_like(features[..., :1])  # What the bias is times.
            features = ops.concatenate([features, ones], axis=-1)
        return features if training else features / self.temperature

    def dwell_and_end(self, features, items, rows=None, training=False):
        if rows is None and self.config.dwell_head != "item":
            rows = self.rows(items)
        return self.dwell_head(features, items, rows, training=training)

    def _normalized(self, vectors):
        if self.config.click_scale is None:
            return vectors
        # Not `ops.normalize`, whose gradient at zero is not a number.
        square = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
        return vectors * ops.rsqrt(ops.maximum(square, 1e-14))

    def start_like(self, features):
        """`[B, 1, d]`, the features before a first click, as `[B, T, d]`."""
        shape = (ops.shape(features)[0], 1, features.shape[-1])
        if not self.config.learned_start:
            return ops.zeros(shape, features.dtype)
        history = shape[-1] - self.config.units
        return ops.broadcast_to(ops.pad(self.start, [[0, history]]), shape)

    def _drop_out(self, features, training):
        if self.encoded_width == self.config.units:
            return self.feature_dropout(features, training=training)
        summary, plain = ops.split(features, [self.config.units], axis=-1)
        summary = self.feature_dropout(summary, training=training)
        return ops.concatenate([summary, plain], axis=-1)

    def _hide(self, items, dwell_seconds):
        draws = keras.random.uniform(
            (2, *ops.shape(items)), seed=self.input_masking
        )
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
