"""The engine's answers as the tools': pure, and the only place where both are known."""

from __future__ import annotations

from claudescale_mcp.converters.lease import (
    condition_reason,
    end_answer,
    lease_answer,
    lease_text,
    scale_answer,
)
from claudescale_mcp.converters.metrics import metrics_answer, metrics_text
from claudescale_mcp.converters.records import records_answer, records_text
from claudescale_mcp.converters.report import report_answer, report_text
from claudescale_mcp.converters.state import leases_answer, policies_answer, state_answer, state_text
from claudescale_mcp.converters.status import status_answer, status_text

__all__ = [
    "condition_reason",
    "end_answer",
    "lease_answer",
    "lease_text",
    "leases_answer",
    "metrics_answer",
    "metrics_text",
    "policies_answer",
    "records_answer",
    "records_text",
    "report_answer",
    "report_text",
    "scale_answer",
    "state_answer",
    "state_text",
    "status_answer",
    "status_text",
]
