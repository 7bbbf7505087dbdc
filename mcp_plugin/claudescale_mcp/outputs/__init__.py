"""What the tools answer: typed, and as small as it can be said. What is null is left out of the wire.

Every text that others wrote has the type Untrusted; sentences without it are this project's own.
"""

from __future__ import annotations

from claudescale_mcp.outputs.base import Answer, Untrusted, schema
from claudescale_mcp.outputs.lease import EndAnswer, Floor, LeaseAnswer, Rule, ScaleAnswer
from claudescale_mcp.outputs.metrics import MetricsAnswer, Reading
from claudescale_mcp.outputs.records import BrokenPlace, Record, RecordsAnswer
from claudescale_mcp.outputs.report import (
    Absent,
    Cost,
    Course,
    DecisionCount,
    Finding,
    FloorStep,
    Gap,
    LeaseSpan,
    ReportAnswer,
)
from claudescale_mcp.outputs.state import (
    Autoscaler,
    Decision,
    Lease,
    LeasesAnswer,
    PoliciesAnswer,
    Policy,
    PolicyOf,
    StateAnswer,
    Warned,
    Workload,
    Writes,
)
from claudescale_mcp.outputs.status import Component, StatusAnswer

__all__ = [
    "Absent",
    "Answer",
    "Autoscaler",
    "BrokenPlace",
    "Component",
    "Cost",
    "Course",
    "Decision",
    "DecisionCount",
    "EndAnswer",
    "Finding",
    "Floor",
    "FloorStep",
    "Gap",
    "Lease",
    "LeaseAnswer",
    "LeaseSpan",
    "LeasesAnswer",
    "MetricsAnswer",
    "PoliciesAnswer",
    "Policy",
    "PolicyOf",
    "Reading",
    "Record",
    "RecordsAnswer",
    "ReportAnswer",
    "Rule",
    "ScaleAnswer",
    "StateAnswer",
    "StatusAnswer",
    "Untrusted",
    "Warned",
    "Workload",
    "Writes",
    "schema",
]
