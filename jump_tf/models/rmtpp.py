"""RMTPP: a recurrent marked temporal point process."""

import math

import keras
from keras import ops

from jump_tf.config.model_config import RMTPPConfig
from jump_tf.layers.dwell_features import GAP_SIZE
from jump_tf.layers.dwell_features import gap_features
from jump_tf.layers.dwell_heads import DwellHead
from jump_tf.models.joint_model import JointModel
from jump_tf.survival.parametric import Gompertz

# Within these, likelihoods and the squares of their gradients are float32.
_LOG_RATES = (-20.0, 2.0)
_LARGEST_GROWTH = 20.0
_FIRST_POSITIVE_SLOPE = 0.05


@keras.saving.register_keras_serializable(package="jump_tf")
class GompertzDwellHead(DwellHead):
    """`hazard(t) = exp(v . h + b + w t / scale)`: a Gompertz distribution.

    v starts at zero, and b such that the median is `exp(initial_log_seconds)`.

    Args:
        positive: whether w is a softplus, else free and zero at first.
        time_scale_seconds: the time in which w is counted.
        max_seconds: c1; up to there the hazard grows by exp(20) at most.
        **kwargs: see `DwellHead`; the distribution has no `scale`.

    Call arguments:
        features: `[N, d]`, states that know the click that is asked for.
        items, item_vectors: not read; `features` have read them.

    Returns:
        `Gompertz` of `[N]` rates and slopes, and None.
    """

    def __init__(self, positive, time_scale_seconds, max_seconds, **kwargs):
        super().__init__(**kwargs)
        self.positive = positive
        self.time_scale_seconds = time_scale_seconds
        self.max_seconds = max_seconds
        self.linear = keras.layers.Dense(
            1,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(
                self._first_log_rate()
            ),
            name="linear",
        )

    def build(self, features_shape):
        self.linear.build((None, self.units))
        first = math.log(math.expm1(_FIRST_POSITIVE_SLOPE))
        self.slope = self.add_weight(
            name="slope",
            shape=(),
            initializer=keras.initializers.Constant(
                first if self.positive else 0.0
            ),
        )

    def call(self, features, items, item_vectors):
        log_rate = ops.clip(self.linear(features)[..., 0], *_LOG_RATES)
        slope = ops.softplus(self.slope) if self.positive else self.slope
        slope = ops.minimum(
            slope / self.time_scale_seconds, _LARGEST_GROWTH / self.max_seconds
        )
        return Gompertz(log_rate, slope + ops.zeros_like(log_rate)), None

    def _first_log_rate(self):
        """`log(ln 2 * slope / (exp(slope * median) - 1))`."""
        median = math.exp(self.initial_log_seconds)
        if not self.positive:
            return math.log(math.log(2.0)) - self.initial_log_seconds
        slope = _FIRST_POSITIVE_SLOPE / self.time_scale_seconds
        return math.log(math.log(2.0) * slope / math.expm1(slope * median))


@keras.saving.register_keras_serializable(package="jump_tf")
class RMTPP(JointModel):
    """A recurrent network over items and gaps; the next gap is Gompertz.

        h_j = phi(W_y V[y_j] + W_t g(tau_{j-1}) + W_h h_{j-1} + b)
        P(next click) = softmax(U phi(A_h h_k + A_t g(tau_k) + a) + c)
        hazard of tau_{k+1} at t = exp(v . h_{k+1} + w t + b)

    Event j comes with the gap since event j - 1, which is the dwell on click
    j - 1: h_k does not know tau_k, and the features are `[h_k; g(tau_k)]`.

    The paper foretells mark and time of event k + 1 at once, from h_k, each
    independent of the other. Here the next click is asked for when its visitor
    has left the page, and tau_k is known; ATRP and NSR are told it. So A is,
    too, a layer that is not in the paper. While the visitor is on the page,
    tau_k is not known, and g says so.

    The dwell that is asked for is that on the next click, of which item and
    arrival are given; so its head first makes h_{k+1}, by one more step of the
    recurrent network on that item and tau_k.

    The dwell is decoded by its median, which is a closed form. The expected
    gap of the paper, by numerical integration, is infinite where w < 0.

    `dtype` is the policy of the recurrent network alone. Options are the fields
    of `RMTPPConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: Du, Dai, Trivedi, Upadhyay, Gomez-Rodriguez & Song, KDD 2016.
    """

    config: RMTPPConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.rnn = self.make_recurrent(
            keras.layers.SimpleRNN,
            "rnn",
            activation=config.activation,
            # At gain one the first click would weigh as much as the last.
            recurrent_initializer=keras.initializers.Orthogonal(0.5),
        )
        self.click_layer = keras.layers.Dense(
            config.units, config.activation, name="click_layer"
        )

    def make_dwell_head(self):
        return GompertzDwellHead(
            self.config.slope == "positive",
            self.config.time_scale_seconds,
            self.config.max_dwell_seconds,
            **self.dwell_head_options(),
        )

    @property
    def encoded_width(self):
        return self.config.units + GAP_SIZE

    def build(self, input_shape=None):
        self.rnn.build((None, None, self.config.units + GAP_SIZE))
        self.click_layer.build((None, self.encoded_width))
        super().build(input_shape)

    def encode(self, items, dwell_seconds, real, training=False):
        gaps = gap_features(dwell_seconds, self.config.max_dwell_seconds)
        before = ops.concatenate(
            [ops.zeros_like(gaps[:, :1]), gaps[:, :-1]], axis=1
        )
        events = self._events(self.rows(items), before, training)
        first = self.start_like(events[..., : self.config.units])[:, 0]
        states = self.rnn(events, initial_state=first)
        return ops.concatenate([ops.cast(states, "float32"), gaps], axis=-1)

    def queries(self, features, training=False):
        return super().queries(self.click_layer(features), training)

    def dwell_and_end(self, features, items, rows=None, training=False):
        if rows is None:
            rows = self.rows(items)
        state, gap = ops.split(features, [self.config.units], axis=-1)
        event = self._events(rows, gap, training)
        state, _ = self.rnn.cell(event, [state])
        return self.dwell_head(ops.cast(state, "float32"), items, rows)

    def _events(self, rows, gaps, training):
        clicks = self.click_dropout(rows, training=training)
        return ops.concatenate([clicks, gaps], axis=-1)
