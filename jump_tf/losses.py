"""Losses as pure functions: stable, unreduced, sourced."""

from keras import ops

from jump_tf import schema

NEVER = -1e9  # A logit of something that cannot be clicked.


def catalogue_logits(queries, item_vectors):
    """Scores of all ids; padding and unknown items can never be clicked.

    Args:
        queries: `[N, d]`.
        item_vectors: `[V, d]`, one row for each id.

    Returns:
        `[N, V]`.
    """
    logits = ops.matmul(queries, ops.transpose(item_vectors))
    ids = ops.arange(ops.shape(item_vectors)[0])
    return ops.where(ids >= schema.FIRST_ITEM_ID, logits, NEVER)


def softmax_cross_entropy(queries, item_vectors, targets):
    """`-log softmax(V q)_target` over the whole catalogue.

    Args:
        queries: `[N, d]`.
        item_vectors: `[V, d]`.
        targets: `[N]` ids, at least `FIRST_ITEM_ID`.

    Returns:
        `[N]`, unreduced.

    Reference: JUMP, IJCAI 2018, eq. 9.
    """
    items = item_vectors[schema.FIRST_ITEM_ID :]
    logits = ops.matmul(queries, ops.transpose(items))
    own = ops.sum(queries * ops.take(item_vectors, targets, axis=0), axis=-1)
    # Faster than the fused op, which passes over the logits on one thread.
    return ops.logsumexp(logits, axis=-1) - own


def sampled_softmax_cross_entropy(
    queries, target_vectors, targets, negative_vectors, negatives, log_expected
):
    """Softmax over the target and negatives that the batch shares.

    Each negative's logit is lowered by the log of its expected count, which
    makes the sum over negatives an unbiased estimate of the softmax
    denominator; the target stands for itself.

    Args:
        queries: `[N, d]`.
        target_vectors: `[N, d]`, rows of the targets.
        targets: `[N]` ids.
        negative_vectors: `[S, d]`.
        negatives: `[S]` ids; where one is the row's target it is left out.
        log_expected: `[S]`, log of each negative's expected count among the S.

    Returns:
        `[N]`, unreduced.

    Reference: Bengio & Senecal, IEEE Trans. Neural Networks 19(4), 2008.
    """
    own = ops.sum(queries * target_vectors, axis=-1, keepdims=True)
    others = ops.matmul(queries, ops.transpose(negative_vectors)) - log_expected
    others = ops.where(negatives[None, :] == targets[:, None], NEVER, others)
    # log(e^own + sum e^others) - own, as a softplus of the gap.
    return ops.softplus(ops.logsumexp(others, axis=-1) - own[:, 0])
