"""DNN: a network for the click, another for the conversion."""

import keras
from keras import ops

from jump_tf.config.list_models import DNNConfig
from jump_tf.losses import multitask
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION
from jump_tf.models.list_model import ListModel


@keras.saving.register_keras_serializable(package="jump_tf")
class DNN(ListModel):
    """Two networks that share nothing, neither embeddings nor gradients.

    Both learn from all items shown: the one from clicks, the other from
    conversions. A network that gave pCTCVR by itself might exceed pCTR, and no
    r would be left between the two. So this one gives r, learned from pCTCVR =
    pCTR r in which pCTR is held fixed: no conversion moves the click network.
    It is ESMM-NS, ESMM without sharing, less the one gradient that is left
    between its networks.

    Options are the fields of `DNNConfig`. Arguments, returns and masking: see
    `ListModel`; no feedback is read.

    Reference: Ma et al., SIGIR 2018 (arXiv 1804.07931), section 3.1.
    """

    config: DNNConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        self.conversion_embedding = self.make_embedding("conversion_embedding")
        self.click_tower = self.make_head("click_tower")
        self.conversion_tower = self.make_head("conversion_tower")

    def build(self, input_shape=None):
        for embedding, tower in (
            (self.embedding, self.click_tower),
            (self.conversion_embedding, self.conversion_tower),
        ):
            embedding.build()
            tower.build((None, embedding.width))
        self.built = True

    def call(self, inputs, training=False):
        items = self.embed(inputs, training)
        for_conversion = self.embed(inputs, training, self.conversion_embedding)
        return {
            CLICK: self.click_tower(items, training=training),
            CONVERSION: self.conversion_tower(
                for_conversion, training=training
            ),
        }

    def joint_logits(self, outputs):
        return multitask.joint_logits(
            ops.stop_gradient(outputs[CLICK]), outputs[CONVERSION]
        )
