"""Comments on Reddit: `username,subreddit,utc`, a visitor's clicks a user."""

from beam_jobs.sources import fields
from beam_jobs.sources.click_logs import delimited

CLICKS = delimited.Delimited(
    visit="username",
    item="subreddit",
    time="utc",
    time_unit=fields.SECONDS,
)
