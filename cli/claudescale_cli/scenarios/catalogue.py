"""The seven scenarios, as a person names them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli.common import plain
from claudescale_cli.live.conditions import WORKLOAD
from claudescale_cli.scenarios import capacity, cost, health, incident, launch, reactive, review
from claudescale_cli.scenarios.stage import Stage

EVERYTHING = "all"
LANGUAGES = {"en": "English", "es": "Spanish"}  # as the prompts take them
ABOUT = {"workload": WORKLOAD}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One scenario. `prompt` is that of the MCP server, `said` what a person says in each of LANGUAGES.

    `acts`: it changes something meanwhile, and so wants the demo app at rest; `needs` raises where more is missing.
    """

    number: int
    name: str
    title: str
    prompt: str
    said: Mapping[str, str]
    play: Callable[[Stage], None]
    acts: bool = True
    arguments: Mapping[str, str] = field(default_factory=lambda: ABOUT)
    needs: Callable[[ClusterClient], None] = lambda _: None

    @property
    def file(self) -> str:
        """The name of its report, without an ending."""
        return f"{self.number}-{self.name}"


ALL = (
    Scenario(
        number=1,
        name="health-check",
        title="Health check",
        prompt="health_check",
        said={
            "en": "Is everything well in my cluster? Tell me what is not, and what to do about it.",
            "es": "¿Está todo bien en mi clúster? Dime qué no lo está y qué hay que hacer.",
        },
        play=health.play,
        acts=False,
        arguments={},
    ),
    Scenario(
        number=2,
        name="reactive-scaling",
        title="Load is here",
        prompt="reactive_scaling",
        said={
            "en": "There is a lot of traffic on demo-app right now. Is it coping, or does it need help?",
            "es": "Hay mucho tráfico en demo-app ahora mismo. ¿Aguanta o necesita ayuda?",
        },
        play=reactive.play,
    ),
    Scenario(
        number=3,
        name="cost-after-load",
        title="Cost after load",
        prompt="cost_after_load",
        said={
            "en": "The sale is over. Does demo-app still have more than it needs? Bring it down to what is needed.",
            "es": "La campaña ha terminado. ¿Le sobra capacidad a demo-app? Bájala a lo que hace falta.",
        },
        play=cost.play,
    ),
    Scenario(
        number=4,
        name="announced-launch",
        title="Announced launch",
        prompt="announced_launch",
        said={
            "en": "We launch today at 20:00, until 21:00. Have 4 replicas of demo-app ready some minutes before.",
            "es": "Hoy lanzamos a las 20:00, hasta las 21:00. Ten listas 4 réplicas de demo-app unos minutos antes.",
        },
        play=launch.play,
        arguments={**ABOUT, "start": "20:00", "end": "21:00", "replicas": "4"},
    ),
    Scenario(
        number=5,
        name="incident-analysis",
        title="Incident analysis",
        prompt="incident_analysis",
        said={
            "en": "Something is wrong: a pod keeps crashing and the dashboards are empty. What happened?",
            "es": "Algo va mal: un pod se reinicia sin parar y los paneles están vacíos. ¿Qué ha pasado?",
        },
        play=incident.play,
        arguments={},
        needs=incident.needs,
    ),
    Scenario(
        number=6,
        name="capacity-report",
        title="Capacity report",
        prompt="capacity_report",
        said={
            "en": "How much capacity did demo-app have in the last hour, and how much did it use? Show me a chart.",
            "es": "¿Cuánta capacidad tuvo demo-app en la última hora y cuánta usó? Enséñame un gráfico.",
        },
        play=capacity.play,
        acts=False,
        arguments={**ABOUT, "hours": "1"},
    ),
    Scenario(
        number=7,
        name="daily-review",
        title="Daily review",
        prompt="daily_review",
        said={
            "en": "What was decided since yesterday, what is planned, and what needs me?",
            "es": "¿Qué se ha decidido desde ayer, qué está planeado y qué necesita mi atención?",
        },
        play=review.play,
        arguments={"hours": "24"},
    ),
)


def chosen(which: str) -> tuple[Scenario, ...]:
    """The scenarios of a number, a name or `all`; ClaudeScaleError names those that there are."""
    if which == EVERYTHING:
        return ALL
    found = next((one for one in ALL if which in (str(one.number), one.name, one.file)), None)
    if found is not None:
        return (found,)
    near = difflib.get_close_matches(which, [one.name for one in ALL], n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    valid = ", ".join(f"{one.number} {one.name}" for one in ALL)
    raise ClaudeScaleError(f"there is no scenario {plain(which)!r}{meant}: it is one of {valid}, or {EVERYTHING}")


def language(code: str) -> str:
    """A language as the prompts take it; ClaudeScaleError names those that there are."""
    found = LANGUAGES.get(code)
    if found is None:
        raise ClaudeScaleError(f"there is no language {plain(code)!r}: it is one of {', '.join(LANGUAGES)}")
    return found
