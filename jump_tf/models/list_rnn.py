"""Two LSTMs along a list, one a task."""

import keras

from jump_tf.config.list_models import ListRNNConfig
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION
from jump_tf.models.list_model import ListModel


@keras.saving.register_keras_serializable(package="jump_tf")
class ListRNN(ListModel):
    """Items in their order, but not what the visitor did about them.

    With neither positions nor offset it is "LSTM" of HEROES' authors, with the
    offset their "RRN".

    Options are the fields of `ListRNNConfig`. Arguments, returns and masking:
    see `ListModel`.

    Reference: HEROES, arXiv 2208.01889, authors' code, `SimpleLstmCell`; Wu et
    al., Recurrent Recommender Networks, WSDM 2017, of which that is what is
    left.
    """

    config: ListRNNConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        self.click_lstm, self.conversion_lstm = (
            self.make_recurrent(keras.layers.LSTM, name)
            for name in ("click_lstm", "conversion_lstm")
        )
        self.click_head = self.make_head("click_head")
        self.conversion_head = self.make_head("conversion_head")

    def build(self, input_shape=None):
        self.embedding.build()
        for lstm in (self.click_lstm, self.conversion_lstm):
            lstm.build((None, None, self.embedding.width))
        for head in (self.click_head, self.conversion_head):
            head.build((None, self.config.units))
        self.built = True

    def call(self, inputs, training=False):
        items = self.embed(inputs, training)
        return {
            CLICK: self.click_head(self.click_lstm(items), training=training),
            CONVERSION: self.conversion_head(
                self.conversion_lstm(items), training=training
            ),
        }
