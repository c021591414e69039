"""HEROES on sessions: a click engages, and a long look satisfies."""

import keras
from keras import ops

from jump_tf.config.model_config import HeroesSessionsConfig
from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.feedback_rnn import FeedbackRNN
from jump_tf.layers.heroes_cell import HeroesCell
from jump_tf.models.joint_model import JointModel


@keras.saving.register_keras_serializable(package="jump_tf")
class HeroesSessions(JointModel):
    """The two layers of HEROES over clicks and their dwells.

    A session has no items that were shown and not clicked, so what drives the
    upper layer and resets the lower one is not the click but that it
    satisfied: g_k = 1 where the visitor stayed for `satisfied_seconds`. An
    unknown dwell satisfies nobody yet.

        x_k = BatchNorm(V[i_k] + T[row(tau_k)])
        h^c_k, h^v_k = HeroesCell(x_k, g_k)
        P(next click) from h^c_k; the dwell on it from [h^c_k; h^v_k]

    The dwell head takes the place of the conversion's; g_k is the past's when
    click k + 1 is predicted, so that h^v_k may know it.

    `dtype` is the policy of the cell alone. Options are the fields of
    `HeroesSessionsConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: HEROES, arXiv 2208.01889; that it is put on sessions is ours.
    """

    config: HeroesSessionsConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.click_embedding = ClickEmbedding(
            config.units,
            config.max_dwell_seconds,
            "log",
            name="click_embedding",
        )
        cell = HeroesCell(
            config.units,
            None,  # No click is unknown, so that none is foretold.
            unit=config.cell,
            label_leak=True,
            name="cell",
            dtype=self.dtype_policy,
        )
        self.feedback_rnn = FeedbackRNN(
            cell, name="feedback_rnn", dtype=self.dtype_policy
        )

    def build(self, input_shape=None):
        clicks = (None, None, self.config.units)
        self.click_embedding.build(clicks)
        self.feedback_rnn.build(clicks)
        super().build(input_shape)

    @property
    def encoded_width(self):
        return 2 * self.config.units

    def encode(self, items, dwell_seconds, real, training=False):
        clicks = self.click_embedding(
            self.rows(items), dwell_seconds, real, training=training
        )
        clicks = self.click_dropout(clicks, training=training)
        satisfied = dwell_seconds >= self.config.satisfied_seconds
        lower, upper = self.feedback_rnn(
            clicks, ops.cast(satisfied, clicks.dtype), training=True
        )
        upper = self.feature_dropout(upper, training=training)
        return ops.cast(ops.concatenate([lower, upper], axis=-1), "float32")
