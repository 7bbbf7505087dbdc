"""The workload that is leased for: what get_current_state says of it, and how much may be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TOO_MANY = 500


@dataclass(frozen=True, kw_only=True)
class Target:
    """A workload with an autoscaler and a policy that allows one replica more than its base; counts of replicas."""

    workload: str  # KIND/NAME
    replicas: int
    floor: int
    base: int
    limit: int  # the most that a lease may ask for
    forbidden: int  # more than any rule allows

    @classmethod
    def of(cls, workload: Mapping[str, Any]) -> Target | None:
        """From a workload of get_current_state; None where no lease of base + 1 is possible."""
        scaling, policy = workload.get("autoscaler"), workload.get("policy")
        if not scaling or not policy or policy["mode"] != "Enforce" or workload["count_owner"] != "Autoscaler":
            return None
        base, most = scaling["base"], min(policy["max_replicas"], scaling["maximum"])
        limit = min(most, base + policy["max_step_up"])
        if not policy["min_replicas"] <= base + 1 <= limit:
            return None
        return cls(
            workload=workload["workload"],
            replicas=workload["replicas"],
            floor=scaling["floor"],
            base=base,
            limit=limit,
            forbidden=max(TOO_MANY, most + 1),
        )


def first_target(workloads: Iterable[Mapping[str, Any]]) -> Target | None:
    """The first workload that can be leased for."""
    return next((target for workload in workloads if (target := Target.of(workload)) is not None), None)
