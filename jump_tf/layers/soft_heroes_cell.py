"""The authors' early variant of HEROES: soft clicks, LSTM memories."""

import keras
from keras import ops

from jump_tf.layers.heroes_cell import HierarchicalCell
from jump_tf.layers.recurrent_units import LSTMUnit


@keras.saving.register_keras_serializable(package="jump_tf")
class SoftHeroesCell(HierarchicalCell):
    """Two LSTM layers linked by the predicted click g = pCTR, not the click.

    Gates i, f, o and the candidate z read the item and the layer's own last h.
    What comes over the links is added to the memory:

        m^c   = tanh((1 - g_{i-1}) A_cc h^c_{i-1} + g_{i-1} A_cv h^v_{i-1})
        s^c_i = m^c + i z + (1 - g_{i-1}) f s^c_{i-1};  h^c_i = o tanh(s^c_i)
        m^v   = tanh(A_vv h^v_{i-1} + g_i A_vc h^c_i)
        s^v_i = m^v + (1 - g_i) s^v_{i-1} + g_i (f s^v_{i-1} + i z)
        h^v_i = (1 - g_i) h^v_{i-1} + g_i o tanh(s^v_i)

    Args:
        units: size d of both layers.
        click_head: layer of h^c `[B, d]` to logits of a click `[B]`.

    Call arguments and returns: see `ListCell`. No feedback is read.

    Reference: HEROES, arXiv 2208.01889, authors' code, `heroes_simple`.
    """

    def __init__(self, units, click_head, **kwargs):
        super().__init__(
            units,
            click_head,
            lambda name: LSTMUnit(units, name=name, dtype=self.dtype_policy),
            **kwargs,
        )
        self.state_size = [units, units, 1, units, units]

    def project(self, items, feedback, threshold):
        del feedback, threshold
        columns = self.lower.project(items), self.upper.project(items)
        return ops.concatenate(columns, axis=-1)

    def call(self, inputs, states, training=False):
        last_clicks, last_conversions, last_chance, lower, upper = states
        to_lower, to_upper = ops.split(inputs, 2, axis=-1)
        link = ops.tanh(
            (1.0 - last_chance) * ops.matmul(last_clicks, self.lower_from_lower)
            + last_chance * ops.matmul(last_conversions, self.lower_from_upper)
        )
        gates = self.lower.gates(to_lower, last_clicks)
        kept = (1.0 - last_chance) * gates.forget * lower
        lower = link + gates.input * gates.candidate + kept
        clicks = gates.output * ops.tanh(lower)

        chance = self.chance(clicks)
        link = ops.tanh(
            ops.matmul(last_conversions, self.upper_from_upper)
            + chance * ops.matmul(clicks, self.upper_from_lower)
        )
        gates = self.upper.gates(to_upper, last_conversions)
        updated = gates.forget * upper + gates.input * gates.candidate
        upper = link + (1.0 - chance) * upper + chance * updated
        updated = gates.output * ops.tanh(upper)
        conversions = (1.0 - chance) * last_conversions + chance * updated
        return (
            ops.concatenate([clicks, conversions], axis=-1),
            [clicks, conversions, chance, lower, upper],
        )
