"""A joint model that may point at earlier clicks and read recent ones."""

import numpy as np
from keras import ops

from jump_tf import schema
from jump_tf.config.model_config import PointingConfig
from jump_tf.layers.dwell_features import HISTORY_SIZE
from jump_tf.layers.dwell_features import VISITS_SIZE
from jump_tf.layers.dwell_features import visit_features
from jump_tf.layers.recent_transitions import Places
from jump_tf.layers.recent_transitions import Recent
from jump_tf.layers.recent_transitions import RecentTransitions
from jump_tf.layers.recent_transitions import shifted_scores
from jump_tf.layers.session_pointer import LARGEST_VOCABULARY
from jump_tf.layers.session_pointer import Pointers
from jump_tf.layers.session_pointer import SessionPointer
from jump_tf.layers.session_pointer import pointed_cross_entropy
from jump_tf.layers.session_pointer import pointed_scores
from jump_tf.losses import softmax
from jump_tf.losses.logsumexp import NEVER
from jump_tf.models.joint_model import JointModel

TAUGHT_CLICKS = 512  # Of a batch, from which the shifts learn.


class PointingModel(JointModel):
    """Gives any encoder the last click's row, a pointer and recent clicks.

    With `click_residual` the summary has one more term, c * V[i_k] with a
    learned vector c. With `pointer_clicks` the items of the last clicks are
    pointed at, and only all others are scored by the table, see
    `SessionPointer`. With `recent_transitions` the scores of what others lately
    clicked after the page on screen are shifted, see `RecentTransitions`. All
    are options, so that an encoder can be compared with another one that has
    the same of them.

    `encode` of a subclass ends in `summarized`. Arguments, returns and masking:
    see `SessionModel`.
    """

    config: PointingConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        clicks = self.config.pointer_clicks
        if clicks:
            if vocabulary_size > LARGEST_VOCABULARY:
                raise schema.InputError(
                    "`pointer_clicks` must be 0 for a catalogue of more than "
                    f"{LARGEST_VOCABULARY} ids. Received: {vocabulary_size}"
                )
            self.pointer = SessionPointer(
                self.config.units,
                clicks,
                max_dwell_seconds=self.config.max_dwell_seconds,
                page=self.config.page_is_clicked_again is not False,
                name="pointer",
            )
        if self.config.recent_transitions:
            self.recent_transitions = RecentTransitions(
                vocabulary_size,
                self.config.recent_transitions,
                self.config.recent_popular,
                self.config.recent_entries,
                self.config.recent_periods,
                name="recent_transitions",
            )

    def build(self, input_shape=None):
        if self.config.click_residual:
            self.click_weight = self.add_weight(
                name="click_weight",
                shape=(self.config.units,),
                initializer="ones",
                autocast=False,
            )
        if self.config.pointer_clicks:
            self.pointer.build()
            self.gate_scale, self.gate_shift = (
                self.add_weight(
                    name=name,
                    shape=(),
                    initializer=start,
                    trainable=False,
                    autocast=False,
                )
                for name, start in (
                    ("gate_scale", "ones"),
                    ("gate_shift", "zeros"),
                )
            )
        if self.config.recent_transitions:
            self.recent_transitions.build()
        super().build(input_shape)

    def summarized(self, items, dwell_seconds, rows, clicks, states, training):
        """Features `[B, T, encoded_width]` float32 from an encoder's states.

        Args:
            items: `[B, T]` ids.
            dwell_seconds: `[B, T]`; negative where unknown.
            rows: `[B, T, d]` of them in the item table.
            clicks: `[B, T, d]`, what the pointer compares summaries with.
            states: `[B, T, d]` after each click.
            training: whether dropout is on.
        """
        summaries = ops.cast(states, "float32")
        if self.config.click_residual:
            rows = self.click_dropout(rows, training=training)
            summaries = summaries + self.click_weight * rows
        if not self.config.pointer_clicks:
            return summaries
        pointers = self.pointer(items, summaries, clicks, dwell_seconds)
        return ops.concatenate([summaries, pointers], axis=-1)

    @property
    def data_weights(self):
        weights = super().data_weights
        if not self.config.recent_transitions:
            return weights
        return [*weights, *self.recent_transitions.table]

    def plain_features(self, items, dwell_seconds, start_ms=None):
        plain = super().plain_features(items, dwell_seconds, start_ms)
        if self.config.recent_transitions:
            places = self.recent_transitions.places(items, start_ms)
            plain.append(ops.stack(places, axis=-1))
        return plain

    @property
    def reads_the_clock(self):
        return bool(self.config.recent_transitions)

    @property
    def encoded_width(self):
        return self.config.units + self._pointer_width

    @property
    def dwell_width(self):
        visits = VISITS_SIZE * self._reads_visits
        return super().dwell_width - self._pointer_width + visits

    @property
    def _reads_visits(self):
        return bool(self.config.pointer_clicks and self.config.dwell_history)

    @property
    def _pointer_width(self):
        return self.pointer.width if self.config.pointer_clicks else 0

    def pointers(self, features, training=False):
        if not self.config.pointer_clicks:
            return None
        pointers = Pointers.of(self._split(features)[1])
        if training:
            return pointers
        return pointers.calibrated(self.gate_scale, self.gate_shift)

    def recent(self, features):
        if not self.config.recent_transitions:
            return None
        _, pointers, _, columns = self._split(features)
        places = Places(*(columns[:, n] for n in range(len(Places._fields))))
        ids, shifts = self.recent_transitions(places, self.sampler.log_rates)
        # The session's own items are the pointer's.
        own = Pointers.of(pointers).held(ids)
        return Recent(
            ops.where(own, schema.PAD_ID, ids), ops.where(own, 0.0, shifts)
        )

    def click_scores(self, features):
        scores = super().click_scores(features)
        if not self.config.pointer_clicks:
            return scores
        recent = self.recent(features)
        if recent is not None:
            scores = shifted_scores(scores, recent)
        return pointed_scores(scores, self.pointers(features))

    def click_losses(self, features, items, rows, training):
        if not self.config.pointer_clicks:
            return super().click_losses(features, items, rows, training)
        drawn = self.drawn(training)
        queries = self.queries(features, training)
        losses = self.table_losses(queries, items, rows, drawn)
        # The table learns from every click, also from those that are pointed
        # at or that others made before: what it learns of items there, it
        # needs for all others. The shifts have so few weights that a part of
        # a batch teaches them, which takes as much of its time.
        queries, rows, fixed = map(ops.stop_gradient, (queries, rows, losses))
        most = TAUGHT_CLICKS if training else None
        among_others = self._losses_among_others(
            drawn,
            *(c[:most] for c in (features, queries, items, rows, fixed)),
        )
        if most is not None:
            among_others = ops.concatenate([among_others, fixed[most:]])
        pointers = self.pointers(features, training)
        pointed = pointed_cross_entropy(among_others, pointers, items)
        return pointed + losses - fixed

    def _losses_among_others(
        self, drawn, features, queries, items, rows, losses
    ):
        """`[N]` losses over the items without a click of the session's.

        Where the target is such a click, they mean nothing.
        """

        def parts(ids):
            """Scores of `[N, C]` ids, and what a denominator holds of them."""
            vectors = ops.stop_gradient(self.item_vectors(ids))
            scores = ops.sum(queries[:, None] * vectors, axis=-1)
            held = scores
            if drawn is not None:
                held = held + softmax.log_sampled_weight(ids, *drawn)
            # The target is not among the others, whose total this is.
            out = ops.logical_or(ids == schema.PAD_ID, ids == targets)
            return scores, ops.where(out, NEVER, held), out

        targets = ops.cast(items, "int32")[:, None]
        own_scores = ops.sum(
            queries * ops.stop_gradient(self.item_vectors(items, rows)), -1
        )
        total = softmax.log_others(losses, own_scores)
        pointers = Pointers.of(self._split(features)[1])
        _, held, _ = parts(ops.where(pointers.firsts, pointers.ids, 0))
        recent = self.recent(features)
        if recent is None:
            total = softmax.without(total, held)
            return ops.softplus(total - own_scores)
        scores, held_too, out = parts(recent.ids)
        total = softmax.without(total, ops.concatenate([held, held_too], 1))
        shifted = ops.where(out, NEVER, scores + recent.shifts)
        total = ops.logaddexp(total, ops.logsumexp(shifted, axis=-1))
        return ops.softplus(total - own_scores - recent.of(targets)[:, 0])

    def dwell_and_end(self, features, items, rows=None, training=False):
        if self.config.pointer_clicks:
            summary, columns, history, _ = self._split(features)
            parts = [summary, history]
            if self._reads_visits:
                past = Pointers.of(columns)
                parts.append(
                    visit_features(
                        items,
                        past.ids,
                        past.dwell_seconds,
                        self.config.max_dwell_seconds,
                    )
                )
            features = ops.concatenate(parts, axis=-1)
        return super().dwell_and_end(features, items, rows, training)

    def _split(self, features):
        """Summaries, pointers, the dwell head's history, places in the log."""
        units = self.config.units
        history = HISTORY_SIZE * self.config.dwell_history
        ends = np.cumsum([units, self._pointer_width, history])
        return ops.split(features, [int(end) for end in ends], -1)
