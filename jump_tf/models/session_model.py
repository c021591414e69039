"""What every session model offers, and the joint loss over it."""

import dataclasses

import keras
from keras import ops

from jump_tf import losses
from jump_tf import schema
from jump_tf.config import SessionConfig
from jump_tf.sampling import PopularitySampler
from jump_tf.survival import LogNormal
from jump_tf.survival import censored_log_likelihood


class SessionModel(keras.Model):
    """Predicts the next click and its dwell from the clicks so far.

    A subclass encodes sessions and says how an item is scored and how long it
    is looked at; the loss, the metrics, the evaluation and the export are
    written once, on this interface.

    Args:
        vocabulary_size: number of ids V, padding and unknown included.
        config: the model's hyper-parameters.

    Call arguments:
        inputs: `items` `[B, T]` int and `dwell_seconds` `[B, T]` float.

    Returns:
        `[B, T + 1, d]` features: row k knows the first k clicks, row 0 none.

    Masking: right padding changes nothing before it.
    """

    def __init__(self, vocabulary_size, config: SessionConfig, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.config = config
        self.sampler = PopularitySampler(
            vocabulary_size, config.sampling_power, config.seed
        )
        self.loss_parts = {
            name: keras.metrics.Mean(name)
            for name in ("click_loss", "dwell_loss", "end_loss")
        }

    @property
    def item_variables(self):
        """The weights that hold a row for each id along their first axis.

        All that training changes, that is; the sampler's follow from counts.
        """
        raise NotImplementedError

    def item_vectors(self, items=None):
        """Rows with which features are multiplied: `[..., d]`, all if None."""
        raise NotImplementedError

    def queries(self, features):
        """What is multiplied with `item_vectors`: `[N, d]`."""
        raise NotImplementedError

    def dwell_distribution(self, features, items, training=False) -> LogNormal:
        """Law of the dwell on `items` `[N]` after sessions `[N, d]`."""
        raise NotImplementedError

    def session_end_logits(self, features, items, training=False):
        """`[N]` logits that the session ends with a click on `items`."""
        raise NotImplementedError

    def click_scores(self, features):
        """`[N, V]` scores of all ids; padding and unknown cannot be clicked."""
        return losses.catalogue_logits(
            self.queries(features), self.item_vectors()
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The joint loss of JUMP, eq. 17 and 18, by click.

        Every part is summed over the clicks that it is defined on and divided
        by the number of all: eq. 17 with the mean over sessions replaced by
        one over their clicks. Padded steps are taken out before anything is
        computed on them.
        """
        weights = ops.reshape(sample_weight, (-1,))
        clicks = ops.nonzero(weights)[0]
        step = ops.broadcast_to(
            ops.arange(ops.shape(sample_weight)[1])[None],
            ops.shape(sample_weight),
        )

        def real(tensor):
            return ops.take(ops.reshape(tensor, (-1,)), clicks, axis=0)

        features = ops.take(
            ops.reshape(y_pred, (-1, y_pred.shape[-1])), clicks, axis=0
        )
        targets = {name: real(value) for name, value in y.items()}
        total = self._click_loss(features, targets, real(step), training)
        dwell_loss = self._dwell_loss(features, targets, training)
        total = total + self.config.dwell_weight * dwell_loss
        if self.config.end_weight:
            end_loss = self._end_loss(features, targets, training)
            total = total + self.config.end_weight * end_loss
        return total / ops.cast(ops.maximum(ops.size(clicks), 1), total.dtype)

    def _click_loss(self, features, targets, step, training):
        items = targets[schema.ITEMS]
        if not self.config.learned_start:
            later = ops.nonzero(step)[0]
            items = ops.take(items, later, axis=0)
            features = ops.take(features, later, axis=0)
        queries = self.queries(features)
        if self.config.negatives and training:
            negatives, log_expected = self.sampler(size=self.config.negatives)
            unreduced = losses.sampled_softmax_cross_entropy(
                queries,
                self.item_vectors(items),
                items,
                self.item_vectors(negatives),
                negatives,
                log_expected,
            )
        else:
            unreduced = losses.softmax_cross_entropy(
                queries, self.item_vectors(), items
            )
        return self._sum("click_loss", unreduced)

    def _dwell_loss(self, features, targets, training):
        distribution = self.dwell_distribution(
            features, targets[schema.ITEMS], training=training
        )
        unreduced = -censored_log_likelihood(
            distribution,
            targets[schema.DWELL_SECONDS],
            targets[schema.DWELL_CENSORED],
        )
        if self.config.end_weight:
            followed = 1.0 - targets[schema.SESSION_END]
            return self._sum("dwell_loss", unreduced, followed)
        return self._sum("dwell_loss", unreduced)

    def _end_loss(self, features, targets, training):
        logits = self.session_end_logits(
            features, targets[schema.ITEMS], training=training
        )
        ended = targets[schema.SESSION_END]
        unreduced = ops.softplus(logits) - ended * logits
        return self._sum("end_loss", unreduced)

    def _sum(self, name, unreduced, weights=None):
        """The sum of a loss, of which its metric sees the mean."""
        if weights is None:
            weights = ops.ones_like(unreduced)
        self.loss_parts[name].update_state(unreduced, sample_weight=weights)
        return ops.sum(unreduced * weights)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            **dataclasses.asdict(self.config),
        }
