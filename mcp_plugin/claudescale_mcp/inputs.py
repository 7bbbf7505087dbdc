"""What tools and prompts take: typed, bounded, with examples; and one sentence for arguments that are none of it.

The bounds are the engine's own. Whatever has to be compared with something else (an end with its start) is checked by
the engine's Wish, whose sentences these resemble.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean
from ansible_collections.claudescale.core.plugins.module_utils.asking.wish import (
    LONGEST_NAME,
    LONGEST_REASON,
    LONGEST_WORKLOAD,
    MOST_REPLICAS,
    MOST_SECONDS,
    BadRequest,
)
from ansible_collections.claudescale.core.plugins.module_utils.evidence import queries
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Model = TypeVar("Model", bound="Arguments")

SHOWN = 60  # characters of a bad value
FAULTS_SHOWN = 5
MOST_PAGES = 1000
MOST_RECORDS = 9_999_999_999  # their names have ten digits
LONGEST_TIME = 40
A_NAME = "^[a-z0-9][-a-z0-9.]*$"  # the engine looks closer

Workload = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_WORKLOAD + len("StatefulSet/"),
        description="demo-app means Deployment/demo-app",
        examples=["demo-app", "StatefulSet/db"],
    ),
]
LeaseName = Annotated[
    str,
    Field(max_length=LONGEST_NAME, pattern=A_NAME, examples=["friday-launch"]),
]
Time = Annotated[str, Field(max_length=LONGEST_TIME, examples=["2026-03-01T20:00:00Z"])]
Window = Annotated[int, Field(ge=queries.LEAST_SECONDS, le=queries.MOST_SECONDS, description="So long before now")]
DryRun = Annotated[bool, Field(description="Only say what would happen")]


class Arguments(BaseModel):
    """The arguments of one tool or prompt: nothing is coerced, nothing unknown is let through."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StateArguments(Arguments):
    """The arguments of get_current_state."""

    workload: Annotated[Workload | None, Field(description="Only this workload")] = None
    page: Annotated[int, Field(ge=1, le=MOST_PAGES, description="The next page, where pages is above 1")] = 1


class StatusArguments(Arguments):
    """The arguments of cluster_status: none."""


class MetricsArguments(Arguments):
    """The arguments of get_metrics."""

    workload: Workload
    window_seconds: Window = 300


class ReportArguments(Arguments):
    """The arguments of generate_report."""

    workload: Workload
    window_seconds: Window = 3600
    plot: Annotated[bool, Field(description="Also a picture, where the client shows images")] = False


class RecordsArguments(Arguments):
    """The arguments of get_records."""

    workload: Annotated[Workload | None, Field(description="Only its records")] = None
    lease: Annotated[LeaseName | None, Field(description="Only records of this lease")] = None
    refusals_only: Annotated[bool, Field(description="Only what was refused")] = False
    before: Annotated[int | None, Field(ge=1, le=MOST_RECORDS, description="Only older ones than this sequence")] = None


class LeaseArguments(Arguments):
    """The arguments of lease_capacity."""

    name: Annotated[
        LeaseName,
        Field(description="Yours to choose, and the request's key: the same call again is Unchanged"),
    ]
    workload: Workload
    replicas: Annotated[
        int,
        Field(ge=1, le=MOST_REPLICAS, description="At least so many pods in all, not so many more"),
    ]
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LONGEST_REASON,
            description="Why, in one line: people read it in the record",
            examples=["launch at 20:00"],
        ),
    ]
    duration_seconds: Annotated[
        int | None,
        Field(ge=1, le=MOST_SECONDS, description="Default: the policy's. Not together with end"),
    ] = None
    start: Annotated[Time | None, Field(description="RFC 3339 with zone. Default: now")] = None
    end: Annotated[Time | None, Field(description="RFC 3339 with zone. Not together with duration_seconds")] = None
    on_behalf_of: Annotated[
        str | None,
        Field(min_length=1, max_length=LONGEST_WORKLOAD, description="Who wants it, as claimed", examples=["ana"]),
    ] = None
    dry_run: DryRun = False


class ScaleArguments(Arguments):
    """The arguments of scale_deployment."""

    name: Annotated[LeaseName, Field(description="Yours to choose, and the request's key, as for lease_capacity")]
    workload: Workload
    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS, description="So many pods in all")]
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, examples=["ana asks for 4"])]
    dry_run: DryRun = False


class EndArguments(Arguments):
    """The arguments of end_lease."""

    name: Annotated[LeaseName, Field(description="The lease's name, as get_current_state shows it")]
    dry_run: DryRun = False


def schema(model: type[Arguments]) -> dict[str, Any]:
    """The input schema, without what a model does not need: titles, and null for what may be left out."""
    made: dict[str, Any] = compact(model.model_json_schema())
    made.pop("description", None)
    return made


def compact(value: Any) -> Any:
    """A schema without titles; `X or null` becomes X, because what is null is left out."""
    if isinstance(value, list):
        return [compact(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    found = {key: compact(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    others = [item for item in found.get("anyOf", []) if item != {"type": "null"}]
    if len(others) == 1:
        del found["anyOf"]
        found = {**others[0], **found}
        if found.get("default", 0) is None:
            del found["default"]
    return found


def read(tool: str, model: type[Model], arguments: Mapping[str, Any]) -> Model:
    """The arguments, typed; BadRequest with one sentence that names every fault."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=True)
        properties = schema(model)["properties"]
        shown = "; ".join(_fault(tool, properties, fault) for fault in faults[:FAULTS_SHOWN])
        more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise BadRequest(shown + more) from None


def _fault(tool: str, properties: Mapping[str, Any], fault: Any) -> str:
    kind, name, value = fault["type"], str(fault["loc"][0]) if fault["loc"] else "", fault["input"]
    if kind == "extra_forbidden":
        return unknown(f"{tool} has no argument", name, list(properties))
    if kind == "missing":
        return f"{name} is missing: {_wanted(name, properties[name])}"
    if kind in ("string_too_long", "string_too_short"):
        if not str(value).strip():
            return f"{name} is empty: {_wanted(name, properties[name])}"
        return f"{name} has {len(value)} characters: {properties[name]['maxLength']} at most"
    return f"{name} is {shown(value)}: {_wanted(name, properties[name])}"


def _wanted(name: str, field: Mapping[str, Any]) -> str:
    """What to write into a field."""
    if field["type"] == "integer":
        return f"give a whole number from {field['minimum']} to {field['maximum']}"
    if field["type"] == "boolean":
        return "give true or false"
    if field.get("pattern") == A_NAME:
        return f"use 1 to {field['maxLength']} lower-case letters, digits and hyphens, as in {field['examples'][0]}"
    if name == "reason":
        return "say why in one line, because it is what people read afterwards"
    return f"give a text such as {' or '.join(field['examples'])}"


def unknown(what: str, name: str, valid: Sequence[str]) -> str:
    """A sentence about a name that is none of the valid ones."""
    near = difflib.get_close_matches(name[:SHOWN], valid, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    known = f"valid are {', '.join(valid)}" if valid else "it takes none"
    return f"{what} {shown(name)}{meant}: {known}"


def shown(value: object) -> str:
    """A bad value for a sentence: quoted, visible and short. Only so much of it is looked at."""
    if isinstance(value, str):
        return clean(repr(value[:SHOWN]), SHOWN)
    if isinstance(value, (bool, int, float)) or value is None:
        return (
            "null"
            if value is None
            else clean(str(value).lower() if value is True or value is False else _number(value), SHOWN)
        )
    return f"a {'list' if isinstance(value, list) else 'structure'}"


def _number(value: float) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
