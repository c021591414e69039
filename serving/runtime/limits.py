"""What a request may hold at most."""

import dataclasses
from collections.abc import Sequence

from jump_tf import schema
from serving.protocol import errors


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds that keep one client from using up the server.

    Attributes:
        max_message_bytes: of a request or an answer.
        max_concurrent_requests: predictions under way, waiting included.
        max_rows: sessions of a request.
        max_clicks: of a session; likewise its candidates, times and so on.
    """

    max_message_bytes: int = 64 * 2**20
    max_concurrent_requests: int = 1000
    max_rows: int = 1024
    max_clicks: int = 10_000

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise schema.InputError(
                    f"`{field.name}` must be positive. "
                    f"Received: {field.name}={value}"
                )

    def check(self, alias: str, shape: Sequence[int]) -> None:
        """Refuses an input that is too large, before memory is spent on it.

        Raises:
            ServingError: INVALID_ARGUMENT.
        """
        values = 1
        for size, most in zip(
            shape,
            (self.max_rows, *[self.max_clicks] * len(shape)),
            strict=False,
        ):
            values *= size
            if size > most or values > schema.MOST_REQUEST_VALUES:
                raise errors.invalid_argument(
                    f"Input `{alias}` must have at most {self.max_rows} rows, "
                    f"{self.max_clicks} values in a row and "
                    f"{schema.MOST_REQUEST_VALUES} in all. "
                    f"Received: {list(shape)}"
                )
