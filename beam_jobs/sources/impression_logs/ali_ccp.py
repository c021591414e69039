r"""Ali-CCP (Alibaba Click and Conversion Prediction, arXiv 1804.07931).

Two kinds of comma-separated files, without a header:

    sample_skeleton   sample_id,click,conversion,common_feature_index,
                      feature_count,features
    common_features   common_feature_index,feature_count,features

Features are `field \x02 id \x03 value`, with \x01 between them. A list is the
samples that share a common feature index, in the order of the log, which has
no clock. An item has a bag of features: its own and, if they are asked for,
those of the index, which tell of the visitor.
"""

import dataclasses
import math

from beam_jobs.sources import fields as sources_fields
from beam_jobs.sources.impression_logs import base

_SKELETON = (
    "sample_id",
    "click",
    "conversion",
    "common_feature_index",
    "feature_count",
    "features",
)
_COMMON = _SKELETON[3:]
_DELIMITER = ","


@dataclasses.dataclass(frozen=True)
class AliCCP(base.ListFormat):
    """Reads the samples, or what those of a list share, as one item a list.

    Attributes:
        common: whether the files are those of common features.
    """

    common: bool = False
    has_header = False

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Checks the number of columns of the first row."""
        expected = _COMMON if self.common else _SKELETON
        columns = first_line.split(_DELIMITER)
        if len(columns) != len(expected):
            raise sources_fields.columns_error(path, expected, columns)
        return _parse_common if self.common else _parse_sample


def _parse_sample(lines: list[str], _: base.Place) -> base.Record:
    columns = base.row(lines[0], _DELIMITER, len(_SKELETON))
    _, click, conversion, *bag = columns
    return _record(
        bag, base.flag(click, "click"), base.flag(conversion, "conversion")
    )


def _parse_common(lines: list[str], _: base.Place) -> base.Record:
    return _record(base.row(lines[0], _DELIMITER, len(_COMMON)), 0, 0)


def _record(bag, clicked, converted):
    index, count, text = bag
    texts, values = [], []
    for part in text.split("\x01") if text else ():
        name, _, value = part.partition("\x03")
        field, _, id_ = name.partition("\x02")
        texts.append(base.feature(field, id_))
        values.append(_value(value))
    if not count.isdecimal() or int(count) != len(texts) or "" in texts:
        raise ValueError("unreadable features")
    item = base.Item(
        sources_fields.identifier(index, "list"),
        0,
        clicked,
        converted,
        texts,
        () if set(values) <= {1.0} else values,
    )
    return base.Record([item])


def _value(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("unreadable features")
    return value
