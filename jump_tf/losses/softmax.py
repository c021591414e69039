"""Losses as pure functions: stable, unreduced, sourced.

Losses over negatives that the batch shares have five arguments in common:

    queries: `[N, d]`.
    target_vectors: `[N, d]`, rows of the targets.
    targets: `[N]` ids.
    negative_vectors: `[S, d]`.
    negatives: `[S]` ids, drawn with replacement; where one is the row's
        target it is left out of that row.
"""

from keras import ops

from jump_tf import schema
from jump_tf.losses.logsumexp import NEVER
from jump_tf.losses.logsumexp import chunked_logsumexp
from jump_tf.losses.logsumexp import logsumexp_of_products
from jump_tf.losses.logsumexp import products


def all_item_logits(queries, item_vectors):
    """Scores of all ids; padding and unknown items can never be clicked.

    Args:
        queries: `[N, d]`.
        item_vectors: `[V, d]`, one row for each id.

    Returns:
        `[N, V]`.
    """
    return _items_only(products(queries, item_vectors))


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
    own = _own_scores(queries, ops.take(item_vectors, targets, axis=0))
    return logsumexp_of_products(queries, item_vectors, _items_only) - own


def chunked_softmax_cross_entropy(queries, item_vectors, targets, **options):
    """`softmax_cross_entropy` that never holds all logits.

    Args:
        queries: `[N, d]`.
        item_vectors: `[V, d]`, V known.
        targets: `[N]` ids, at least `FIRST_ITEM_ID`.
        **options: of `chunked_logsumexp`.

    Returns:
        `[N]`, unreduced.
    """
    own = _own_scores(queries, ops.take(item_vectors, targets, axis=0))
    return chunked_logsumexp(queries, item_vectors, **options) - own


def sampled_softmax_cross_entropy(
    queries, target_vectors, targets, negative_vectors, negatives, log_expected
):
    """Softmax over the target and negatives that the batch shares.

    Each negative's logit is lowered by the log of its expected count, which
    makes the sum over negatives an unbiased estimate of the softmax
    denominator; the target stands for itself.

    The first five arguments are those at the top of the module;
    `log_expected` `[S]` is the log of each negative's expected count.

    Returns:
        `[N]`, unreduced.

    Reference: Bengio & Senecal, IEEE Trans. Neural Networks 19(4), 2008.
    """
    hits = _hits(targets, negatives)
    others = logsumexp_of_products(
        queries,
        negative_vectors,
        # A sum with a row is part of the product before it; a difference not.
        lambda logits: ops.where(hits, NEVER, ops.add(logits, -log_expected)),
    )
    # log(e^own + e^others) - own, as a softplus of the gap.
    return ops.softplus(others - _own_scores(queries, target_vectors))


def log_sampled_weight(ids, negatives, log_expected):
    """Log of how much of `exp(score)` of some items the sampled sum holds.

    The sum over negatives holds an item as often as it was drawn, divided by
    how often that was to be expected.

    Args:
        ids: `[N, C]`.
        negatives: `[S]`.
        log_expected: `[S]`, the same for equal negatives.

    Returns:
        `[N, C]`, `NEVER` where none of the negatives is the item.
    """
    order = ops.argsort(negatives)
    drawn = ops.cast(ops.take(negatives, order), "int32")
    flat = ops.reshape(ops.cast(ids, "int32"), (-1,))
    first = ops.searchsorted(drawn, flat, side="left")
    times = ops.searchsorted(drawn, flat, side="right") - first
    last = ops.shape(negatives)[0] - 1
    expected = ops.take(ops.take(log_expected, order), ops.minimum(first, last))
    times = ops.cast(times, expected.dtype)
    weight = ops.log(ops.maximum(times, 1.0)) - expected
    return ops.reshape(ops.where(times > 0.0, weight, NEVER), ops.shape(ids))


def log_others(losses, own_scores):
    """`[N]` log of what stands beside `exp(own score)` in a denominator.

    Args:
        losses: `[N]`, `log(exp(own score) + others) - own score`.
        own_scores: `[N]`.
    """
    # log(e^loss - 1), without the difference of two large numbers.
    gap = ops.maximum(losses, 1e-6)
    return own_scores + gap + ops.log(-ops.expm1(-gap))


def without(log_total, logits):
    """`log(exp(log_total) - sum of exp(logits))`, of parts of the total.

    Args:
        log_total: `[N]`.
        logits: `[N, K]`, `NEVER` for none.

    Returns:
        `[N]`; at least a ten-thousandth of the total is left, as below that
        there is only rounding.
    """
    parts = ops.logsumexp(logits, axis=-1) - log_total
    return log_total + ops.log1p(-ops.exp(ops.minimum(parts, -1e-4)))


def bpr_max(
    queries,
    target_vectors,
    targets,
    negative_vectors,
    negatives,
    *,
    regularization,
    elu=None,
):
    """`-log sum_j w_j sigmoid(r - r_j) + regularization sum_j w_j r_j^2`.

    r is the target's score, r_j a negative's and w = softmax(r_j) over the
    negatives: those that score high count most. With `elu` all scores are
    `score if score > 0 else elu (exp(score) - 1)` first: that a negative is
    far below the others then neither costs nor gains, and the order of items
    is the same.

    The first five arguments are those at the top of the module;
    `regularization` is the weight of the scores' squares.

    Returns:
        `[N]`, unreduced.

    Reference: Hidasi & Karatzoglou, CIKM 2018 (arXiv 1706.03847), section 3.3.
    """
    own, others, hits = _scores(
        queries, target_vectors, targets, negative_vectors, negatives
    )
    if elu is not None:
        own, others = ops.elu(own, elu), ops.elu(others, elu)
    logits = ops.where(hits, NEVER, others)
    # sum_j w_j s_j with log w_j = r_j - logsumexp(r) and log s_j, in logs.
    log_wins = ops.logsumexp(
        logits + ops.log_sigmoid(own[:, None] - others), axis=-1
    ) - ops.logsumexp(logits, axis=-1)
    squares = _max_weighted(ops.square(others), others, hits)
    return regularization * squares - log_wins


def top1(queries, target_vectors, targets, negative_vectors, negatives):
    """`mean_j (sigmoid(r_j - r) + sigmoid(r_j^2))`.

    r is the target's score, r_j a negative's. Its authors take as negatives
    the other targets of the mini-batch, which is to draw them by popularity.

    The arguments are those at the top of the module.

    Returns:
        `[N]`, unreduced.

    Reference: Hidasi et al., ICLR 2016 (arXiv 1511.06939), section 3.1.3.
    """
    own, others, hits = _scores(
        queries, target_vectors, targets, negative_vectors, negatives
    )
    total = ops.sum(ops.where(hits, 0.0, _top1(own, others)), axis=-1)
    kept = ops.sum(ops.cast(~hits, others.dtype), axis=-1)
    return total / ops.maximum(kept, 1.0)


def top1_max(queries, target_vectors, targets, negative_vectors, negatives):
    """`sum_j w_j (sigmoid(r_j - r) + sigmoid(r_j^2))`.

    r is the target's score, r_j a negative's and w = softmax(r_j) over the
    negatives: those that score high count most.

    The arguments are those at the top of the module.

    Returns:
        `[N]`, unreduced.

    Reference: Hidasi & Karatzoglou, CIKM 2018 (arXiv 1706.03847), section 3.2.
    """
    own, others, hits = _scores(
        queries, target_vectors, targets, negative_vectors, negatives
    )
    return _max_weighted(_top1(own, others), others, hits)


def gbce(
    queries,
    target_vectors,
    targets,
    negative_vectors,
    negatives,
    *,
    num_items,
    calibration,
):
    """`-(log sigmoid(r)^b + sum_j log(1 - sigmoid(r_j))) / (k + 1)`.

    k negatives of a row are left; they are a share a = k / (num_items - 1) of
    all, and b = a (t (1 - 1 / a) + 1 / a) = 1 - t (1 - a), where t is the
    calibration: 0 is binary cross entropy, overconfident the fewer negatives
    there are; 1 takes all of that back. Derived for negatives drawn uniformly.

    The first five arguments are those at the top of the module; `num_items` is
    how many there are to draw from, `calibration` is t, in [0, 1].

    Returns:
        `[N]`, unreduced.

    Reference: Petrov & Macdonald, gSASRec, RecSys 2023 (arXiv 2308.07192).
    """
    own, others, hits = _scores(
        queries, target_vectors, targets, negative_vectors, negatives
    )
    kept = ops.sum(ops.cast(~hits, others.dtype), axis=-1)
    share = ops.minimum(kept / max(num_items - 1, 1), 1.0)
    power = 1.0 - calibration * (1.0 - share)
    # log(1 - sigmoid(x)) = log_sigmoid(-x), and log_sigmoid(x) = -softplus(-x).
    wrong = ops.where(hits, 0.0, ops.softplus(others))
    total = power * ops.softplus(-own) + ops.sum(wrong, axis=-1)
    return total / (kept + 1.0)


def _own_scores(queries, target_vectors):
    queries = ops.cast(queries, "float32")
    return ops.sum(queries * ops.cast(target_vectors, "float32"), axis=-1)


def _scores(queries, target_vectors, targets, negative_vectors, negatives):
    """Scores `[N]` of targets, `[N, S]` of negatives, which of them to omit."""
    others = products(queries, negative_vectors)
    own = _own_scores(queries, target_vectors)
    return own, others, _hits(targets, negatives)


def _top1(own, others):
    """What each negative costs: to outdo the target, and to be far from 0."""
    return ops.sigmoid(others - own[:, None]) + ops.sigmoid(ops.square(others))


def _hits(targets, negatives):
    return ops.equal(targets[:, None], negatives[None, :])


def _max_weighted(values, scores, hits):
    """`sum_j softmax(scores)_j values_j` over all but the hits."""
    weights = ops.softmax(ops.where(hits, NEVER, scores), axis=-1)
    # If all are hits, the softmax is uniform on what should not count.
    return ops.sum(ops.where(hits, 0.0, weights * values), axis=-1)


def _items_only(logits):
    """Takes padding and unknown out of reach, in place where TensorFlow can.

    Slicing their rows off copies the whole table, and its gradient again.
    """
    rows = ops.arange(ops.shape(logits)[0])
    reserved = ops.arange(schema.FIRST_ITEM_ID)
    where = ops.stack(ops.meshgrid(rows, reserved, indexing="ij"), axis=-1)
    where = ops.reshape(where, (-1, 2))
    never = ops.full(ops.shape(where)[:1], NEVER, logits.dtype)
    return ops.scatter_update(logits, where, never)
