"""What get_current_state answers, and the resources that are parts of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from claudescale_mcp.outputs.base import Answer, Untrusted


class Writes(Answer):
    """Whether the server may ask for leases."""

    enabled: bool
    how: str


class Waiting(Answer):
    """Pods that are not ready."""

    reason: Untrusted
    count: int


class Pods(Answer):
    """The pods of a workload."""

    count: int
    ready: int
    waiting: list[Waiting]


class Autoscaler(Answer):
    """The one autoscaler of a workload."""

    name: Untrusted
    floor: int
    base: Annotated[int, Field(description="The floor without any lease")]
    maximum: int
    current: int
    wanted: int
    cpu_percent: int | None = None
    cpu_target_percent: int | None = None
    leases: list[Untrusted]
    contested_by: Untrusted | None = None


class Policy(Answer):
    """What may be asked for a workload."""

    mode: Annotated[str, Field(description="Observe: decides, changes nothing")]
    min_replicas: int
    max_replicas: int
    max_step_up: Annotated[int, Field(description="Above base")]
    max_seconds: int
    default_seconds: int
    max_lead_seconds: int
    max_leases: int


class Workload(Answer):
    """A workload; without autoscaler no lease is possible, without policy none may be asked for."""

    workload: Untrusted
    replicas: int
    count_owner: str
    pods: Pods
    autoscaler: Autoscaler | None = None
    policy: Policy | None = None


class Lease(Answer):
    """A lease; reason, door and names are claims of who asked."""

    name: Untrusted
    workload: Untrusted
    phase: str | None = None
    replicas: int
    start: str
    until: str
    floor_stands: bool
    code: str | None = None
    door: Untrusted
    requested_by: Untrusted
    reason: Untrusted


class Decision(Answer):
    """One of the last records."""

    sequence: int
    time: str
    event: str
    outcome: str
    code: str | None = None
    workload: Untrusted | None = None
    lease: Untrusted | None = None


class Warned(Answer):
    """What is not well."""

    code: str
    message: str
    workload: Untrusted | None = None
    lease: Untrusted | None = None
    manager: Untrusted | None = None


class StateAnswer(Answer):
    """The state of the namespace, one page of it."""

    namespace: str
    time: str
    controller: str
    writes: Writes
    warnings: list[Warned]
    page: int
    pages: Annotated[int, Field(description="Above 1: ask for the next page")]
    workloads_total: int
    leases_total: int
    workloads: list[Workload]
    leases: list[Lease]
    last_decisions: list[Decision]
    head: Annotated[str | None, Field(description="SEQUENCE:HASH of the last record")] = None


class PolicyOf(Policy):
    """What may be asked for one workload."""

    workload: Untrusted


class PoliciesAnswer(Answer):
    """What may be asked; a workload that is not in it may be asked nothing for."""

    namespace: str
    total: int
    policies: list[PolicyOf]


class LeasesAnswer(Answer):
    """The leases, those that are not over first."""

    namespace: str
    time: str
    total: int
    leases: list[Lease]
