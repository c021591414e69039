"""The layout that GRU4Rec made common: tab-separated, `Time` in seconds."""

from beam_jobs.sources import fields
from beam_jobs.sources.click_logs import delimited

CLICKS = delimited.Delimited(
    visit="SessionId",
    item="ItemId",
    time="Time",
    time_unit=fields.SECONDS,
    delimiter="\t",
)
