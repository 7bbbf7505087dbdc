# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What can be wrong with a record or a chain. The codes are stable: machines may rely on them."""

from __future__ import annotations

from enum import StrEnum

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError


class Flaw(StrEnum):
    """The first thing that is wrong, in the order in which verify looks."""

    # of one record
    NOT_A_RECORD = "NotARecord"  # another kind, or a field that is missing, unknown or of another type
    NAME_DIFFERS = "NameDiffers"  # metadata.name is not the one of its sequence
    HASH_DIFFERS = "HashDiffers"  # the hash is not that of the hash before it and the payload
    PAYLOAD_INVALID = "PayloadInvalid"  # hashed as it stands, but nothing that this project writes
    COPY_DIFFERS = "CopyDiffers"  # a field beside the payload says something else than the payload
    # of its place in the chain
    EMPTY = "Empty"  # no record at all: never a pass
    MISSING = "Missing"
    REPEATED = "Repeated"
    OUT_OF_ORDER = "OutOfOrder"  # the record of this place comes later
    PREVIOUS_HASH_DIFFERS = "PreviousHashDiffers"  # it continues another chain
    NAMESPACE_DIFFERS = "NamespaceDiffers"  # it stands in another namespace than the one its genesis names
    UID_DIFFERS = "UidDiffers"  # the genesis is of a namespace that only had the same name
    # against a head that was noted earlier
    TAIL_MISSING = "TailMissing"  # the chain ends before it
    HEAD_DIFFERS = "HeadDiffers"  # the chain has another hash there: it was rewritten


class RecordBroken(ClaudeScaleError):  # noqa: N818 - a finding, not a mistake of the program
    """A record that is none; `code` names the flaw, the text says in which field."""

    def __init__(self, code: Flaw, what: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
