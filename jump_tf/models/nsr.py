"""NSR: the neural survival recommender."""

import math

import keras
import numpy as np
from keras import ops

from jump_tf.config.model_config import NSRConfig
from jump_tf.layers.dwell_features import GAP_SIZE
from jump_tf.layers.dwell_features import gap_features
from jump_tf.layers.dwell_heads import DwellHead
from jump_tf.models.joint_model import JointModel
from jump_tf.survival.parametric import PiecewiseHazard

_LOG_HAZARDS = (-14.0, 2.0)  # From never to at once, for dwells of seconds.


def bin_edges(bins, max_seconds):
    """Where each bin begins: 0, then evenly in log up to short of c1."""
    edges = np.geomspace(1.0, max_seconds, bins + 1)[1:-1]
    return (0.0, *map(float, edges))


@keras.saving.register_keras_serializable(package="jump_tf")
class PiecewiseDwellHead(DwellHead):
    """The 3-way unit: log hazards of K bins, from state and item.

        f_u = W_u u + a_u,   f_h = W_h h + a_h
        log hazard = W_s h + W_f (f_u * f_h) + b

    W_s and W_f start at zero and b at the constant hazard whose median is
    `exp(initial_log_seconds)`; a_h starts at one, so that an item has a hazard
    whatever the session is.

    Args:
        edges: where the bins begin, K increasing seconds from 0.
        dropout: rate, in training, on h and on f_u * f_h.
        **kwargs: see `DwellHead`; the distribution has no `scale`.

    Call arguments: see `DwellHead`.

    Returns:
        `PiecewiseHazard` of K times `[N]`, and None.
    """

    def __init__(self, edges, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.edges = tuple(edges)
        self.dropout = dropout
        self.dropout_layer = keras.layers.Dropout(dropout)
        first = math.log(math.log(2.0)) - self.initial_log_seconds
        self.from_item = keras.layers.Dense(self.units, name="from_item")
        self.from_state = keras.layers.Dense(
            self.units, bias_initializer="ones", name="from_state"
        )
        self.state_hazards = keras.layers.Dense(
            len(self.edges),
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(first),
            name="state_hazards",
        )
        self.joint_hazards = keras.layers.Dense(
            len(self.edges),
            use_bias=False,
            kernel_initializer="zeros",
            name="joint_hazards",
        )

    def build(self, features_shape):
        shape = (None, self.units)
        self.from_item.build(shape)
        self.from_state.build(shape)
        self.state_hazards.build(shape)
        self.joint_hazards.build(shape)

    def call(self, features, items, item_vectors, training=False):
        joint = self.from_item(item_vectors) * self.from_state(features)
        features, joint = (
            self.dropout_layer(units, training=training)
            for units in (features, joint)
        )
        hazards = self.state_hazards(features) + self.joint_hazards(joint)
        hazards = ops.clip(hazards, *_LOG_HAZARDS)
        return (
            PiecewiseHazard(tuple(ops.unstack(hazards, axis=-1)), self.edges),
            None,
        )


@keras.saving.register_keras_serializable(package="jump_tf")
class NSR(JointModel):
    """An LSTM over clicks and their dwells; a hazard in steps.

        x_j = tanh(W [V[y_j]; g(tau_j)] + b)
        h_j = LSTM(h_{j-1}, x_j)
        P(next click) = softmax(U h_k + c)
        hazard of tau_{k+1} in bin m = exp(3-way unit(h_k, V[y_{k+1}]))_m

    The original tells when a user comes back and what is consumed then. Here
    the time is the dwell on the next click, whose item stands where the user's
    embedding stood; one next click takes the place of Poisson counts, and
    hazards are exponentials, which cover seconds to hours, instead of
    softplus. The hour of the week is not among our inputs and is left out.

    `dtype` is the policy of the LSTM and what it reads alone. Options are the
    fields of `NSRConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: Jing & Smola, WSDM 2017.
    """

    config: NSRConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.dense = keras.layers.Dense(
            config.units, "tanh", name="dense", dtype=self.dtype_policy
        )
        self.lstm = self.make_recurrent(keras.layers.LSTM, "lstm")

    def make_dwell_head(self):
        edges = bin_edges(self.config.bins, self.config.max_dwell_seconds)
        return PiecewiseDwellHead(
            edges, self.config.hazard_dropout, **self.dwell_head_options()
        )

    def build(self, input_shape=None):
        units = self.config.units
        self.dense.build((None, None, units + GAP_SIZE))
        self.lstm.build((None, None, units))
        super().build(input_shape)

    def encode(self, items, dwell_seconds, real, training=False):
        clicks = self.click_dropout(self.rows(items), training=training)
        gaps = gap_features(dwell_seconds, self.config.max_dwell_seconds)
        events = self.dense(ops.concatenate([clicks, gaps], axis=-1))
        return ops.cast(self.lstm(events), "float32")
