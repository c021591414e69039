"""ESMM: two towers over shared embeddings, learned in the entire space."""

import keras

from jump_tf.config.list_models import ESMMConfig
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION
from jump_tf.models.list_model import ListModel


@keras.saving.register_keras_serializable(package="jump_tf")
class ESMM(ListModel):
    """Each item on its own: pCTR of one tower, pCVR = r of another.

    Clicks teach the first, conversions of all items shown both, through
    pCTCVR = pCTR r.

    Options are the fields of `ESMMConfig`. Arguments, returns and masking: see
    `ListModel`; no feedback is read.

    Reference: Ma et al., Entire Space Multi-Task Model, SIGIR 2018 (arXiv
    1804.07931); the towers are HEROES' heads.
    """

    config: ESMMConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        self.click_tower = self.make_head("click_tower")
        self.conversion_tower = self.make_head("conversion_tower")

    def build(self, input_shape=None):
        self.embedding.build()
        for tower in (self.click_tower, self.conversion_tower):
            tower.build((None, self.embedding.width))
        self.built = True

    def call(self, inputs, training=False):
        return self.towers(self.embed(inputs, training), training)

    def towers(self, items, training=False):
        """Logits of both towers, of embedded items `[B, M, n]`."""
        return {
            CLICK: self.click_tower(items, training=training),
            CONVERSION: self.conversion_tower(items, training=training),
        }
