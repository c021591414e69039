"""HEROES' cells from their equations, a list at a time, in float64.

What a click does is spelt out, case by case; nothing is mixed or masked.
"""

import numpy as np

from tests.by_hand import sigmoid

HAWKES = ("iota", "iota_bar", "f", "f_bar", "o", "z", "delta")
LSTM = ("iota", "f", "o", "z")


class Unit:
    """A unit's weights, gate by gate.

    Args:
        layer: `HawkesUnit` or `LSTMUnit`.
        names: of its gates, in the order of its columns.
    """

    def __init__(self, layer, names):
        kernels, recurrent, biases = (
            np.split(np.float64(weight), len(names), axis=-1)
            for weight in (layer.kernel, layer.recurrent_kernel, layer.bias)
        )
        self.units = layer.units
        gates = zip(kernels, recurrent, biases, strict=True)
        self.weights = dict(zip(names, gates, strict=True))

    def gate(self, name, x, summary):
        w, u, b = self.weights[name]
        a = x @ w + b + summary @ u
        if name == "z":
            return np.tanh(a)
        if name == "delta":
            return 5.0 / (1.0 + np.exp(-a / 5.0))
        return sigmoid(a)

    def gates(self, x, summary):
        return {name: self.gate(name, x, summary) for name in self.weights}


def links(cell):
    """A_cc, A_cv, A_vv, A_vc."""
    return (
        np.float64(matrix)
        for matrix in (
            cell.lower_from_lower,
            cell.lower_from_upper,
            cell.upper_from_upper,
            cell.upper_from_lower,
        )
    )


def heroes(cell, items, clicks):
    """What the heads of a Hawkes `HeroesCell` read, `[m, d]` each.

    Args:
        cell: `HeroesCell`.
        items: `[m, n]`.
        clicks: `m` values in {0, 1}, or functions of h^c that give one.
    """
    lower, upper = Unit(cell.lower, HAWKES), Unit(cell.upper, HAWKES)
    a_cc, a_cv, a_vv, a_vc = links(cell)
    zero = np.zeros(cell.units)
    h_c, bar_c, tilde_c = zero, zero, zero
    h_v, c_v, bar_v, tilde_v, delta_v = zero, zero, zero, zero, zero
    last, of_clicks, of_conversions = 0, [], []

    def update(x, summary):
        q = upper.gates(x, summary)
        c = q["f"] * tilde_v + q["iota"] * q["z"]
        bar = q["f_bar"] * bar_v + q["iota_bar"] * q["z"]
        tilde = bar + (c - bar) * np.exp(-q["delta"])
        return c, bar, tilde, q["o"] * np.tanh(tilde), q["delta"]

    for x, click in zip(items, clicks, strict=True):
        if last:
            q = lower.gates(x, h_v @ a_cv)
            c, bar_c = q["iota"] * q["z"], q["iota_bar"] * q["z"]
        else:
            q = lower.gates(x, h_c @ a_cc)
            c = q["iota"] * q["z"] + q["f"] * tilde_c
            bar_c = q["iota_bar"] * q["z"] + q["f_bar"] * bar_c
        tilde_c = bar_c + (c - bar_c) * np.exp(-q["delta"])
        h_c = q["o"] * np.tanh(tilde_c)
        last = click(h_c) if callable(click) else click

        if_clicked = update(x, h_v @ a_vv + h_c @ a_vc)
        if last:
            c_v, bar_v, tilde_v, h_v, delta_v = if_clicked
        elif cell.accumulate_decay:
            tilde_v = bar_v + (tilde_v - bar_v) * np.exp(-delta_v)
        else:
            delta = upper.gate("delta", x, h_v @ a_vv)
            tilde_v = bar_v + (c_v - bar_v) * np.exp(-delta)
        of_clicks.append(h_c)
        of_conversions.append(h_v if cell.label_leak else if_clicked[3])
    return np.stack(of_clicks), np.stack(of_conversions)


def heroes_without_hawkes(cell, items, clicks):
    """As `heroes`, of a `HeroesCell` of LSTM units."""
    lower, upper = Unit(cell.lower, LSTM), Unit(cell.upper, LSTM)
    a_cc, a_cv, a_vv, a_vc = links(cell)
    zero = np.zeros(cell.units)
    h_c, s_c, h_v, s_v = zero, zero, zero, zero
    last, of_clicks, of_conversions = 0, [], []
    for x, click in zip(items, clicks, strict=True):
        q = lower.gates(x, h_v @ a_cv if last else h_c @ a_cc)
        s_c = q["iota"] * q["z"] + (0 if last else q["f"] * s_c)
        h_c = q["o"] * np.tanh(s_c)
        last = click(h_c) if callable(click) else click
        q = upper.gates(x, h_v @ a_vv + h_c @ a_vc)
        updated = q["f"] * s_v + q["iota"] * q["z"]
        if_clicked = q["o"] * np.tanh(updated)
        if last:
            s_v, h_v = updated, if_clicked
        of_clicks.append(h_c)
        of_conversions.append(h_v if cell.label_leak else if_clicked)
    return np.stack(of_clicks), np.stack(of_conversions)


def soft_heroes(cell, items, chance):
    """As `heroes`, of a `SoftHeroesCell`; `chance` is pCTR of h^c."""
    lower, upper = Unit(cell.lower, LSTM), Unit(cell.upper, LSTM)
    a_cc, a_cv, a_vv, a_vc = links(cell)
    zero = np.zeros(cell.units)
    h_c, s_c, h_v, s_v = zero, zero, zero, zero
    g, of_clicks, of_conversions = 0.0, [], []
    for x in items:
        q = lower.gates(x, h_c)
        hat = np.tanh((1 - g) * (h_c @ a_cc) + g * (h_v @ a_cv))
        s_c = hat + q["iota"] * q["z"] + (1 - g) * q["f"] * s_c
        h_c = q["o"] * np.tanh(s_c)
        g = chance(h_c)
        q = upper.gates(x, h_v)
        hat = np.tanh(h_v @ a_vv + g * (h_c @ a_vc))
        s_v = hat + (1 - g) * s_v + g * (q["f"] * s_v + q["iota"] * q["z"])
        h_v = (1 - g) * h_v + g * q["o"] * np.tanh(s_v)
        of_clicks.append(h_c)
        of_conversions.append(h_v)
    return np.stack(of_clicks), np.stack(of_conversions)


def motivate(layer, items):
    """h of a Hawkes unit on its own, decay first, `[m, d]`."""
    unit = Unit(layer, HAWKES)
    h = c = bar = np.zeros(unit.units)
    states = []
    for x in items:
        q = unit.gates(x, h)
        tilde = bar + (c - bar) * np.exp(-q["delta"])
        h = q["o"] * np.tanh(tilde)
        c = q["f"] * tilde + q["iota"] * q["z"]
        bar = q["f_bar"] * bar + q["iota_bar"] * q["z"]
        states.append(h)
    return np.stack(states)


def head(layer, features):
    """A `MLPHead`'s logits without dropout."""
    for dense in layer.hidden:
        features = features @ np.float64(dense.kernel) + np.float64(dense.bias)
        features = np.where(features > 0, features, 0.3 * features)
    logits = features @ np.float64(layer.logit.kernel)
    return (logits + np.float64(layer.logit.bias))[..., 0]
