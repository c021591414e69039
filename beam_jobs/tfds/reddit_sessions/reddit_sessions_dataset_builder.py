"""Actions of 25,000 users of Reddit; `reddit` is another TFDS dataset."""

from beam_jobs.tfds import sessions_builder


class Builder(sessions_builder.SessionsBuilder):
    """Users' actions in subreddits, cut into sessions at pauses of an hour."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get `Subreddit Interactions for 25,000 Users` from Kaggle
    (colemaclean/subreddit-interactions), unpack it and put `reddit_data.csv`
    into the manual folder. It may be packed as `.gz`, `.xz` or `.bz2`; the
    archive itself is not read.
    """
    LOG_FORMAT = "reddit"
    LOG_FILE = "reddit_data.csv"
    HOMEPAGE = "https://www.kaggle.com/colemaclean/subreddit-interactions"
    LICENSE = "None is known; see the page of the dataset."
