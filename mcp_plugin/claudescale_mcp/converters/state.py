"""The state of a namespace and its parts, as get_current_state and the resources answer them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from ansible_collections.claudescale.core.plugins.module_utils.asking import state
from ansible_collections.claudescale.core.plugins.module_utils.asking.foreign import clean
from ansible_collections.claudescale.core.plugins.module_utils.lease.model import Policy

from claudescale_mcp import outputs
from claudescale_mcp.converters.quoting import quoted

# What is left out can be seen with get_current_state, one page or one workload at a time.
POLICIES_SHOWN = 15
LEASES_SHOWN = 9


def state_answer(page: state.Page, writes: outputs.Writes) -> outputs.StateAnswer:
    """One page of the state."""
    found = page.state
    return outputs.StateAnswer(
        namespace=found.namespace,
        time=found.time,
        controller=found.controller,
        writes=writes,
        warnings=[outputs.Warned.model_validate(asdict(one)) for one in found.warnings],
        page=page.page,
        pages=page.pages,
        workloads_total=page.workloads_total,
        leases_total=page.leases_total,
        workloads=[outputs.Workload.model_validate(asdict(one)) for one in found.workloads],
        leases=[outputs.Lease.model_validate(asdict(one)) for one in found.leases],
        last_decisions=[outputs.Decision.model_validate(asdict(one)) for one in found.records],
        head=found.head,
    )


def state_text(answer: outputs.StateAnswer) -> str:
    """The answer for a person: a line each, the names of others in quotes."""
    where = f"namespace {answer.namespace}, page {answer.page} of {answer.pages}"
    lines = [f"{where}; controller: {answer.controller}; writes: {'on' if answer.writes.enabled else 'off'}"]
    for workload in answer.workloads:
        scaling = workload.autoscaler
        floor = f", floor {scaling.floor} (base {scaling.base}, maximum {scaling.maximum})" if scaling else ""
        bound = f", policy {workload.policy.mode} up to {workload.policy.max_replicas}" if workload.policy else ""
        pods = f"{workload.pods.ready} of {workload.pods.count} pods ready"
        lines.append(f"- {quoted(workload.workload)}: {pods}{floor}{bound}")
    for lease in answer.leases:
        phase = lease.phase or "not seen yet"
        lines.append(
            f"- lease {quoted(lease.name)} for {quoted(lease.workload)}: {lease.replicas} until {lease.until}, {phase}"
        )
    warnings = Counter(f"! {warning.code}: {warning.message}" for warning in answer.warnings)
    lines += [line if count == 1 else f"{line} ({count} times)" for line, count in warnings.items()]
    return "\n".join(lines)


def policies_answer(policies: Sequence[Policy], namespace: str) -> outputs.PoliciesAnswer:
    """What may be asked; cut, with the number of all."""
    shown = sorted(policies, key=lambda policy: policy.workload)[:POLICIES_SHOWN]
    return outputs.PoliciesAnswer(
        namespace=namespace,
        total=len(policies),
        policies=[
            outputs.PolicyOf.model_validate(
                {
                    "workload": clean(policy.workload, state.LONGEST_NAME),
                    **asdict(state.policy_state(policy)),
                }
            )
            for policy in shown
        ],
    )


def leases_answer(leases: Sequence[state.LeaseState], namespace: str, time: str) -> outputs.LeasesAnswer:
    """The leases; cut, with the number of all."""
    return outputs.LeasesAnswer(
        namespace=namespace,
        time=time,
        total=len(leases),
        leases=[outputs.Lease.model_validate(asdict(lease)) for lease in leases[:LEASES_SHOWN]],
    )
