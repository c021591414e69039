import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.layers.popularity_sampler import PopularitySampler
from jump_tf.losses import softmax
from jump_tf.losses.logsumexp import NEVER


@pytest.fixture
def random():
    return np.random.default_rng(3)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def test_sampled_softmax_over_every_item_is_the_full_softmax(random):
    queries, items = normal(random, 3, 4), normal(random, 9, 4)
    targets = np.array([2, 8, 5])
    all_items = np.arange(schema.FIRST_ITEM_ID, 9)
    np.testing.assert_allclose(
        softmax.sampled_softmax_cross_entropy(
            queries,
            items[targets],
            targets,
            items[all_items],
            all_items,
            np.zeros(len(all_items), np.float32),
        ),
        softmax.softmax_cross_entropy(queries, items, targets),
        rtol=1e-5,
    )


def test_sampled_denominator_is_unbiased(random):
    """The mean over many draws nears the sum over all other items."""
    queries, items = normal(random, 1, 4), normal(random, 50, 4)
    counts = np.arange(50, 0, -1)
    sampler = PopularitySampler(50, power=0.5, seed=1)
    sampler.build()
    sampler.set_counts(counts)
    target = np.array([7])
    scores = np.exp(queries @ items.T)[0]
    others = scores[schema.FIRST_ITEM_ID :].sum() - scores[7]
    estimates = []
    for _ in range(300):
        negatives, log_expected = sampler(size=64)
        loss = softmax.sampled_softmax_cross_entropy(
            queries,
            items[target],
            target,
            items[np.asarray(negatives)],
            negatives,
            log_expected,
        )
        estimates.append((np.exp(loss) - 1.0) * scores[7])
    error = np.std(estimates) / np.sqrt(300)
    assert np.mean(estimates) == pytest.approx(others, abs=4 * error)


NUM_ITEMS = 31
SAMPLED = {
    "sampled_softmax": lambda *drawn: softmax.sampled_softmax_cross_entropy(
        *drawn, log_expected=0.1 * tf.cast(drawn[-1], tf.float32)
    ),
    "bpr_max": lambda *drawn: softmax.bpr_max(*drawn, regularization=0.3),
    "bpr_max elu": lambda *drawn: softmax.bpr_max(
        *drawn, regularization=0.3, elu=0.7
    ),
    "top1": softmax.top1,
    "top1_max": softmax.top1_max,
    "gbce": lambda *drawn: softmax.gbce(
        *drawn, num_items=NUM_ITEMS, calibration=0.6
    ),
}
sampled = pytest.mark.parametrize("loss", SAMPLED.values(), ids=SAMPLED)


def sigmoid(score):
    return 1.0 / (1.0 + np.exp(-score))


def by_hand(name, own, others, ids):
    """The loss of one row, term by term as the papers print it, in float64."""
    count = len(others)
    chances = np.exp(others) / np.exp(others).sum()
    if name == "sampled_softmax":
        corrected = np.exp(others - 0.1 * ids)
        return -np.log(np.exp(own) / (np.exp(own) + corrected.sum()))
    if name == "bpr_max elu":
        own, *others = (
            score if score > 0 else 0.7 * (np.exp(score) - 1)
            for score in (own, *others)
        )
        return by_hand("bpr_max", own, np.array(others), ids)
    if name == "bpr_max":
        wins = sum(chances * sigmoid(own - others))
        return -np.log(wins) + 0.3 * sum(chances * others**2)
    if name == "top1":
        return np.mean(sigmoid(others - own) + sigmoid(others**2))
    if name == "top1_max":
        return sum(chances * (sigmoid(others - own) + sigmoid(others**2)))
    share = count / (NUM_ITEMS - 1)
    power = share * (0.6 * (1 - 1 / share) + 1 / share)
    logs = np.log(sigmoid(own) ** power) + sum(np.log(1 - sigmoid(others)))
    return -logs / (count + 1)


@pytest.fixture
def drawn(random):
    """Arguments of a sampled loss; two rows' targets are among negatives."""
    items = normal(random, NUM_ITEMS + schema.FIRST_ITEM_ID, 4)
    targets, negatives = np.array([3, 5, 9]), np.array([3, 7, 5, 8, 3])
    return (
        normal(random, 3, 4),
        items[targets],
        targets,
        items[negatives],
        negatives,
    )


@pytest.mark.parametrize("name", SAMPLED)
def test_sampled_losses_are_their_equations(name, drawn):
    """Over the negatives that are not the row's target."""
    queries, target_vectors, targets, negative_vectors, negatives = drawn
    expected = []
    for query, vector, target in zip(
        *np.float64([queries, target_vectors]), targets, strict=True
    ):
        kept = negatives != target
        others = np.float64(negative_vectors)[kept] @ query
        expected.append(by_hand(name, vector @ query, others, negatives[kept]))
    np.testing.assert_allclose(SAMPLED[name](*drawn), expected, rtol=1e-5)


def gradients(loss, drawn, rows=slice(None)):
    """Of the loss of some rows, to queries, targets and negatives."""
    queries, own, targets, others, negatives = drawn
    parts = [tf.constant(part) for part in (queries, own, others)]
    with tf.GradientTape() as tape:
        tape.watch(parts)
        value = loss(parts[0], parts[1], targets, parts[2], negatives)[rows]
    return tape.gradient(value, parts)


@sampled
def test_the_target_among_the_negatives_is_as_if_it_were_not(loss, drawn):
    """In the loss, and in the gradients of all that is left."""
    queries, own, targets, others, negatives = drawn
    kept = negatives != targets[0]
    without = (queries, own, targets, others[kept], negatives[kept])
    np.testing.assert_allclose(loss(*drawn)[0], loss(*without)[0], rtol=1e-5)
    ours, theirs = gradients(loss, drawn, 0), gradients(loss, without, 0)
    np.testing.assert_array_equal(ours[2][~kept], 0.0)
    ours[2] = ours[2][kept]
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6)


@sampled
def test_the_order_of_rows_and_of_negatives_means_nothing(loss, drawn):
    queries, own, targets, others, negatives = drawn
    rows, columns = [2, 0, 1], [4, 1, 3, 0, 2]
    np.testing.assert_allclose(
        loss(
            queries[rows],
            own[rows],
            targets[rows],
            others[columns],
            negatives[columns],
        ),
        np.asarray(loss(*drawn))[rows],
        rtol=1e-5,
    )


@sampled
def test_gradients_agree_with_differences(loss, drawn):
    """In a random direction, of all three at once."""
    random = np.random.default_rng(8)
    directions = [normal(random, *drawn[index].shape) for index in (0, 1, 3)]

    def moved(step):
        parts = list(drawn)
        for index, direction in zip((0, 1, 3), directions, strict=True):
            parts[index] = parts[index] + np.float32(step) * direction
        return float(tf.reduce_sum(loss(*parts)))

    slope = sum(
        float(tf.reduce_sum(gradient * direction))
        for gradient, direction in zip(
            gradients(loss, drawn), directions, strict=True
        )
    )
    difference = (moved(1e-2) - moved(-1e-2)) / 2e-2
    assert slope == pytest.approx(difference, rel=2e-2, abs=1e-3)


@sampled
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_values_and_gradients_stay_finite(loss, scale, drawn):
    """With large scores, and with a row of which nothing is left."""
    queries, own, targets, others, negatives = drawn
    only_targets = (scale * queries, own, targets, others[:1], negatives[:1])
    for case in ((scale * queries, *drawn[1:]), only_targets):
        assert np.isfinite(loss(*case)).all()
        for gradient in gradients(loss, case):
            assert np.isfinite(gradient).all()


def test_gbce_without_calibration_is_binary_cross_entropy(drawn):
    """And all items drawn need no calibration."""
    queries, own, targets, others, _ = drawn
    rows = tf.constant(targets == 9)  # No negative of this row is left out.
    scores = tf.concat(
        [
            tf.reduce_sum(queries * own, -1, keepdims=True),
            queries @ others.T,
        ],
        axis=-1,
    )[rows]
    labels = tf.one_hot(tf.zeros(1, tf.int32), 6)
    expected = tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(labels, scores), -1
    )
    for options in (
        {"num_items": NUM_ITEMS, "calibration": 0.0},
        {"num_items": 6, "calibration": 1.0},
    ):
        np.testing.assert_allclose(
            softmax.gbce(*drawn, **options)[rows], expected, rtol=1e-5
        )


def test_a_sampled_sum_holds_an_item_as_often_as_it_was_drawn():
    negatives = np.int32([7, 3, 7, 9, 7])
    log_expected = np.float32([0.5, -1.0, 0.5, 2.0, 0.5])
    weight = softmax.log_sampled_weight(
        np.int32([[3, 7], [8, 9]]), negatives, log_expected
    )
    np.testing.assert_allclose(
        np.exp(weight),
        [[np.exp(1.0), 3 * np.exp(-0.5)], [0.0, np.exp(-2.0)]],
        rtol=1e-6,
    )


def test_parts_are_taken_out_of_a_denominator(random):
    own = np.float32([3.0, -1.0, 0.2])
    others = np.float64(random.normal(size=(3, 6)))
    total = np.log(np.exp(others).sum(1))
    losses = np.log(np.exp(own) + np.exp(total)) - own
    found = softmax.log_others(np.float32(losses), own)
    np.testing.assert_allclose(found, total, rtol=1e-4)
    parts = np.float32(others[:, :4])
    parts[0, 1:] = NEVER
    rest = np.exp(others).sum(1) - np.exp(np.float64(parts)).sum(1)
    np.testing.assert_allclose(
        softmax.without(np.float32(total), parts), np.log(rest), rtol=1e-4
    )


def test_there_is_always_something_left():
    total = np.float32([2.0])
    left = softmax.without(total, np.float32([[2.0]]))
    np.testing.assert_allclose(left, 2.0 + np.log(1e-4), rtol=1e-2)
    assert np.isfinite(softmax.log_others(np.float32([0.0]), total)).all()
