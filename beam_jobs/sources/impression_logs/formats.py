"""Chooses the reader of a log of shown items; all give the same items."""

from beam_jobs.options import lists as list_options
from beam_jobs.sources.impression_logs import ali_ccp
from beam_jobs.sources.impression_logs import criteo
from beam_jobs.sources.impression_logs import criteo_sequences
from beam_jobs.sources.impression_logs import delimited
from beam_jobs.sources.impression_logs import jd_micro
from beam_jobs.sources.impression_logs import pages
from beam_jobs.sources.impression_logs.base import ListFormat


def log_format(options: list_options.ListOptions) -> ListFormat:
    """Returns the reader of the log format that `options` name."""
    if options.format == list_options.CRITEO:
        return criteo.Criteo(options.criteo_label)
    if options.format == list_options.CRITEO_SEQUENCES:
        return criteo_sequences.CriteoSequences(options.sequences_time_unit)
    if options.format == list_options.ALI_CCP:
        return ali_ccp.AliCCP()
    if options.format == list_options.JD_MICRO:
        return jd_micro.JDMicro(options.jd_engaged, options.jd_satisfied)
    if options.format == list_options.IMPRESSIONS:
        return pages.Impressions(options.impressions_conversion_column)
    return delimited.Delimited(
        list_column=options.list_column,
        time=options.time_column,
        time_unit=options.time_unit,
        click=options.click_column,
        conversion=options.conversion_column,
        fields=options.feature_columns,
        delimiter=options.delimiter,
    )
