"""Base of the models of sessions: their interface and joint loss."""

import math

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config.session_models import SAMPLED_LOSSES
from jump_tf.config.session_models import SessionConfig
from jump_tf.layers.popularity_sampler import PopularitySampler
from jump_tf.losses import softmax
from jump_tf.models.configured_model import ConfiguredModel
from jump_tf.survival.distribution import Distribution
from jump_tf.survival.distribution import censored_log_likelihood


class SessionModel(ConfiguredModel):
    """Predicts the next click and its dwell from the clicks so far.

    A subclass encodes sessions and says how an item is scored and how long it
    is looked at; the loss, the metrics, the evaluation and the export are
    written once, on this interface.

    Arguments: see `ConfiguredModel`.

    Call arguments:
        inputs: `items` `[B, T]` int and `dwell_seconds` `[B, T]` float; where
            the model reads what others lately clicked, `start_ms` `[B]` int64
            says when sessions began: without it, or where it is negative, at
            the end of the log.

    Returns:
        `[B, T + 1, d]` features: row k knows the first k clicks, row 0 none.

    Masking: right padding changes nothing before it.
    """

    config: SessionConfig
    loss_names = ("click_loss", "dwell_loss", "end_loss")

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.sampler = PopularitySampler(
            vocabulary_size, config.sampling_power, config.seed
        )

    @property
    def item_variables(self):
        """The weights that hold a row for each id along their first axis.

        Only those that training changes; the sampler's follow from counts.
        """
        raise NotImplementedError

    @property
    def data_weights(self):
        return self.sampler.weights

    def rows(self, items):
        """Rows of the item table, `[..., d]`, as they are read and scored."""
        raise NotImplementedError

    def item_vectors(self, items=None, rows=None):
        """What queries are multiplied with: `[..., d]`, of all items if None.

        Where there are the items' `rows` already, they are not looked up.
        """
        raise NotImplementedError

    def queries(self, features, training=False):
        """Queries `[N, d]`, to be multiplied with `item_vectors`."""
        raise NotImplementedError

    def dwell_and_end(self, features, items, rows=None, training=False):
        """Predicts what follows a click on `items` `[N]`.

        Args:
            features: `[N, d]`, of the sessions before it.
            items: `[N]` ids.
            rows: `[N, d]` of the item table, if they were looked up already.
            training: whether dropout and the like are on.

        Returns:
            The distribution of the dwell, and `[N]` logits of the session
            ending, None for a model that does not predict its end.
        """
        raise NotImplementedError

    def dwell_distribution(self, features, items) -> Distribution:
        """Of the dwell on `items` `[N]` after sessions `[N, d]`."""
        return self.dwell_and_end(features, items)[0]

    def session_end_logits(self, features, items):
        """`[N]` logits that the session ends with a click on `items`."""
        return self.dwell_and_end(features, items)[1]

    @property
    def reads_the_clock(self):
        """Whether it makes a difference when a session began."""
        return False

    def pointers(self, features, training=False):
        """What `features` say of the session's own clicks, see `Pointers`.

        None for a model whose scores of all items are products alone. In
        training they are not calibrated yet.
        """

    def recent(self, features):
        """What others lately clicked, see `Recent`; None if it is not read."""

    def click_scores(self, features):
        """`[N, V]` scores of all ids; padding and unknown cannot be clicked."""
        return softmax.all_item_logits(
            self.queries(features), self.item_vectors()
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The joint loss of JUMP, eq. 17 and 18, by click.

        Every part is summed over the clicks that it is defined on and divided
        by the number of all: eq. 17 with the mean over sessions replaced by
        one over their clicks. A click is a step of positive weight.
        """
        weights = ops.reshape(sample_weight, (-1,))
        step = ops.broadcast_to(
            ops.arange(ops.shape(sample_weight)[1])[None],
            ops.shape(sample_weight),
        )
        flat = {name: ops.reshape(value, (-1,)) for name, value in y.items()}
        number = ops.sum(ops.cast(weights > 0, weights.dtype))
        features, targets, step, weights = self._weighted(
            weights,
            ops.reshape(y_pred, (-1, y_pred.shape[-1])),
            flat,
            ops.reshape(step, (-1,)),
        )
        items = targets[schema.ITEMS]
        rows = self.rows(items)  # Once, for all that reads them.
        total = self._click_loss(features, items, rows, step, weights, training)
        if self.config.dwell_weight or self.config.end_weight:
            distribution, end_logits = self.dwell_and_end(
                features, items, rows, training=training
            )
            dwell_loss = self._dwell_loss(distribution, targets, weights)
            total = total + self.config.dwell_weight * dwell_loss
            if self.config.end_weight:
                end_loss = self._end_loss(end_logits, targets, weights)
                total = total + self.config.end_weight * end_loss
        return total / ops.maximum(number, 1.0)

    def attention_weights(self, items, dwell_seconds, real):
        """`[B, T, T]`: how row k looks at the clicks up to k; None if not.

        Args:
            items: `[B, T]` ids.
            dwell_seconds: `[B, T]`.
            real: `[B, T]` bool, False on padding.
        """

    @property
    def step_seconds(self):
        """The dwell that a step of the encoder stands for, at least a click's.

        Sessions with equally many steps make batches without padding.
        """
        return math.inf

    @property
    def fixed_shapes(self):
        """Whether the loss may not drop steps, as a compiler needs it.

        Then padding is computed and weighs nothing; the loss is the same.
        """
        return keras.backend.backend() != "tensorflow" or self.jit_compile

    def _weighted(self, weights, *steps):
        """The steps that weigh something, then their weights.

        All of them where shapes are fixed.
        """
        if self.fixed_shapes:
            return *steps, weights
        kept = ops.nonzero(weights > 0)[0]
        return keras.tree.map_structure(
            lambda column: ops.take(column, kept, axis=0), (*steps, weights)
        )

    def _click_loss(self, features, items, rows, step, weights, training):
        if not self.config.learned_start:
            later = weights * ops.cast(step > 0, weights.dtype)
            features, items, rows, weights = self._weighted(
                later, features, items, rows
            )
        unreduced = self.click_losses(features, items, rows, training)
        return self._sum("click_loss", unreduced, weights)

    def click_losses(self, features, items, rows, training):
        """`[N]`: the configured loss in training, else the full softmax's."""
        queries = self.queries(features, training)
        return self.table_losses(queries, items, rows, self.drawn(training))

    def drawn(self, training):
        """Negatives `[S]` of a batch and the logs of their expected numbers.

        None where the loss is over the whole catalogue.
        """
        if training and self.config.click_loss in SAMPLED_LOSSES:
            return self.sampler(size=self.config.negatives)
        return None

    def table_losses(self, queries, items, rows, drawn):
        """`[N]`: the loss of products with the item table.

        Args:
            queries: `[N, d]`.
            items: `[N]` ids of the targets.
            rows: `[N, d]` of them in the item table, None to look them up.
            drawn: see `drawn`.
        """
        name = self.config.click_loss
        if drawn is not None:
            return self._sampled_click_loss(queries, items, rows, drawn)
        over_all = (
            softmax.chunked_softmax_cross_entropy
            if name == "chunked_softmax"
            else softmax.softmax_cross_entropy
        )
        return over_all(queries, self.item_vectors(), items)

    def _sampled_click_loss(self, queries, items, rows, drawn):
        config = self.config
        negatives, log_expected = drawn
        vectors = (
            queries,
            self.item_vectors(items, rows),
            items,
            self.item_vectors(negatives),
            negatives,
        )
        match config.click_loss:
            case "sampled_softmax":
                return softmax.sampled_softmax_cross_entropy(
                    *vectors, log_expected
                )
            case "bpr_max":
                return softmax.bpr_max(
                    *vectors,
                    regularization=config.bpr_regularization,
                    elu=config.bpr_elu,
                )
            case "top1":
                return softmax.top1(*vectors)
            case "top1_max":
                return softmax.top1_max(*vectors)
            case _:
                return softmax.gbce(
                    *vectors,
                    num_items=self.vocabulary_size - schema.FIRST_ITEM_ID,
                    calibration=config.gbce_calibration,
                )

    def _dwell_loss(self, distribution, targets, weights):
        unreduced = -censored_log_likelihood(
            distribution,
            targets[schema.DWELL_SECONDS],
            targets[schema.DWELL_CENSORED],
        )
        excluded = {
            "all": None,
            "followed": schema.SESSION_END,
            "none": schema.DWELL_CENSORED,
        }[self.config.censoring]
        if excluded is not None:
            # A session that is cut has a last click, too: its end is -1.
            weights = weights * (1.0 - ops.abs(targets[excluded]))
        return self._sum("dwell_loss", unreduced, weights)

    def _end_loss(self, logits, targets, weights):
        ended = targets[schema.SESSION_END]
        unreduced = ops.softplus(logits) - ended * logits
        known = ops.cast(ended != schema.UNKNOWN_END, weights.dtype)
        return self._sum("end_loss", unreduced, weights * known)
