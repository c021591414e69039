"""The runs of a plan in their order, the most important first."""

import dataclasses
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence

from jump_tf.experiments.reproduction.plan import Plan

HEADLINE = "headline"  # Every model once.
BASELINES = "baselines"  # Counting models, which need no training.
SEEDS = "seeds"  # Every model again.
ABLATIONS = "ablations"
SWEEPS = "sweeps"
TABLES, FIGURES = "tables", "figures"
PARTS = {
    TABLES: (HEADLINE, BASELINES, SEEDS),
    FIGURES: (SWEEPS,),
    ABLATIONS: (ABLATIONS,),
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One run.

    Attributes:
        data: name of its `DataSet`.
        label: its folder.
        title: what the report calls it.
        purpose: what it is for.
        model: name of the `Model` it starts from, or of a baseline.
        set: changes to the model.
        seed: of the training.
        sweep: the `Sweep` it is a point of.
        value: the point.
    """

    data: str
    label: str
    title: str
    purpose: str
    model: str
    set: tuple[str, ...] = ()
    seed: int = 0
    sweep: str | None = None
    value: float | None = None

    def __str__(self):
        return f"{self.data}, {self.title}, seed {self.seed}"


def steps(
    plan: Plan,
    seeds: int = 1,
    baselines: Collection[str] = (),
    only: Sequence[str] = tuple(PARTS),
) -> list[Step]:
    """All runs in their order.

    Args:
        plan: what shall be trained.
        seeds: how often each model, also an ablated one, is trained.
        baselines: names of counting models.
        only: which of `PARTS`.
    """
    purposes = {purpose for part in only for purpose in PARTS[part]}
    names = [data.name for data in plan.data]
    return [
        step
        for step in _all(plan, names, seeds, baselines)
        if step.purpose in purposes or _is_base(step, plan, purposes)
    ]


def changes(step: Step) -> list[str]:
    """Returns the changes to the configuration of a step's model."""
    # The model's own seed is of negatives and of inputs that are hidden.
    seeds = [f"{part}.seed={step.seed}" for part in ("training", "model")]
    return [*step.set, *seeds]


def base(step: Step) -> Step:
    """Returns the step of the same model without changes."""
    return dataclasses.replace(step, label=step.model, purpose=HEADLINE, set=())


def _is_base(step, plan, purposes) -> bool:
    """Whether a run is the model that ablations are compared with."""
    bases = {one.model for one in plan.ablations} | {plan.reference}
    wanted = ABLATIONS in purposes and step.model in bases
    return step.purpose in (HEADLINE, SEEDS) and wanted


def _all(plan, names, seeds, baselines) -> Iterator[Step]:
    yield from _models(plan, names, [0], HEADLINE)
    for one in baselines:
        for data in names:
            yield Step(data, one, one, BASELINES, one)
    yield from _models(plan, names, range(1, seeds), SEEDS)
    for seed in range(seeds):
        for one in plan.ablations:
            left_out = one.name, one.title, ABLATIONS, one.model, one.set
            for data in names:
                yield Step(data, *left_out, seed=seed)
    for sweep in plan.sweeps:
        yield from _points(plan, sweep, names)


def _models(plan, names, seeds, purpose) -> Iterator[Step]:
    for seed in seeds:
        for model in plan.models:
            for data in names:
                yield Step(
                    data,
                    model.name,
                    model.title,
                    purpose,
                    model.name,
                    seed=seed,
                )


def _points(plan, sweep, names) -> Iterator[Step]:
    short = sweep.value.rpartition(".")[2]
    for model in sweep.models:
        for value in sweep.values:
            for data in names:
                yield Step(
                    data,
                    f"{model}.{short}-{value:g}",
                    f"{plan.model(model).title}, {short} {value:g}",
                    SWEEPS,
                    model,
                    (f"{sweep.value}={value}",),
                    sweep=sweep.name,
                    value=value,
                )
