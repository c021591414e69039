"""Layers whose configuration is the arguments of their constructor."""

import inspect

import keras


class ConfiguredLayer(keras.layers.Layer):
    """A layer that keeps each constructor argument under its name.

    `get_config` reads them back, those of its base classes included, so that
    no argument can be forgotten. All of them must survive JSON.
    """

    def get_config(self):
        config = super().get_config()
        for kind in type(self).__mro__:
            if kind is ConfiguredLayer:
                break
            if "__init__" not in vars(kind):
                continue
            _, *own = inspect.signature(vars(kind)["__init__"]).parameters
            names = [name for name in own if name != "kwargs"]
            config |= {name: getattr(self, name) for name in names}
        return config
