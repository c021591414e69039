"""Base of the models of lists: their interface and joint loss."""

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config.list_models import ListConfig
from jump_tf.layers.feature_embedding import FeatureEmbedding
from jump_tf.layers.mlp_head import MLPHead
from jump_tf.losses import multitask
from jump_tf.models.configured_model import ConfiguredModel
from jump_tf.survival import discrete_time

CLICK = "click"
CONVERSION = "conversion"


class ListModel(ConfiguredModel):
    """Predicts the click on each item of a list, and the conversion after it.

    With pCTR = sigmoid(click) and r = sigmoid(conversion), the chance of a
    click that converts is pCTCVR = pCTR r, never above pCTR: both tasks are
    learned from all items shown, the entire space.

    A subclass says how an embedded item becomes the two logits.

    Arguments: see `ConfiguredModel`; ids are those of features, and `dtype` is
    that of all but logits and losses.

    Call arguments:
        inputs: `features` `[B, M, K]` int, `feature_values` `[B, M, K]`,
            `offset_seconds` `[B, M]` and `clicked` `[B, M]`, which is the
            feedback: of an item only later ones may know it. Negative or NaN
            where it is not known.

    Returns:
        `click` and `conversion`, `[B, M]` float32 logits; of hazards where
        `config.objective` is "survival".

    Masking: right padding changes nothing before it.

    Reference: Ma et al., ESMM, SIGIR 2018 (arXiv 1804.07931); HEROES, arXiv
    2208.01889.
    """

    config: ListConfig
    loss_names = ("click_loss", "conversion_loss")

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.embedding = self.make_embedding("embedding")
        self.dropout_seeds = keras.random.SeedGenerator(config.seed)

    @property
    def item_variables(self):
        """The weights that hold a row for each feature along the first axis."""
        return [
            layer.rows.embeddings
            for layer in self._flatten_layers()
            if isinstance(layer, FeatureEmbedding)
        ]

    def make_embedding(self, name):
        """Makes a `FeatureEmbedding` of the configured sizes."""
        config = self.config
        return FeatureEmbedding(
            self.vocabulary_size,
            config.embedding_size,
            config.num_fields,
            config.combine,
            config.positions,
            config.offset_input,
            name=name,
            dtype=self.dtype_policy,
        )

    def make_head(self, name):
        """Makes an `MLPHead` of the configured sizes, with its own seed."""
        config = self.config
        return MLPHead(
            config.head_units,
            config.head_layers,
            config.head_dropout,
            # Not that of another head, or both would drop the same units.
            seed=config.seed + 1 + sum(map(ord, name)),
            name=name,
            dtype=self.dtype_policy,
        )

    def embed(self, inputs, training=False, embedding=None):
        """`[B, M, n]` embedded items."""
        items = (embedding or self.embedding)(
            inputs[schema.FEATURES],
            inputs[schema.FEATURE_VALUES],
            inputs[schema.OFFSET_SECONDS],
        )
        if training and self.config.dropout:
            items = keras.random.dropout(
                items, self.config.dropout, seed=self.dropout_seeds
            )
        return items

    def joint_logits(self, outputs):
        """`[B, M]` logits of pCTCVR, as the conversion's loss has them."""
        return multitask.joint_logits(outputs[CLICK], outputs[CONVERSION])

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """`(1 - lambda) L_c + lambda L_v + l2 / 2 |theta|^2`.

        L_c is the mean over real items of the click's loss, L_v that of a
        converted click's: cross-entropies or censored likelihoods of hazards.
        A real item is one of positive weight.

        The authors have 100 times the first two parts: a learning rate that
        Adam does not see, and an `l2` that is 100 times ours.
        """
        config = self.config
        weights = sample_weight
        number = ops.sum(ops.cast(weights > 0, weights.dtype))
        click_loss = self._sum(
            "click_loss",
            self._unreduced(
                y_pred[CLICK],
                y[schema.CLICKED],
                weights,
                config.click_positive_weight,
            ),
            weights,
        )
        conversion_loss = self._sum(
            "conversion_loss",
            self._unreduced(
                self.joint_logits(y_pred),
                y[schema.CONVERTED],
                weights,
                config.conversion_positive_weight,
            ),
            weights,
        )
        share = config.conversion_weight
        total = (1.0 - share) * click_loss + share * conversion_loss
        total = total / ops.maximum(number, 1.0)
        if config.l2:
            total = total + config.l2 * self._half_squares()
        return total

    def _unreduced(self, logits, events, weights, positive_weight):
        """`[B, M]`, unweighted."""
        config = self.config
        if config.objective == "survival":
            return discrete_time.censored_nll(
                logits,
                events,
                weights,
                config.point_weight,
                config.censor_weight,
            )
        return multitask.weighted_cross_entropy(logits, events, positive_weight)

    def _half_squares(self):
        return 0.5 * sum(
            ops.sum(ops.square(ops.cast(weight, "float32")))
            for weight in self.trainable_weights
        )
