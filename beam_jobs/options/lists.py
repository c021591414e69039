"""Options of the job that makes a data folder of lists."""

import argparse
import dataclasses
from typing import ClassVar

from beam_jobs.options import base
from beam_jobs.options.base import option

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


@dataclasses.dataclass(frozen=True)
class ListOptions(base.JobOptions):
    """One request to turn a log of shown items into lists, checked at birth.

    Raises:
        schema.InputError: a value is out of its range.
    """

    format: str = option(choices=FORMATS)
    split: str = option(
        base.RANDOM,
        "test on a random fifth of the lists, or on the last days",
    )
    delimiter: str = option(",", formats=(CSV,))
    time_unit: str = option("ms", formats=(CSV,))
    # Between two items of a list, or of a visitor; None cuts nothing.
    list_gap: float | None = option(
        None,
        "a pause of at least this many seconds starts a new list",
        metavar="SECONDS",
        positive=True,
    )
    # After everything else.
    min_list_length: int = option(1, "drop shorter lists", at_least=1)
    min_feature_count: int = option(
        1, "features that training has less often are unknown", at_least=1
    )
    criteo_label: str = option(
        ATTRIBUTION,
        "column that says of a click whether it converted",
        choices=(ATTRIBUTION, CONVERSION),
        formats=(CRITEO,),
    )
    sequences_time_unit: float = option(
        1.0,
        "seconds in one unit of `time`",
        positive=True,
        formats=(CRITEO_SEQUENCES,),
    )
    ali_ccp_common_features: tuple[str, ...] = option(
        (),
        "files of common features, to be joined to each item of their list",
        metavar="FILE",
        formats=(ALI_CCP,),
    )
    jd_engaged: tuple[int, ...] = option(
        (6, 7, 8),
        "behaviours that count as a click",
        metavar="BEHAVIOUR",
        formats=(JD_MICRO,),
    )
    jd_satisfied: tuple[int, ...] = option(
        (9, 10),
        "behaviours that count as a conversion, and as a click",
        metavar="BEHAVIOUR",
        formats=(JD_MICRO,),
    )
    # Without a column of conversions nothing converts.
    impressions_conversion_column: str | None = option(
        None,
        "column that says of a click whether it converted",
        formats=(IMPRESSIONS,),
    )
    list_column: str = option(
        "list_id",
        "column of the list id, or of the visitor id",
        formats=(CSV,),
    )
    time_column: str | None = option(
        None, "column of the instant, if there is one", formats=(CSV,)
    )
    click_column: str = option(
        "click", "column that is 1 where the item was clicked", formats=(CSV,)
    )
    conversion_column: str | None = option(
        None, "column that is 1 where it converted", formats=(CSV,)
    )
    feature_columns: tuple[str, ...] = option(
        (),
        "columns of the item's features",
        metavar="COLUMN",
        formats=(CSV,),
    )

    groups: ClassVar = {
        "log and data folder": base.LOG_FLAGS,
        "lists and splits": (
            *("list_gap", "min_list_length", "min_feature_count"),
            *base.SPLIT_FLAGS,
        ),
        "other logs, each flag with the format of its name": (
            *("criteo_label", "sequences_time_unit"),
            *("ali_ccp_common_features", "jd_engaged", "jd_satisfied"),
            "impressions_conversion_column",
        ),
        "csv logs (--format csv)": (
            *(*base.CSV_FLAGS, "list_column", "time_column", "click_column"),
            *("conversion_column", "feature_columns"),
        ),
    }

    def __post_init__(self):
        super().__post_init__()
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
        # The items of a page are all shown at once.
        timed = self.format in (CRITEO_SEQUENCES, JD_MICRO) or (
            self.has_clock and self.format != IMPRESSIONS
        )
        must = "be given where the items of a list have times only"
        self._require(timed, "list_gap", must)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `ListOptions` to a parser."""
    base.add_arguments(parser, ListOptions)
