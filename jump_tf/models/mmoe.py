"""MMoE: experts that both tasks share, each by a gate of its own."""

import keras
from keras import ops

from jump_tf.config.list_models import MMoEConfig
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION
from jump_tf.models.list_model import ListModel


@keras.saving.register_keras_serializable(package="jump_tf")
class MMoE(ListModel):
    """Each item on its own, through a mixture of experts for each task.

        y_k = tower_k(sum_e softmax(W_k x)_e expert_e(x))

    with experts of one ReLU layer; as everywhere, the second task is r, taught
    by pCTCVR = pCTR r.

    Options are the fields of `MMoEConfig`. Arguments, returns and masking: see
    `ListModel`; no feedback is read.

    Reference: Ma et al., Modeling Task Relationships in Multi-task Learning
    with Multi-gate Mixture-of-Experts, KDD 2018, eq. 6 and 7.
    """

    config: MMoEConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.experts = keras.layers.Dense(
            config.experts * config.expert_units,
            activation="relu",
            name="experts",
            dtype=self.dtype_policy,
        )
        self.click_gate, self.conversion_gate = (
            keras.layers.Dense(
                config.experts,
                activation="softmax",
                use_bias=False,
                name=name,
                dtype=self.dtype_policy,
            )
            for name in ("click_gate", "conversion_gate")
        )
        self.click_tower = self.make_head("click_tower")
        self.conversion_tower = self.make_head("conversion_tower")

    def build(self, input_shape=None):
        self.embedding.build()
        items_shape = (None, None, self.embedding.width)
        for layer in (self.experts, self.click_gate, self.conversion_gate):
            layer.build(items_shape)
        for tower in (self.click_tower, self.conversion_tower):
            tower.build((None, self.config.expert_units))
        self.built = True

    def call(self, inputs, training=False):
        items = self.embed(inputs, training)
        lists, length = ops.shape(items)[:2]
        experts = ops.reshape(
            self.experts(items),
            (lists, length, self.config.experts, self.config.expert_units),
        )

        def mixed(gate):
            return ops.sum(gate(items)[..., None] * experts, axis=-2)

        return {
            CLICK: self.click_tower(mixed(self.click_gate), training=training),
            CONVERSION: self.conversion_tower(
                mixed(self.conversion_gate), training=training
            ),
        }
