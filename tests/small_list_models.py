"""Tiny models of lists, one or more of every kind, and a batch for them.

A new model joins the laws that all of them keep by an entry in
`ARCHITECTURES`.
"""

import numpy as np

from jump_tf import schema
from jump_tf.models.dnn import DNN
from jump_tf.models.esmm import ESMM
from jump_tf.models.esmm2 import ESMM2
from jump_tf.models.heroes import Heroes
from jump_tf.models.list_rnn import ListRNN
from jump_tf.models.mmoe import MMoE

VOCABULARY_SIZE, FIELDS, UNITS = 13, 2, 5
COMMON = {
    "num_fields": FIELDS,
    "embedding_size": 3,
    "positions": 3,
    "head_units": 4,
    "head_layers": 2,
    "head_dropout": 0.0,
    "click_positive_weight": 2.0,
    "conversion_positive_weight": 3.0,
}
RECURRENT = {"units": UNITS}
LINEAR = {"units": UNITS, "head_layers": 0}
SURVIVAL = {
    "objective": "survival",
    "click_positive_weight": 1.0,
    "conversion_positive_weight": 1.0,
}
# Name -> class and options; of one kind as many as compute something else.
ARCHITECTURES = {
    "heroes": (Heroes, RECURRENT),
    "leak": (Heroes, {**RECURRENT, "label_leak": True}),
    "accumulate": (Heroes, {**RECURRENT, "accumulate_decay": True}),
    "survival": (Heroes, {**RECURRENT, **SURVIVAL}),
    "bags": (Heroes, {**RECURRENT, "combine": "mean", "positions": 0}),
    "without hawkes": (Heroes, {**RECURRENT, "cell": "lstm"}),
    "soft": (Heroes, {**LINEAR, "cell": "soft"}),
    "motivate": (Heroes, {**RECURRENT, "hierarchy": False}),
    "lstms": (Heroes, {**RECURRENT, "cell": "lstm", "hierarchy": False}),
    "informed": (
        Heroes,
        {**RECURRENT, "cell": "lstm", "hierarchy": False, "click_input": True},
    ),
    "lstm": (ListRNN, {**RECURRENT, "positions": 0, "offset_input": False}),
    "rrn": (ListRNN, {**RECURRENT, "positions": 0}),
    "dnn": (DNN, {}),
    "esmm": (ESMM, {}),
    "esmm2": (ESMM2, {}),
    "mmoe": (MMoE, {"experts": 3, "expert_units": 4}),
}

LENGTHS = (5, 2, 4, 1)
CLICKED = np.float32(
    [[0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]]
)
CONVERTED = np.float32(
    [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
)
WEIGHTS = np.float32(np.arange(5) < np.array(LENGTHS)[:, None])
TARGETS = {schema.CLICKED: CLICKED, schema.CONVERTED: CONVERTED}


def _inputs():
    random = np.random.default_rng(6)
    shape = (*WEIGHTS.shape, FIELDS)
    features = random.integers(schema.OOV_ID, VOCABULARY_SIZE, shape)
    offsets = np.cumsum(random.exponential(60.0, WEIGHTS.shape), axis=1)
    offsets -= offsets[:, :1]
    return {
        schema.FEATURES: np.int32(features * WEIGHTS[..., None]),
        schema.FEATURE_VALUES: np.float32(
            random.uniform(0.5, 2.0, shape) * WEIGHTS[..., None]
        ),
        schema.OFFSET_SECONDS: np.float32(offsets * WEIGHTS),
        schema.CLICKED: CLICKED,
    }


INPUTS = _inputs()


def with_feedback(clicked):
    """The inputs with other feedback."""
    return {**INPUTS, schema.CLICKED: np.float32(clicked)}


def make_model(name, seed=3, dtype=None, **options):
    """A model in which every weight matters."""
    kind, own = ARCHITECTURES[name]
    model = kind(VOCABULARY_SIZE, dtype=dtype, **{**COMMON, **own, **options})
    model.build()
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(0.5 * random.normal(size=weight.shape))
    return model
