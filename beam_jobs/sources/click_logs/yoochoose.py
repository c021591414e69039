"""The RecSys Challenge 2015 log: instants in UTC, no header."""

from beam_jobs.sources import fields
from beam_jobs.sources.click_logs import delimited

CLICKS = delimited.Delimited(
    visit="session",
    item="item",
    time="time",
    time_unit=fields.ISO8601,
    names=("session", "time", "item", "category"),
)
BUYS = delimited.Delimited(
    visit="session",
    item="item",
    time="time",
    time_unit=fields.ISO8601,
    names=("session", "time", "item", "price", "quantity"),
)
