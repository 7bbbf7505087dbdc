# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""What somebody asks for, checked before it goes anywhere: every door makes its lease here. Pure.

The API server checks the same again; here the sentence is ours and nothing has been sent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import API_VERSION, NAME, WorkloadRef

MOST_REPLICAS = 10_000
MOST_SECONDS = 604_800
LONGEST_NAME = 63
LONGEST_REASON = 512
LONGEST_WORKLOAD = 253
DURATION = re.compile(r"(?=.)(?:([0-9]{1,7})d)?(?:([0-9]{1,7})h)?(?:([0-9]{1,7})m)?(?:([0-9]{1,7})s)?")
UNITS = (86_400, 3_600, 60, 1)  # seconds of the groups
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet"}
INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}
CONTENT = ("workloadRef", "replicas", "startTime", "endTime", "durationSeconds", "reason", "requestedBy", "onBehalfOf")


class BadRequest(ClaudeScaleError):  # noqa: N818 - says whose mistake it is
    """What was asked cannot be a lease, whatever policy says."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """At least `replicas` of a workload, from `start` (None: now) to `end` or for `seconds` (neither: by policy).

    Valid by construction: BadRequest names the field, the rule and what to write. Times as RFC 3339 text.
    """

    name: str
    workload: WorkloadRef
    replicas: int
    reason: str
    start: str | None = None
    end: str | None = None
    seconds: int | None = None
    on_behalf_of: str | None = None

    def __post_init__(self) -> None:
        _check_name("name", self.name, LONGEST_NAME)
        _check_count("replicas", self.replicas, MOST_REPLICAS)
        _check_text("reason", self.reason, LONGEST_REASON)
        if self.on_behalf_of is not None:
            _check_text("onBehalfOf", self.on_behalf_of, LONGEST_WORKLOAD)
        if self.end is not None and self.seconds is not None:
            raise BadRequest("an end and a duration were both given: give one of them")
        if self.seconds is not None:
            _check_count("duration in seconds", self.seconds, MOST_SECONDS)
        start = moments.parse(self.start) if self.start is not None else None
        end = moments.parse(self.end) if self.end is not None else None
        if start is not None and end is not None and end <= start:
            raise BadRequest(f"the end {self.end} is not after the start {self.start}: give an end that comes after it")

    def spec(self, requested_by: str, default_seconds: float | None) -> dict[str, Any]:
        """The lease's spec; `default_seconds` is the policy's, None where there is none."""
        spec: dict[str, Any] = {
            "workloadRef": self.workload.to_object(),
            "replicas": self.replicas,
            "reason": self.reason,
            "requestedBy": requested_by,
        }
        if self.start is not None:
            spec["startTime"] = self.start
        if self.end is not None:
            spec["endTime"] = self.end
        else:
            spec["durationSeconds"] = self.seconds or int(default_seconds or 1800)
        if self.on_behalf_of is not None:
            spec["onBehalfOf"] = self.on_behalf_of
        return spec


def lease_object(name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The object to create."""
    return {
        "apiVersion": API_VERSION,
        "kind": "CapacityLease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(field, wanted, found) of two specs; two spellings of one instant are the same."""
    return [
        (name, wanted.get(name), found.get(name))
        for name in CONTENT
        if _comparable(name, wanted.get(name)) != _comparable(name, found.get(name))
    ]


def parse_workload(text: str) -> WorkloadRef:
    """`demo-app`, `deployment/demo-app` or `StatefulSet/db`; BadRequest where it is none."""
    kind, slash, name = text.partition("/")
    if not slash:
        kind, name = "deployment", text
    if kind.lower() not in KINDS:
        raise BadRequest(f"{_shown(kind)} is no kind of workload that can be leased for: use Deployment or StatefulSet")
    _check_name("workload", name, LONGEST_WORKLOAD)
    return WorkloadRef(kind=KINDS[kind.lower()], name=name)


def parse_count(field: str, text: str, most: int) -> int:
    """A whole number that a person wrote, from 1 to `most`; BadRequest where it is none."""
    value: object = text
    if re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        value = int(text)
    _check_count(field, value, most)
    return int(text)


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `30m`, `2h`, `1d` or `1h30m`; BadRequest where it is none, or longer than a lease can be."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise BadRequest(f"{_shown(text)} is no duration: write whole numbers with units, as in 90s, 30m, 2h or 1h30m")
    seconds = sum(int(number or 0) * unit for number, unit in zip(found.groups(), UNITS, strict=True))
    _check_count("duration in seconds", seconds, MOST_SECONDS)
    return seconds


def check_name(text: str) -> str:
    """A lease's name; BadRequest where it cannot be one."""
    _check_name("name", text, LONGEST_NAME)
    return text


def check_namespace(text: str) -> str:
    """A namespace, before it becomes part of a path; BadRequest where it cannot be one."""
    _check_name("namespace", text, LONGEST_NAME)
    return text


def _comparable(name: str, value: Any) -> Any:
    return moments.parse(value) if name in ("startTime", "endTime") and value is not None else value


def _check_name(field: str, text: str, longest: int) -> None:
    if len(text) > longest or not NAME.fullmatch(text):
        raise BadRequest(
            f"{field} {_shown(text)} is no name: "
            f"use 1 to {longest} lower-case letters, digits and hyphens, as in friday-launch"
        )


def _check_count(field: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequest(f"{field} is {_shown(value)}: give a whole number from 1 to {most}")
    if not 1 <= value <= most:
        raise BadRequest(f"{field} is {_shown(value)}: give a number from 1 to {most}")


def _check_text(field: str, text: str, longest: int) -> None:
    if not text.strip():
        raise BadRequest(f"{field} is empty: say why, because it is what people read afterwards")
    if len(text) > longest:
        raise BadRequest(f"{field} has {len(text)} characters: {longest} at most")
    bad = next((letter for letter in text if unicodedata.category(letter) in INVISIBLE), None)
    if bad is not None:
        raise BadRequest(f"{field} has the invisible character U+{ord(bad):04X}: use letters that can be seen")


def _shown(value: object) -> str:
    return one_line(repr(value), 60)
