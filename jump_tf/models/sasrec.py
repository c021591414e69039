"""SASRec: a causal transformer over the session."""

import math

import keras
from keras import ops

from jump_tf.config.model_config import SASRecConfig
from jump_tf.layers.ligr_block import LiGRBlock
from jump_tf.layers.transformer_block import TransformerBlock
from jump_tf.models.pointing_model import PointingModel


@keras.saving.register_keras_serializable(package="jump_tf")
class SASRec(PointingModel):
    """Self-attention of each click to those before it.

        x_k = sqrt(d) e(i_k) + p_k
        features = LayerNorm(blocks(x))             (`TransformerBlock`)

    p_k is a learned position, counted from the first click; clicks beyond
    `max_positions` share the last one. Positions start of the size that item
    rows e have, which alone are then scaled, as in the authors' code: by the
    cosine, rows are of length one. The authors train by one negative for each
    click; a softmax over many serves it far better. Norms come before the
    layers, where theirs leave keys and values without. It sees no dwell.

    With `block` "ligr" this is eSASRec: the shifted session as the target, the
    layers of LiGR and a sampled softmax. Its authors draw 256 negatives for
    each click, evenly, count positions from the last click, and scale no rows.

    `dtype` is the policy of the blocks alone. Options are the fields of
    `SASRecConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: Kang & McAuley, ICDM 2018 (arXiv 1808.09781); on its loss,
    Klenitskiy & Vasilev, RecSys 2023 (arXiv 2309.07602); eSASRec, Tikhonovich
    et al., RecSys 2025 (arXiv 2508.06450).
    """

    config: SASRecConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.positions = keras.layers.Embedding(
            config.max_positions,
            config.units,
            # As rows start: of about length one where they are given that.
            embeddings_initializer="uniform"
            if config.click_scale is None
            else keras.initializers.RandomNormal(
                stddev=1.0 / math.sqrt(config.units)
            ),
            name="positions",
        )
        kind = LiGRBlock if config.block == "ligr" else TransformerBlock
        self.blocks = [
            kind(
                config.heads,
                config.feed_forward_ratio * config.units,
                config.dropout or 0.0,
                name=f"block_{index}",
                dtype=self.dtype_policy,
            )
            for index in range(config.blocks)
        ]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")

    def build(self, input_shape=None):
        shape = (None, None, self.config.units)
        self.positions.build()
        for block in self.blocks:
            block.build(shape)
        self.norm.build(shape)
        super().build(input_shape)

    def encode(self, items, dwell_seconds, real, training=False):
        position = ops.minimum(
            ops.arange(ops.shape(items)[1]), self.config.max_positions - 1
        )
        rows = self.rows(items)
        clicks = math.sqrt(self.config.units) * rows
        clicks = clicks + self.positions(position)[None]
        states = self.click_dropout(clicks, training=training)
        for block in self.blocks:
            states = block(states, training=training)
        states = self.norm(ops.cast(states, "float32"))
        return self.summarized(
            items, dwell_seconds, rows, rows, states, training
        )
