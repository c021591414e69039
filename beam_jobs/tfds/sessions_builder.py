"""The base of the datasets: sessions of a log in the manual folder.

The sessions, their dwells and their splits are those of `jump-tf prepare`; one
pass over the log makes all splits.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any
from typing import ClassVar

import apache_beam as beam
import numpy as np
import tensorflow_datasets as tfds

from beam_jobs import build_sessions
from beam_jobs import counting
from beam_jobs.options import sessions as session_options
from beam_jobs.output import jobs
from jump_tf import schema

_ENDINGS = ("", ".gz", ".xz", ".bz2")  # What the job unpacks by itself.
# The checks of the job that hold where another writes the files.
_STAGES = [
    stage
    for stage in counting.SESSION_STAGES
    if stage[0] in ("parse", "group", "count items", "filter", "write")
]


class SessionsBuilder(  # type: ignore[call-arg] # The base has no types.
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """A dataset of the sessions that `jump-tf prepare` makes of one log.

    Filters, censoring and the random split are those of its defaults. Items
    are the log's own ids; the last dwell of a session is a lower bound. Where
    a visitor's clicks are cut into sessions, `session_cut` is 1 if the log
    ended before the visit did.

    Attributes:
        LOG_FORMAT: what `jump-tf prepare --format` calls the log.
        LOG_FILE: its name in the manual folder, maybe packed.
        HOMEPAGE: where it is published.
        LICENSE: what is known of it.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Initial release."}

    LOG_FORMAT: ClassVar[str]
    LOG_FILE: ClassVar[str]
    HOMEPAGE: ClassVar[str]
    LICENSE: ClassVar[str]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    schema.SESSION_ID: tfds.features.Text(),
                    schema.START_MS: np.int64,
                    schema.ITEMS: tfds.features.Sequence(tfds.features.Text()),
                    schema.DWELL_SECONDS: tfds.features.Sequence(np.float32),
                    schema.DWELL_CENSORED: tfds.features.Sequence(np.int64),
                    schema.SESSION_CUT: np.int64,
                }
            ),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
        )

    def download_and_prepare(self, *, download_config=None, **settings):
        """As in the base class, but runs in this process by default.

        Raises:
            schema.InputError: the manual folder has no such log, or it is
                wrong; or Beam is asked for threads.
            RuntimeError: a stage lost or doubled clicks.
        """
        config = download_config or tfds.download.DownloadConfig()
        if config.beam_runner is None:
            given = config.beam_options or beam.pipeline.PipelineOptions([])
            config = dataclasses.replace(
                config, beam_options=jobs.pin_runner(given)
            )
        super().download_and_prepare(download_config=config, **settings)

    def _split_generators(self, dl_manager, pipeline):
        request = session_options.PrepareOptions(
            format=self.LOG_FORMAT,
            input=(self._log(dl_manager.manual_dir),),
            output=str(self.data_path),
        )
        logged = build_sessions.logged_sessions(request, pipeline)
        return {
            split: logged | split >> self._generate_examples(split)
            for split in schema.SPLITS
        }

    def _generate_examples(self, split):
        return beam.FlatMap(_examples, split)

    def _process_pipeline_result(self, pipeline_result):
        counts = counting.collect(pipeline_result)
        jobs.check_rejects(
            counts, session_options.PrepareOptions.max_reject_share
        )
        counting.check(counts, _STAGES)

    def _log(self, folder) -> str:
        names = [f"{self.LOG_FILE}{ending}" for ending in _ENDINGS]
        found = [name for name in names if (folder / name).exists()]
        if len(found) == 1:
            return str(folder / found[0])
        raise schema.InputError(
            f"`manual_dir` must hold one of {', '.join(names)}. Received: "
            f"{folder} with {', '.join(found) or 'none of them'}. "
            f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
        )


def _examples(
    logged: tuple[str, schema.Session], wanted: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields a session under its id if it is of the split that is wanted."""
    split, session = logged
    if split == wanted:
        counting.counter(counting.CLICKS, split).inc(len(session.items))
        yield session.session_id, dict(vars(session))
