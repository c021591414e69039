"""The plan of a reproduction: a YAML file, read and checked.

The file is explained in `plans/paper.yaml`, which ships with the package and
gives each section that a plan of one's own leaves out.
"""

import dataclasses
import importlib.resources
import pathlib
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

import yaml

from jump_tf import schema
from jump_tf.config import run as configs
from jump_tf.config.run import Config
from jump_tf.experiments.reproduction import datasets
from jump_tf.experiments.reproduction.datasets import DataSet

SECTIONS = ("data", "set", "models", "ablations", "sweeps")
_FOLDER = importlib.resources.files(__package__) / "plans"
_LISTS = ("set", "values", "models")


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
        differs_in: all in which it is not as the first model, for the report
            to say what that is worth.
    """

    name: str
    title: str
    preset: str
    set: tuple[str, ...] = ()
    paper: str | None = None
    space: str = "reproduce"
    differs_in: str | None = None


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
        data: the datasets.
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
        """Name of the model that all others are compared with."""
        return self.models[0].name

    def model(self, name: str) -> Model:
        """Returns the model with a name."""
        return next(one for one in self.models if one.name == name)

    def config(self, model: str) -> Config:
        """Returns the configuration of a model before any search."""
        row = self.model(model)
        last = []
        if self.epochs is not None:
            last.append(f"training.epochs={self.epochs}")
        return configs.preset(row.preset).override([*self.set, *row.set, *last])

    def _changes(self):
        """Yields all changes to configurations: name, models, changes."""
        models = [one.name for one in self.models]
        yield "models", models, ()
        for data in self.data:
            yield data.name, models, data.set
        for ablation in self.ablations:
            yield ablation.name, (ablation.model,), ablation.set
        for sweep in self.sweeps:
            for value in sweep.values:
                yield sweep.name, sweep.models, (f"{sweep.value}={value}",)


_Kind = TypeVar("_Kind", Model, Ablation, Sweep)


def load(
    path: pathlib.Path | None = None,
    data: Iterable[pathlib.Path] = (),
    models: Collection[str] | None = None,
    epochs: int | None = None,
    shipped: str = "paper",
) -> Plan:
    """The plan of a file, or what ships, on data folders.

    Args:
        path: a YAML file; what it leaves out is as in the shipped one.
        data: data folders, beside those of the file.
        models: names of those to keep, if not all.
        epochs: see `Plan`.
        shipped: the name of the plan that ships.

    Raises:
        InputError: it is missing, no mapping, or asks for what is not there.
    """
    own = _tree(path) if path else {}
    tree = {**_tree(_FOLDER / f"{shipped}.yaml"), **own}
    rows = _all(Model, tree, "models")
    if unknown := set(models or ()) - {row.name for row in rows}:
        raise schema.InputError(
            f"`--models` must be of {[row.name for row in rows]}. "
            f"Received: {sorted(unknown)}"
        )
    rows = tuple(row for row in rows if models is None or row.name in models)
    ablations = _all(Ablation, tree, "ablations")
    sweeps = _all(Sweep, tree, "sweeps")
    # What a file asks for must be there; what ships goes as far as it can.
    named = {row.name for row in rows}
    if models is not None or "ablations" not in own:
        ablations = tuple(one for one in ablations if one.model in named)
    if models is not None or "sweeps" not in own:
        sweeps = tuple(_among(one, named) for one in sweeps)
    return Plan(
        (*_data(tree, path), *map(datasets.prepared, data)),
        rows,
        ablations,
        tuple(sweep for sweep in sweeps if sweep.models),
        _texts(tree.get("set") or [], "set"),
        epochs,
    )


def _tree(path) -> Mapping[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise schema.InputError(
            f"`--plan` must be a YAML file. Received: {path} ({text})"
        ) from error
    tree = _mapping(tree, "a plan")
    if unknown := set(tree) - set(SECTIONS):
        raise schema.InputError(
            f"A plan must have sections of {SECTIONS}. "
            f"Received: {sorted(map(str, unknown))}"
        )
    return tree


def _data(tree, path):
    entries = _mapping(tree.get("data") or {}, "data")
    folder = path.parent if path else pathlib.Path()
    for name, entry in entries.items():
        entry = _mapping(entry, f"data: {name}")
        yield from datasets.data_sets(str(name), entry, folder)


def _among(sweep: Sweep, names) -> Sweep:
    kept = tuple(model for model in sweep.models if model in names)
    return dataclasses.replace(sweep, models=kept)


def _all(kind: type[_Kind], tree, section) -> tuple[_Kind, ...]:
    entries = _mapping(tree.get(section) or {}, section)
    return tuple(
        _make(kind, f"{section}: {name}", str(name), entry)
        for name, entry in entries.items()
    )


def _make(kind: type[_Kind], where, name, entry) -> _Kind:
    entry = _mapping(entry, where)
    fields = [
        field for field in dataclasses.fields(kind) if field.name != "name"
    ]
    known = {field.name for field in fields}
    needed = {
        field.name for field in fields if field.default is dataclasses.MISSING
    }
    if set(entry) - known or needed - set(entry):
        raise schema.InputError(
            f"`{where}` must have {sorted(needed)}, and may have "
            f"{sorted(known - needed)}. Received: {sorted(map(str, entry))}"
        )
    values: dict[str, Any] = {
        field: _listed(value, f"{where}: {field}")
        if field in _LISTS
        else _text(value, f"{where}: {field}")
        for field, value in entry.items()
    }
    return kind(name, **values)


def _listed(value, where) -> tuple[Any, ...]:
    if where.endswith(": values"):
        numbers = isinstance(value, list) and all(
            type(one) in (int, float) for one in value
        )
        if not numbers or not value:
            raise schema.InputError(
                f"`{where}` must be a list of numbers. Received: {value!r}"
            )
        return tuple(value)
    return _texts(value, where)


def _texts(value, where) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise schema.InputError(
            f"`{where}` must be a list of texts. Received: {value!r}"
        )
    return tuple(_text(one, where) for one in value)


def _text(value, where) -> str:
    if not isinstance(value, str):
        raise schema.InputError(f"`{where}` must be text. Received: {value!r}")
    return value


def _mapping(value, where) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise schema.InputError(
            f"`{where}` must be a mapping. Received: {value!r}"
        )
    return value
