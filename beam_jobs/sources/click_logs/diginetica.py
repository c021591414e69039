"""The DIGINETICA logs (CIKM Cup 2016): item views and purchases.

A row gives the day, and the milliseconds since the session's start. A session
that crosses midnight has rows of two days, but its milliseconds go on: clicks
are ordered by (day, milliseconds), and all are counted from the first day.
"""

from beam_jobs.sources import fields
from beam_jobs.sources.click_logs import delimited

# `train-item-views.csv` and `train-purchases.csv` name the columns alike.
CLICKS = delimited.Delimited(
    visit="sessionId",
    item="itemId",
    time="timeframe",
    time_unit=fields.MILLISECONDS,
    day="eventdate",
    delimiter=";",
)
