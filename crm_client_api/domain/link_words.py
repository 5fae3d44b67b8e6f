"""How a communication record stands to the recording of its call; programs outside know these words too."""

from __future__ import annotations

from typing import Literal

LinkState = Literal["linked", "waiting", "none"]
LinkReason = Literal[
    "ready",  # there is audio of the call
    "call_running",  # the recording comes when the call has ended
    "being_cut",  # the recording is being written
    "not_from_popup",  # the record was not added from a pop-up
    "permission_missing",  # recording_query is not held
    "call_unknown",  # the call is not stored here (any more)
    "not_recorded",  # the call was not kept
    "deleted",  # the recording was deleted
    "lost",  # the recording could not be written
]
