"""ESMM2: conversions by way of an action after the click."""

import keras

from jump_tf.config.list_models import ESMM2Config
from jump_tf.losses import multitask
from jump_tf.models.esmm import ESMM
from jump_tf.models.list_model import CONVERSION


@keras.saving.register_keras_serializable(package="jump_tf")
class ESMM2(ESMM):
    """ESMM whose r is decomposed: r = a u + (1 - a) v.

    In the paper, a visitor who clicked may take a decisive action (puts the
    item into the cart, say), with chance a, and buys with chance u after it
    and v without; a is taught by such actions. Lists know clicks and
    conversions alone, so that here the action is latent: a, u and v are towers
    of their own over the shared embeddings, and conversions teach all three.

    Options are the fields of `ESMM2Config`. Arguments, returns and masking: see
    `ListModel`; no feedback is read.

    Reference: Wen et al., Entire Space Multi-Task Modeling via Post-Click
    Behavior Decomposition, SIGIR 2020 (arXiv 1910.07099), eq. 3 to 6.
    """

    config: ESMM2Config

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        self.action_tower = self.make_head("action_tower")
        self.other_tower = self.make_head("other_tower")

    def build(self, input_shape=None):
        for tower in (self.action_tower, self.other_tower):
            tower.build((None, self.embedding.width))
        super().build(input_shape)

    def call(self, inputs, training=False):
        items = self.embed(inputs, training)
        outputs = self.towers(items, training)
        outputs[CONVERSION] = multitask.mixture_logits(
            self.action_tower(items, training=training),
            outputs[CONVERSION],
            self.other_tower(items, training=training),
        )
        return outputs
