"""What cluster_status answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from claudescale_mcp.outputs.base import Answer, Untrusted
from claudescale_mcp.outputs.state import Waiting


class Component(Answer):
    """How one part of the installation is."""

    name: str
    state: Literal["Well", "Degraded", "Away", "Unknown"]
    explanation: str
    advice: str | None = None
    numbers: dict[str, int]


class Node(Answer):
    """A node with its capacity."""

    name: Untrusted
    ready: bool
    version: Untrusted
    cpu: Untrusted
    memory: Untrusted


class Service(Answer):
    """A service."""

    name: Untrusted
    type: Untrusted
    ports: list[int]


class Scaler(Answer):
    """An autoscaler; its numbers are those that get_current_state names, CPU in percent where it is known."""

    name: Untrusted
    workload: Untrusted
    numbers: dict[str, int]


class StatusAnswer(Answer):
    """How the installation is, each part with advice where it is not well."""

    namespace: str
    time: str
    overall: Literal["Well", "Degraded", "Unknown"]
    components: Annotated[list[Component], Field(description="numbers count all, the lists are cut")]
    nodes: list[Node]
    services: list[Service]
    autoscalers: list[Scaler]
    waiting: Annotated[list[Waiting], Field(description="Pods that are not ready")]
    head: Annotated[str | None, Field(description="SEQUENCE:HASH of the last record")] = None
