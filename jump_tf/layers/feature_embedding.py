"""Embeds the items of a list: their features, their place and their time."""

import math

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config.list_models import COMBINERS
from jump_tf.config.list_models import CONCATENATE
from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.layers.embedding_table import EmbeddingTable

DAY_SECONDS = 86_400.0


@keras.saving.register_keras_serializable(package="jump_tf")
class FeatureEmbedding(ConfiguredLayer):
    """`x_i`: rows of the item's features, of its position, and its time.

    Rows of features are put end to end or averaged, weighted by their values
    (over the sum of their magnitudes, so that no sign can make that zero).
    The time is one number, log(1 + offset) as a share of a day's. All rows
    start as N(0, 0.1^2).

    Args:
        vocabulary_size: number of feature ids V, padding and unknown included.
        units: size e of a row.
        num_fields: F, features of each item where they are concatenated.
        combine: "concatenate" or "mean", see `ListConfig`.
        positions: places with a row of their own; all later ones share the
            last. 0 for none.
        offset_input: whether to append the time.

    Call arguments:
        features: `[B, M, K]` ids, 0 on padding; K = F to concatenate.
        values: `[B, M, K]`, what each counts in a mean; not read otherwise.
        offset_seconds: `[B, M]` since the first item, at least 0.

    Returns:
        `[B, M, width]`.

    Masking: an item without features is padding and all zeros.

    Reference: HEROES, arXiv 2208.01889, and its authors' code.
    """

    def __init__(
        self,
        vocabulary_size,
        units,
        num_fields=1,
        combine=CONCATENATE,
        positions=0,
        offset_input=False,
        **kwargs,
    ):
        # A time rounded to bfloat16 before its log would be another.
        super().__init__(autocast=False, **kwargs)
        if combine not in COMBINERS:
            raise ValueError(
                f"`combine` must be one of {COMBINERS}. "
                f"Received: combine={combine}"
            )
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.num_fields = num_fields
        self.combine = combine
        self.positions = positions
        self.offset_input = offset_input
        self.rows = self._table(vocabulary_size, "features")
        if positions:
            self.position_rows = self._table(positions, "positions")

    @property
    def width(self):
        """Size of an embedded item."""
        fields = self.num_fields if self.combine == CONCATENATE else 1
        places = 1 if self.positions else 0
        return (fields + places) * self.units + bool(self.offset_input)

    def build(self, *shapes):
        self.rows.build()
        if self.positions:
            self.position_rows.build()

    def call(self, features, values, offset_seconds):
        number = features.shape[-1]
        if self.combine == CONCATENATE and number not in (
            None,
            self.num_fields,
        ):
            raise ValueError(
                f"`features` must have {self.num_fields} to an item. "
                f"Received: shape {features.shape}"
            )
        present = features != schema.PAD_ID
        parts = [self._combined(features, values, present)]
        lists, length = ops.shape(features)[:2]
        if self.positions:
            place = ops.minimum(ops.arange(length), self.positions - 1)
            rows = self.position_rows(place)[None]
            parts.append(ops.broadcast_to(rows, (lists, length, self.units)))
        if self.offset_input:
            time = ops.log1p(ops.maximum(offset_seconds, 0.0))
            time = time / math.log1p(DAY_SECONDS)
            parts.append(ops.cast(time, self.compute_dtype)[..., None])
        items = ops.concatenate(parts, axis=-1) if parts[1:] else parts[0]
        return ops.where(ops.any(present, axis=-1)[..., None], items, 0.0)

    def _combined(self, features, values, present):
        rows = self.rows(features)
        if self.combine == CONCATENATE:
            rows = ops.where(present[..., None], rows, 0.0)
            lists, length = ops.shape(features)[:2]
            return ops.reshape(
                rows, (lists, length, self.num_fields * self.units)
            )
        weights = ops.where(present, ops.cast(values, rows.dtype), 0.0)
        total = ops.sum(ops.abs(weights), axis=-1, keepdims=True)
        weights = weights / ops.where(total > 0.0, total, 1.0)
        return ops.sum(rows * weights[..., None], axis=-2)

    def _table(self, number, name):
        return EmbeddingTable(
            number,
            self.units,
            keras.initializers.RandomNormal(stddev=0.1),
            name=name,
            dtype=self.dtype_policy,
        )
