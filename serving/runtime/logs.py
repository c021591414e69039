"""Logs as lines of JSON, for machines to read."""

import json
import logging
from typing import Any

import grpc

FIELDS = "fields"  # As `extra` of a record: what it says beside its message.
LEVELS = ("debug", "info", "warning", "error")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: str) -> None:
    """Sends what the server logs to standard error.

    Args:
        level: one of `LEVELS`, the least that is told.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("serving").setLevel(level.upper())
    # It says of every load that the loader of TF Serving's kind is old.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def level_of(code: grpc.StatusCode) -> int:
    """Returns the log level of an answer; by default only failures are seen."""
    if code is grpc.StatusCode.INTERNAL:
        return logging.ERROR
    return logging.DEBUG if code is grpc.StatusCode.OK else logging.INFO
