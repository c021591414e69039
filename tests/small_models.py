"""Tiny models of both kinds, for the tests of what is exported and served."""

import numpy as np

from jump_tf import schema
from jump_tf.models.jump import JUMP

UNITS = 6
VOCABULARY = [f"item-{number}" for number in range(9)] + ["größe 10"]
OPTIONS = {
    "jump": {"initial_log_dwell": 3.0},
    "shared": {
        "dwell_head": "shared",
        "dwell_history": True,
        "dwell_scale": None,
        "censoring": "followed",
        "end_weight": 0.1,
        "click_scale": 12.0,
        "item_bias": True,
        "learned_start": True,
        "residual": True,
        "click_residual": True,
        "row_spacing": "log",
        "tie_inputs": False,
        "use_bias": True,
    },
}


def make_model(options, seed=3):
    """A model in which every weight matters."""
    random = np.random.default_rng(seed)
    model = JUMP(
        vocabulary_size=len(VOCABULARY) + schema.FIRST_ITEM_ID,
        units=UNITS,
        **options,
    )
    model.build()
    for weight in model.trainable_weights:
        noise = 0.1 * random.normal(size=weight.shape)
        weight.assign(weight + noise.astype(np.float32))
    normalization = model.click_embedding.normalization
    normalization.moving_mean.assign(random.normal(size=UNITS))
    normalization.moving_variance.assign(random.uniform(0.5, 2.0, size=UNITS))
    return model
