"""The layout that GRU4Rec made common: tab-separated, `Time` in seconds."""

from beam_jobs.sources import delimited

GRU4REC = delimited.Delimited(
    visit="SessionId",
    item="ItemId",
    time="Time",
    time_unit="s",
    delimiter="\t",
)
