"""Losses over lists as pure functions: stable, unreduced, sourced."""

from keras import ops


def joint_logits(click, conversion):
    """The logit of pCTCVR = sigmoid(click) sigmoid(conversion).

    Args:
        click: logits of pCTR, any shape.
        conversion: logits of r = P(conversion | click), the same shape.

    Returns:
        The same shape, finite for all finite logits.

    Reference: Ma et al., ESMM, SIGIR 2018 (arXiv 1804.07931), eq. 1.
    """
    log_both = ops.log_sigmoid(click) + ops.log_sigmoid(conversion)
    # 1 - p r = (1 - p) + p (1 - r): a sum, in which no digit is lost.
    log_not_both = ops.logaddexp(
        ops.log_sigmoid(-click),
        ops.log_sigmoid(click) + ops.log_sigmoid(-conversion),
    )
    return log_both - log_not_both


def mixture_logits(share, one, other):
    """The logit of `a u + (1 - a) v`, all three given by theirs.

    Args:
        share: logits of a, any shape.
        one: logits of u, the same shape.
        other: logits of v, the same shape.

    Returns:
        The same shape, finite for all finite logits.
    """
    log_share, log_rest = ops.log_sigmoid(share), ops.log_sigmoid(-share)

    def log_mixed(sign):
        return ops.logaddexp(
            log_share + ops.log_sigmoid(sign * one),
            log_rest + ops.log_sigmoid(sign * other),
        )

    return log_mixed(1.0) - log_mixed(-1.0)


def weighted_cross_entropy(logits, labels, positive_weight=1.0):
    """`-w y log p - (1 - y) log(1 - p)` with p = sigmoid(logits).

    Args:
        logits: any shape.
        labels: in {0, 1}, the same shape.
        positive_weight: w, what an event weighs against none.

    Returns:
        The same shape, unreduced.

    Reference: HEROES, arXiv 2208.01889, authors' code, where w is
    (1 - pi) / pi for an assumed rate pi of events.
    """
    # log(1 - sigmoid(x)) = log_sigmoid(-x), the latter without cancellation.
    return -(
        positive_weight * labels * ops.log_sigmoid(logits)
        + (1.0 - labels) * ops.log_sigmoid(-logits)
    )
