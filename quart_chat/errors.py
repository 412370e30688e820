"""Every error that one layer tells another.

QuartChatError            what is shown to a person is `.message`, never str() of something caught
├── ConfigError           a setting is wrong; stops the start
├── ChatError             a rule of the conversation
│   ├── InvalidInputError     INVALID_INPUT (with `fields`: name -> reason)
│   ├── ForbiddenError        FORBIDDEN
│   ├── NotFoundError         NOT_FOUND (also: somebody else's)
│   ├── ConflictError         CONFLICT
│   ├── TooLargeError         PAYLOAD_TOO_LARGE
│   ├── SlowBodyError         REQUEST_TIMEOUT
│   ├── RateLimitError        RATE_LIMIT (with `retry_after_s`)
│   └── QueueFullError        SERVICE_UNAVAILABLE
├── ModelError            the engine or a model could not do it
│   ├── EngineUnavailableError  SERVICE_UNAVAILABLE: not running, unreachable, refuses us
│   │   └── EngineSilentError     TIMEOUT: a short question was not answered in time
│   ├── EngineBusyError         SERVICE_UNAVAILABLE: its own queue is full
│   ├── ModelNotFoundError      NOT_FOUND
│   ├── ModelRefusedError       INVALID_INPUT: prompt too long, no such ability, bad option
│   ├── ModelLoadError          MODEL_LOAD_FAILED: damaged file, not enough memory
│   ├── ModelTimeoutError       TIMEOUT: no token within the deadline
│   ├── DownloadError           DOWNLOAD_FAILED: registry, disk, checksum
│   └── AnswerCutError          ANSWER_CUT: the stream ended, broke or failed half way
└── StorageError          SERVICE_UNAVAILABLE: the database cannot take or give it
"""

from __future__ import annotations

from collections.abc import Mapping


class QuartChatError(Exception):
    """`message` is a sentence a person can act on; `code` is for programs; `retry` says whether again may help."""

    code = "INTERNAL_ERROR"
    retry = False

    def __init__(self, message: str, *, retry: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if retry is not None:
            self.retry = retry


class ConfigError(QuartChatError):
    code = "BAD_CONFIG"


class ChatError(QuartChatError):
    pass


class InvalidInputError(ChatError):
    code = "INVALID_INPUT"

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class ForbiddenError(ChatError):
    code = "FORBIDDEN"


class NotFoundError(ChatError):
    code = "NOT_FOUND"


class ConflictError(ChatError):
    code = "CONFLICT"


class TooLargeError(ChatError):
    code = "PAYLOAD_TOO_LARGE"


class SlowBodyError(ChatError):
    code = "REQUEST_TIMEOUT"
    retry = True


class RateLimitError(ChatError):
    code = "RATE_LIMIT"
    retry = True

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFullError(ChatError):
    code = "SERVICE_UNAVAILABLE"
    retry = True


class ModelError(QuartChatError):
    code = "MODEL_FAILED"
    retry = True


class EngineUnavailableError(ModelError):
    code = "SERVICE_UNAVAILABLE"


class EngineSilentError(EngineUnavailableError):
    code = "TIMEOUT"


class EngineBusyError(ModelError):
    code = "SERVICE_UNAVAILABLE"


class ModelNotFoundError(ModelError):
    code = "NOT_FOUND"
    retry = False


class ModelRefusedError(ModelError):
    code = "INVALID_INPUT"
    retry = False


class ModelLoadError(ModelError):
    code = "MODEL_LOAD_FAILED"


class ModelTimeoutError(ModelError):
    code = "TIMEOUT"


class DownloadError(ModelError):
    """`passes`: it may be over in a moment without anybody doing something about it."""

    code = "DOWNLOAD_FAILED"

    def __init__(self, message: str, *, retry: bool | None = None, passes: bool = True) -> None:
        super().__init__(message, retry=retry)
        self.passes = passes


class AnswerCutError(ModelError):
    code = "ANSWER_CUT"


class StorageError(QuartChatError):
    code = "SERVICE_UNAVAILABLE"
    retry = True
