"""Errors of the server and of its clients."""

import grpc
import tensorflow as tf

from jump_tf import schema

# Of TF Serving's texts: they quote requests, and gRPC drops a status whose text
# is larger than its headers may be.
_LONGEST = 1024


class ServingError(RuntimeError):
    """A server did not answer, or could not.

    Attributes:
        code: the status, e.g. `grpc.StatusCode.UNAVAILABLE`.
        details: the server's text.
    """

    def __init__(self, code: grpc.StatusCode, details: str):
        if len(details) > _LONGEST:
            details = f"{details[:_LONGEST]}...TRUNCATED"
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


_REQUEST_IS_WRONG = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
)
# What TensorFlow's Python says about the graph before it says what is wrong.
_PREAMBLES = ("Graph execution error:\n\n", "<stack traces unavailable>\n")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def from_rpc(error: grpc.RpcError) -> Exception:
    """Returns what a client raises for a failed call.

    Returns:
        `InputError` where the request is wrong, else `ServingError`.
    """
    code, details = error.code(), error.details() or ""
    if code in _REQUEST_IS_WRONG:
        return schema.InputError(f"The server refused the request: {details}")
    return ServingError(code, details)


def from_tensorflow(error: tf.errors.OpError | UnicodeDecodeError) -> Exception:
    """Returns the status for inputs that the graph refused."""
    if isinstance(error, UnicodeDecodeError):
        # TensorFlow's words quoted bytes of the request that Python's
        # exceptions cannot hold, nor the code with them.
        return invalid_argument(_reason(error.object.decode(errors="replace")))
    code = _CODES.get(error.error_code, grpc.StatusCode.INTERNAL)
    return ServingError(code, _reason(error.message))


def _reason(text: str) -> str:
    for preamble in _PREAMBLES:
        text = text.rpartition(preamble)[2]
    return text.partition("\n")[0]


def invalid_argument(text: str) -> ServingError:
    """Returns INVALID_ARGUMENT: the request can never be answered."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, text)


def not_found(text: str) -> ServingError:
    """Returns NOT_FOUND: what the request asks for is not served."""
    return ServingError(grpc.StatusCode.NOT_FOUND, text)
