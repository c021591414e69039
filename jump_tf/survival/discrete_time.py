"""Discrete-time survival analysis of lists: pure maths.

A visitor goes down a list until an event; then the wait for the next begins.
With h_i the hazard, the chance of the event at item i if it did not come since
the last one at item k:

    S_i = P(Z > i) = product of (1 - h_j) over k < j <= i
    P(Z = i) = h_i S_{i-1} = S_{i-1} - S_i

Reference: Jin et al., A Deep Recurrent Survival Model for Unbiased Ranking
(DRSR), SIGIR 2020 (arXiv 2004.14714). Its lists have one event; HEROES' have
several, so that all restarts after each.
"""

from keras import ops

from jump_tf.survival.distribution import log1mexp

NEVER = -1e9  # The log of an event that cannot have happened.


def survival_since_event(log_one_minus_hazard, events):
    """`log S_{i-1}`: of still waiting when item i comes, 0 after an event.

    With clicks as events this is the chance that an item is still looked at,
    if hazards are the visitor's of leaving or clicking.

    Args:
        log_one_minus_hazard: `[B, M]`, `log(1 - h)`.
        events: `[B, M]` in {0, 1}.

    Returns:
        `[B, M]`.
    """
    wait = ops.cumsum(events, axis=1) - events  # Events before the item.
    place = ops.arange(ops.shape(events)[1])
    counts = ops.logical_and(
        ops.equal(wait[:, :, None], wait[:, None, :]),
        place[:, None] > place[None, :],
    )
    # Sums of the wait's own terms: differences of sums would lose digits.
    return ops.sum(
        ops.where(counts, log_one_minus_hazard[:, None, :], 0.0), axis=-1
    )


def censored_nll(
    hazard_logits, events, weights, point_weight=1.0, censor_weight=0.2
):
    """Negative log-likelihood of all waits, each at its last item.

    A wait that an event ends at item i costs

        -point_weight log(S_{i-1} - S_i) - censor_weight log(1 - S_i),

    one that the list's end at item L cuts off, `-censor_weight log S_L`. The
    second of these terms says that the event came at all; as the wait ends
    with it, the observed length is i. Without it and with both weights 1, the
    sum over a list is the plain cross-entropy of the hazards.

    Args:
        hazard_logits: `[B, M]`.
        events: `[B, M]` in {0, 1}.
        weights: `[B, M]`, positive on real items; others count for nothing.
        point_weight: alpha.
        censor_weight: beta; the defaults are those of DRSR's code.

    Returns:
        `[B, M]`, unweighted, zero where no wait ends.
    """
    real = ops.cast(weights > 0, hazard_logits.dtype)
    events = events * real
    log_hazard = ops.log_sigmoid(hazard_logits)
    log_none = ops.log_sigmoid(-hazard_logits) * real
    log_before = survival_since_event(log_none, events)
    log_point = log_before + log_hazard
    # 1 - S_i = (1 - S_{i-1}) + P(Z = i): finite however small the hazards.
    begun = log_before < 0.0
    log_earlier = ops.where(
        begun, log1mexp(ops.where(begun, log_before, -1.0)), NEVER
    )
    log_happened = ops.logaddexp(log_earlier, log_point)
    at_event = point_weight * log_point + censor_weight * log_happened
    later = ops.flip(ops.cumsum(ops.flip(real, axis=1), axis=1), axis=1) - real
    cut_off = real * ops.cast(later == 0.0, real.dtype) * (1.0 - events)
    return -(
        events * at_event + cut_off * censor_weight * (log_before + log_none)
    )
