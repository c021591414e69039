"""What can be asked of the job that makes a data folder of lists.

A flag and a field share one name, see `base`.
"""

import argparse
import dataclasses
from typing import ClassVar

from beam_jobs.options import base

CRITEO = "criteo"
CRITEO_SEQUENCES = "criteo-sequences"
ALI_CCP = "ali-ccp"
JD_MICRO = "jd-micro"
IMPRESSIONS = "impressions"
CSV = "csv"
FORMATS = (CRITEO, CRITEO_SEQUENCES, ALI_CCP, JD_MICRO, IMPRESSIONS, CSV)

ATTRIBUTION = "attribution"
CONVERSION = "conversion"
# Behaviours of JD's visitors that follow on the entry into a product.
JD_BEHAVIOURS = (6, 7, 8, 9, 10)

_CSV_FIELDS = (
    "list_column",
    "time_column",
    "click_column",
    "conversion_column",
    "feature_columns",
    "delimiter",
    "time_unit",
)


@dataclasses.dataclass(frozen=True)
class ListOptions(base.JobOptions):
    """One request to turn a log of shown items into lists, checked at birth.

    Attributes:
        list_gap: seconds; a pause at least this long between two items of a
            list, or of a visitor, starts a new list. None cuts nothing. Only
            for logs in which the items of a list have times.
        min_list_length: shorter lists are dropped, after everything else.
        min_feature_count: features that training has less often are unknown.
        criteo_label: column that says of a click whether it converted.
        sequences_time_unit: seconds in one unit of `time`.
        ali_ccp_common_features: paths of the files of features that the items
            of a list have in common, to be joined to each of them.
        jd_engaged: behaviours that count as a click.
        jd_satisfied: behaviours that count as a conversion, and as a click.
        impressions_conversion_column: name; none converts without.
        list_column: name of the column of the list id or visitor id.
        time_column: name, for logs that have one.
        click_column: name.
        conversion_column: name; none converts without.
        feature_columns: names, at least one.

    Raises:
        schema.InputError: a value is out of its range.
    """

    list_gap: float | None = None
    min_list_length: int = 1
    min_feature_count: int = 1
    criteo_label: str = ATTRIBUTION
    sequences_time_unit: float = 1.0
    ali_ccp_common_features: tuple[str, ...] = ()
    jd_engaged: tuple[int, ...] = (6, 7, 8)
    jd_satisfied: tuple[int, ...] = (9, 10)
    impressions_conversion_column: str | None = None
    list_column: str = "list_id"
    time_column: str | None = None
    click_column: str = "click"
    conversion_column: str | None = None
    feature_columns: tuple[str, ...] = ()

    formats: ClassVar[tuple[str, ...]] = FORMATS

    def __post_init__(self):
        super().__post_init__()
        self._require_at_least(1, "min_list_length", "min_feature_count")
        self._require_positive("sequences_time_unit")
        for prefix, log_format in (
            ("criteo_", CRITEO),
            ("sequences_", CRITEO_SEQUENCES),
            ("ali_ccp_", ALI_CCP),
            ("jd_", JD_MICRO),
            ("impressions_", IMPRESSIONS),
        ):
            self._require_format(self._named(prefix), [log_format])
        self._require_format(_CSV_FIELDS, [CSV])
        labels = (ATTRIBUTION, CONVERSION)
        known = self.criteo_label in labels
        self._require(known, "criteo_label", f"be one of {labels}")
        self._check_jd()
        if self.format == CSV:
            columns = set(self.feature_columns)
            named = 0 < len(columns) == len(self.feature_columns)
            self._require(named, "feature_columns", "name columns, once")
        self._check_times()

    @property
    def has_clock(self) -> bool:
        """Whether times are instants, and not counted from a list's start."""
        if self.format == CSV:
            return self.time_column is not None
        return self.format in (CRITEO, IMPRESSIONS)

    def _check_jd(self):
        for name in ("jd_engaged", "jd_satisfied"):
            known = set(getattr(self, name)) <= set(JD_BEHAVIOURS)
            self._require(known, name, f"be among {JD_BEHAVIOURS}")
        once = not set(self.jd_engaged) & set(self.jd_satisfied)
        self._require(once, "jd_engaged", "have none of jd_satisfied")

    def _check_times(self):
        if self.split == base.TEMPORAL:
            must = "be random where the log has no clock"
            self._require(self.has_clock, "split", must)
        if self.list_gap is None:
            return
        self._require_positive("list_gap")
        # The items of a page are all shown at once.
        timed = self.format in (CRITEO_SEQUENCES, JD_MICRO) or (
            self.has_clock and self.format != IMPRESSIONS
        )
        must = "be given where the items of a list have times only"
        self._require(timed, "list_gap", must)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `ListOptions` to a parser."""

    def group(title):
        return base.Adder(ListOptions, parser.add_argument_group(title))

    base.add_job_arguments(group("log and data folder"))

    add = group("lists and splits")
    add(
        "list_gap",
        "a pause of at least this many seconds starts a new list",
        type=float,
        metavar="SECONDS",
    )
    add("min_list_length", "drop shorter lists", type=int)
    add(
        "min_feature_count",
        "features that training has less often are unknown",
        type=int,
    )
    base.add_split_arguments(add, "lists")
    _add_format_arguments(group)
    _add_csv_arguments(group("csv logs (--format csv)"))


def _add_format_arguments(group):
    add = group("other logs, each flag with the format of its name")
    add(
        "criteo_label",
        "column that says of a click whether it converted",
        choices=(ATTRIBUTION, CONVERSION),
    )
    add("sequences_time_unit", "seconds in one unit of `time`", type=float)
    add(
        "ali_ccp_common_features",
        "files of common features, to be joined to each item of their list",
        nargs="+",
        metavar="FILE",
    )
    for name, label in (
        ("jd_engaged", "a click"),
        ("jd_satisfied", "a conversion, and as a click"),
    ):
        add(
            name,
            f"behaviours that count as {label}",
            type=int,
            nargs="+",
            metavar="BEHAVIOUR",
        )
    add(
        "impressions_conversion_column",
        "column that says of a click whether it converted",
    )


def _add_csv_arguments(add):
    base.add_csv_arguments(add)
    add("list_column", "column of the list id, or of the visitor id")
    add("time_column", "column of the instant, if there is one")
    add("click_column", "column that is 1 where the item was clicked")
    add("conversion_column", "column that is 1 where it converted")
    add(
        "feature_columns",
        "columns of the item's features",
        nargs="+",
        metavar="COLUMN",
    )
