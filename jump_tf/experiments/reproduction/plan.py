"""What shall be reproduced, checked at birth."""

import dataclasses

from jump_tf import schema
from jump_tf.config import run as configs
from jump_tf.config.run import Config
from jump_tf.experiments.reproduction import datasets
from jump_tf.experiments.reproduction.datasets import DataSet


@dataclasses.dataclass(frozen=True)
class Model:
    """A row of the tables.

    Attributes:
        name: its folder.
        title: what the report calls it.
        preset: what it starts from.
        set: changes to it.
        paper: the paper's name of it, if it has a row there.
        space: what a search for its values tries.
    """

    name: str
    title: str
    preset: str
    set: tuple[str, ...] = ()
    paper: str | None = None
    space: str = "reproduce"


@dataclasses.dataclass(frozen=True)
class Ablation:
    """A model without something.

    Attributes:
        name: its folder.
        title: what the report calls it.
        model: name of a `Model`.
        set: the changes that leave it out.
    """

    name: str
    title: str
    model: str
    set: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One value of some models, moved.

    Attributes:
        name: of the sweep.
        value: `section.name` of the configuration.
        values: that it takes.
        models: names of `Model`s.
    """

    name: str
    value: str
    values: tuple[float, ...]
    models: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that shall be trained.

    Attributes:
        data: the logs.
        models: rows of the tables; the first is compared with all others.
        ablations: see `Ablation`.
        sweeps: see `Sweep`.
        set: changes to every model.
        epochs: of every training, if not its preset's.
    """

    data: tuple[DataSet, ...]
    models: tuple[Model, ...]
    ablations: tuple[Ablation, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    set: tuple[str, ...] = ()
    epochs: int | None = None

    def __post_init__(self):
        if not self.data:
            raise schema.InputError(
                "`--data` or a `--plan` with data must be given. Received: "
                "neither"
            )
        if not self.models:
            raise schema.InputError(
                "A plan must have a model. Received: none in `models`"
            )
        datasets.check_names(one.name for one in self.data)
        models = {one.name for one in self.models}
        names = [one.name for one in self.models]
        names += [one.name for one in self.ablations]
        datasets.check_names(names)
        for name, named, changes in self._changes():
            if unknown := set(named) - models:
                raise schema.InputError(
                    f"`{name}` must be of models {sorted(models)}. "
                    f"Received: {sorted(unknown)}"
                )
            for model in named:
                self.config(model).override(changes)

    @property
    def reference(self) -> str:
        """The model that all others are compared with."""
        return self.models[0].name

    def model(self, name: str) -> Model:
        """The model of a name."""
        return next(one for one in self.models if one.name == name)

    def config(self, model: str) -> Config:
        """The configuration of a model before any search."""
        row = self.model(model)
        last = []
        if self.epochs is not None:
            last.append(f"training.epochs={self.epochs}")
        return configs.preset(row.preset).override([*self.set, *row.set, *last])

    def _changes(self):
        """All that configurations shall take: what for, models, changes."""
        models = [one.name for one in self.models]
        yield "models", models, ()
        for data in self.data:
            yield data.name, models, data.set
        for ablation in self.ablations:
            yield ablation.name, (ablation.model,), ablation.set
        for sweep in self.sweeps:
            for value in sweep.values:
                yield sweep.name, sweep.models, (f"{sweep.value}={value}",)
