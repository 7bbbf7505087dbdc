"""How the installation is, as cluster_status answers it."""

from __future__ import annotations

from dataclasses import asdict

from ansible_collections.claudescale.core.plugins.module_utils.asking import health

from claudescale_mcp import outputs


def status_answer(found: health.Status) -> outputs.StatusAnswer:
    """How the installation is."""
    return outputs.StatusAnswer.model_validate(
        {
            **asdict(found),
            "waiting": [asdict(one) for one in found.pods.waiting] if found.pods is not None else [],
            "autoscalers": [_scaler(scaler) for scaler in found.autoscalers],
            "components": [
                {
                    "name": finding.part,
                    "state": finding.health,
                    "explanation": finding.explanation,
                    "advice": finding.advice,
                    "numbers": dict(finding.numbers),
                }
                for finding in found.findings
            ],
        }
    )


def _scaler(found: health.ScalerState) -> dict[str, object]:
    said = asdict(found)
    name, workload = said.pop("name"), said.pop("workload")
    return {
        "name": name,
        "workload": workload,
        "numbers": {key: value for key, value in said.items() if value is not None},
    }


def status_text(answer: outputs.StatusAnswer) -> str:
    """The answer for a person: a line for each part."""
    lines = [f"namespace {answer.namespace}: {answer.overall}"]
    for part in answer.components:
        numbers = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in part.numbers.items())
        advice = f". {part.advice}" if part.advice else ""
        lines.append(f"- {part.name}: {part.state}, {part.explanation}{f' ({numbers})' if numbers else ''}{advice}")
    return "\n".join(lines)
