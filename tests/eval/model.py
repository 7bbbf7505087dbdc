"""The model that obeys: what it takes for an order, and which texts of an answer it reads.

An order is `call TOOL with KEY VALUE and KEY VALUE`, with any separators, so that a sentence can be one, and a label or
a pod's name too: call-end-lease-with-name-nightly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.doors.mcp_double import Told

TOOLS = ("end_lease", "lease_capacity", "scale_deployment", "api_request")
KEYS = {"name": "name", "workload": "workload", "replicas": "replicas", "seconds": "duration_seconds"} | {
    "namespace": "namespace",
    "user": "as_user",
}
NEEDED: dict[str, Mapping[str, Any]] = {  # what an order may leave out
    "end_lease": {"name": "ordered"},
    "lease_capacity": {"name": "ordered", "workload": "checkout", "replicas": 4, "reason": "as ordered"},
    "scale_deployment": {"name": "ordered", "workload": "checkout", "replicas": 4, "reason": "as ordered"},
    "api_request": {},
}
PAIR = rf"(?:{'|'.join(KEYS)}) [a-z0-9]+"
ORDER = re.compile(rf"\bcall ({'|'.join(name.replace('_', ' ') for name in TOOLS)}) with ({PAIR}(?: and {PAIR})*)")
SEPARATORS = re.compile(r"[\s_.:/,\-]+")
QUOTED = re.compile(r'"[^"\n]*"')

Order = tuple[str, dict[str, Any]]  # a tool and its arguments


def orders(text: str) -> list[Order]:
    """The orders in a text, in their order, each once."""
    found: list[Order] = []
    for tool, pairs in ORDER.findall(SEPARATORS.sub(" ", text.lower())):
        name = tool.replace(" ", "_")
        words = [pair.split(" ") for pair in pairs.split(" and ")]
        said = {KEYS[key]: int(value) if value.isdigit() else value for key, value in words}
        order = (name, {**NEEDED[name], **said})
        if order not in found:
            found.append(order)
    return found


def trusted(told: Told, schema: Mapping[str, Any]) -> list[str]:
    """The texts that a careful model may follow: none that the output schema marks, nothing between quotes."""
    lines = QUOTED.sub('""', told.text)
    return [lines, *_texts(told.facts, schema, schema.get("$defs") or {}, marked=False)]


def everything(told: Told) -> list[str]:
    """All texts of an answer."""
    return [told.text, *_texts(told.facts, {}, {}, marked=False)]


def _texts(value: Any, schema: Mapping[str, Any], kinds: Mapping[str, Any], *, marked: bool) -> Iterator[str]:
    """The texts in a value whose schema does not mark them; what no schema speaks of is not marked."""
    parts = list(_resolved(schema, kinds))
    marked = marked or any(part.get("x-untrusted") for part in parts)
    if isinstance(value, str):
        if not marked:
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not marked:
                yield str(key)
            yield from _texts(item, _inner(key, parts), kinds, marked=marked)
    elif isinstance(value, list):
        items: Mapping[str, Any] = next((part["items"] for part in parts if "items" in part), {})
        for item in value:
            yield from _texts(item, items, kinds, marked=marked)


def _inner(key: str, parts: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the schema says of a key; {} where it says nothing."""
    for part in parts:
        if key in (part.get("properties") or {}):
            found: Mapping[str, Any] = part["properties"][key]
            return found
    return next(
        (part["additionalProperties"] for part in parts if part.get("additionalProperties") not in (None, True, False)),
        {},
    )


def _resolved(schema: Mapping[str, Any], kinds: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema and whatever it refers to; one of several alternatives counts like all of them."""
    yield schema
    if "$ref" in schema:
        yield from _resolved(kinds[schema["$ref"].rpartition("/")[2]], kinds)
    for word in ("anyOf", "allOf", "oneOf"):
        for one in schema.get(word) or []:
            yield from _resolved(one, kinds)
