"""Named configurations: frozen dataclasses <-> YAML, checked at birth."""

import dataclasses
import importlib.resources
import pathlib
from collections.abc import Iterable
from typing import Any

import yaml

from jump_tf import schema
from jump_tf.config.checks import Checked
from jump_tf.config.list_models import LIST_MODELS
from jump_tf.config.list_models import ListConfig
from jump_tf.config.model_config import SESSION_MODELS
from jump_tf.config.model_config import JumpConfig
from jump_tf.config.session_models import SessionConfig

ARCHITECTURES: dict[str, type[SessionConfig] | type[ListConfig]] = {
    **SESSION_MODELS,
    **LIST_MODELS,
}

SCHEDULES = ("constant", "cosine")
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

_PRESETS = importlib.resources.files("jump_tf.config") / "presets"


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Checked):
    """How a model is trained.

    Attributes:
        epochs: passes over the training split, at most. None, as for the
            batches' sizes: by the number of training clicks, see `log_size`.
        learning_rate: of Adam, at its highest.
        schedule: "constant", or "cosine" down to a hundredth over `epochs`.
        clip_norm: bound of the gradient's global norm.
        batch_sessions: at most so many sessions, or lists, a batch.
        batch_clicks: at most so many input steps, or items, a batch.
        jit_compile: whether XLA compiles the training step. Batches then come
            in few, fixed shapes, each of which is compiled when it is first
            met: seconds a shape, so that it pays in long runs alone.
        precision: "float32", or "bfloat16" for the products of the fast-slow
            layer and the attention. Weights, heads, losses and all that is
            saved are float32 in either case, and so are the evaluation and
            the export of the run.
        patience: epochs without a better validation recall@20, or AUC of the
            clicks with conversion for lists, before the training stops.
        seed: of the initial weights and the order of the data.
        checkpoint_seconds: time between two checkpoints within an epoch; 0
            for one after every step. Its end is always one.
    """

    epochs: int | None = 20
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clip_norm: float = 5.0
    batch_sessions: int | None = 100
    batch_clicks: int | None = 4096
    jit_compile: bool = False
    precision: str = "float32"
    patience: int = 3
    seed: int = 0
    checkpoint_seconds: float = 300.0

    def __post_init__(self):
        self.check_types()
        self.at_least(1, "epochs", "batch_sessions", "batch_clicks")
        self.at_least(1, "patience")
        self.at_least(0, "seed", "checkpoint_seconds")
        self.above_zero("learning_rate", "clip_norm")
        self.one_of("schedule", SCHEDULES)
        self.one_of("precision", tuple(PRECISIONS))

    @property
    def dtype(self) -> str:
        """The Keras dtype policy of a model in training."""
        return PRECISIONS[self.precision]


@dataclasses.dataclass(frozen=True)
class Config:
    """All there is to say about a run but its data.

    Attributes:
        architecture: which model, a name of `ARCHITECTURES`.
        model: its hyper-parameters, a `SessionConfig` or a `ListConfig`.
        training: how it is trained.
    """

    architecture: str = "jump"
    model: Any = dataclasses.field(default_factory=JumpConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)

    @property
    def task(self) -> str:
        """What the model is for, one of `schema.TASKS`."""
        return (
            schema.LISTS
            if self.architecture in LIST_MODELS
            else schema.SESSIONS
        )

    def override(self, assignments: Iterable[str]) -> "Config":
        """A copy with `section.name=value` assignments, values in YAML.

        Raises:
            InputError: an assignment names nothing or its value is refused.
        """
        tree = dataclasses.asdict(self)
        for assignment in assignments:
            path, equals, value = assignment.partition("=")
            section, _, name = path.partition(".")
            if not equals or name not in _names(tree).get(section, ()):
                raise schema.InputError(
                    "`--set` must be section.name=value with a name of "
                    f"{_known(_names(tree))}. Received: {assignment}"
                )
            try:
                tree[section][name] = yaml.safe_load(value)
            except yaml.YAMLError as error:
                raise schema.InputError(
                    f"`--set` must give a value in YAML. Received: {assignment}"
                ) from error
        return from_dict(tree)

    def flat(self) -> dict[str, Any]:
        """All values: `architecture`, then by the names that `--set` takes."""
        flat: dict[str, Any] = {"architecture": self.architecture}
        for section in ("model", "training"):
            values = dataclasses.asdict(getattr(self, section))
            flat |= {f"{section}.{name}": values[name] for name in values}
        return flat

    def to_yaml(self) -> str:
        """The YAML that `load` reads back."""
        return yaml.safe_dump(dataclasses.asdict(self), sort_keys=False)


def from_dict(tree: dict[str, Any]) -> Config:
    """Builds and checks a configuration; what is left out has its default.

    Raises:
        InputError: a name is unknown or a value is refused.
    """
    architecture = tree.get("architecture", Config.architecture)
    if architecture not in ARCHITECTURES:
        raise schema.InputError(
            f"`architecture` must be one of {tuple(ARCHITECTURES)}. "
            f"Received: {architecture}"
        )
    sections: dict[str, Any] = {
        "model": ARCHITECTURES[architecture],
        "training": TrainingConfig,
    }
    known = {
        section: [field.name for field in dataclasses.fields(kind)]
        for section, kind in sections.items()
    }
    given = {name: tree[name] for name in tree if name != "architecture"}
    for section, values in given.items():
        unknown = set(values or {}) - set(known.get(section, ()))
        if section not in known or unknown:
            raise schema.InputError(
                f"A configuration must hold only {_known(known)}. Received: "
                f"{section}: {sorted(unknown) or values}"
            )
    return Config(
        architecture,
        *(kind(**(given.get(name) or {})) for name, kind in sections.items()),
    )


def load(path: str | pathlib.Path) -> Config:
    """Reads a configuration file.

    Raises:
        InputError: it is missing, no YAML mapping, or refused.
    """
    try:
        tree = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise schema.InputError(
            f"The configuration must be a YAML file. Received: {path} ({error})"
        ) from error
    if not isinstance(tree, dict):
        raise schema.InputError(
            "The configuration must be a mapping of sections. "
            f"Received: {path}, which holds a {type(tree).__name__}"
        )
    return from_dict(tree)


def preset(name: str) -> Config:
    """A configuration that ships with the package.

    Raises:
        InputError: there is none of that name.
    """
    if name not in presets():
        raise schema.InputError(
            f"`--preset` must be one of {presets()}. Received: {name}"
        )
    with importlib.resources.as_file(_PRESETS / f"{name}.yaml") as path:
        return load(path)


def presets() -> list[str]:
    """Returns the names of the configurations that ship with the package."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in _PRESETS.iterdir()
    )


def _names(tree) -> dict[str, list[str]]:
    return {
        name: list(values)
        for name, values in tree.items()
        if isinstance(values, dict)
    }


def _known(names) -> list[str]:
    return [f"{section}.{name}" for section in names for name in names[section]]
