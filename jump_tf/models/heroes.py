"""HEROES, and its authors' ablations."""

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config.list_models import HeroesConfig
from jump_tf.layers.feedback_rnn import FeedbackRNN
from jump_tf.layers.heroes_cell import HeroesCell
from jump_tf.layers.independent_cells import IndependentCells
from jump_tf.layers.soft_heroes_cell import SoftHeroesCell
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION
from jump_tf.models.list_model import ListModel


@keras.saving.register_keras_serializable(package="jump_tf")
class Heroes(ListModel):
    """Hierarchical recurrent layers of clicks and conversions.

    The lower layer moves with every item, the upper one with every click.
    Where a click is not known, what stands for it is computed along the list,
    see `HeroesConfig.feedback`. In training all clicks are known, and the heads
    are off the recurrence.

    Options are the fields of `HeroesConfig`. Arguments, returns and masking:
    see `ListModel`.

    Reference: Jin et al., Multi-Scale User Behavior Network for Entire Space
    Multi-Task Learning, CIKM 2022 (arXiv 2208.01889), by its authors' code.
    """

    config: HeroesConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.click_head = self.make_head("click_head")
        self.conversion_head = self.make_head("conversion_head")
        self.feedback_seeds = keras.random.SeedGenerator(config.seed + 1)
        self.feedback_rnn = FeedbackRNN(
            self._make_cell(), name="feedback_rnn", dtype=self.dtype_policy
        )

    def _make_cell(self):
        config = self.config
        options = {
            "soft_feedback": config.feedback == "soft",
            "name": "cell",
            "dtype": self.dtype_policy,
        }
        if config.cell == "soft":
            return SoftHeroesCell(config.units, self.click_head, **options)
        if not config.hierarchy:
            head = self.click_head if config.click_input else None
            return IndependentCells(config.units, config.cell, head, **options)
        return HeroesCell(
            config.units,
            self.click_head,
            config.cell,
            config.label_leak,
            config.accumulate_decay,
            **options,
        )

    def build(self, input_shape=None):
        self.embedding.build()
        for head in (self.click_head, self.conversion_head):
            head.build((None, self.config.units))
        self.feedback_rnn.build((None, None, self.embedding.width))
        self.built = True

    def call(self, inputs, training=False):
        items = self.embed(inputs, training)
        feedback, threshold = inputs[schema.CLICKED], None
        if self.config.feedback == "sampled" and not training:
            threshold = keras.random.uniform(
                ops.shape(feedback), seed=self.feedback_seeds
            )
        clicks, conversions = self.feedback_rnn(
            items, feedback, threshold, training=training
        )
        return {
            CLICK: self.click_head(clicks, training=training),
            CONVERSION: self.conversion_head(conversions, training=training),
        }
