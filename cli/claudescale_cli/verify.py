"""`claudescale verify-prometheus` and `verify-grafana`: what the docs promise, asked of the running cluster."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from ansible_collections.claudescale.core.plugins.module_utils.cluster.prometheus import Prometheus, QueryError, Sample
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError

from claudescale_cli import grafana
from claudescale_cli.common import Options, make_console, plain_table
from claudescale_cli.kubectl import find_kubectl

PAGE = Path(__file__).resolve().parents[2] / "docs" / "PROMETHEUS_QUERIES.md"
REQUESTS = 20  # to the demo app, so that its latency has something to show on an idle cluster
PATIENCE_SECONDS = 90.0  # a rate needs two scrapes, and cAdvisor reports new containers late
PAUSE_SECONDS = 3.0
HEADING = re.compile(r"^#+\s+(.*\S)\s*$")


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query of the page, with the heading it stands under."""

    name: str
    promql: str


def queries_of(text: str) -> list[Query]:
    """The queries of a page: each fenced block of language promql is one, named by the heading before it."""
    found = []
    name = ""
    block: list[str] | None = None
    fence = ""
    for line in text.splitlines():
        heading = HEADING.match(line)
        if fence:
            if line.strip() == "```":
                if block is not None:
                    found.append(Query(name=name, promql="\n".join(block).strip()))
                fence, block = "", None
            elif block is not None:
                block.append(line)
        elif line.startswith("```"):
            fence = line.strip()
            block = [] if fence == "```promql" else None
        elif heading:
            name = heading.group(1)
    return found


def verify_prometheus(
    context: typer.Context,
    page: Annotated[Path, typer.Option(help="The page with the queries.", show_default=False)] = PAGE,
) -> None:
    """Run every query of docs/PROMETHEUS_QUERIES.md: each must return data."""
    options: Options = context.obj
    try:
        queries = queries_of(page.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClaudeScaleError(f"{page} cannot be read ({error.strerror}): name the page by --page") from error
    if not queries:
        raise ClaudeScaleError(f"{page} has no promql block")
    cluster = options.cluster()
    prometheus = Prometheus(cluster)
    _send_requests(cluster)
    answers = _ask_all(prometheus, queries)
    table = plain_table("query", "series", "first value", "")
    for query in queries:
        samples, problem = answers[query]
        value = f"{samples[0].value:.6g}" if samples else ""
        table.add_row(query.name, str(len(samples)), value, problem or "ok")
    make_console().print(table, markup=False)
    missing = [query.name for query in queries if answers[query][1]]
    if missing:
        raise ClaudeScaleError(f"{len(missing)} of {len(queries)} queries returned no data: {', '.join(missing)}")
    typer.echo(f"{len(queries)} queries returned data")


def _send_requests(cluster: ClusterClient) -> None:
    for _ in range(REQUESTS):
        cluster.text(f"/api/v1/namespaces/{cluster.namespace}/services/demo-app:80/proxy/work")


def _ask_all(prometheus: Prometheus, queries: list[Query]) -> dict[Query, tuple[list[Sample], str]]:
    """Samples with a figure and what is wrong, of each query; those without data are asked again for a while."""
    answers: dict[Query, tuple[list[Sample], str]] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        for query in queries:
            if query not in answers or answers[query][1]:
                answers[query] = _ask(prometheus, query)
        if time.monotonic() > deadline or not any(problem for _, problem in answers.values()):
            return answers
        time.sleep(PAUSE_SECONDS)


def _ask(prometheus: Prometheus, query: Query) -> tuple[list[Sample], str]:
    try:
        samples = [sample for sample in prometheus.query(query.promql) if sample.is_number]
    except QueryError as error:
        return [], str(error)
    return samples, "" if samples else "no data"


def verify_grafana(context: typer.Context) -> None:
    """Check Grafana's login, datasource and dashboards, where Grafana runs."""
    options: Options = context.obj
    cluster = options.cluster()
    deployment = cluster.find(f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/grafana")
    if deployment is None or deployment["spec"].get("replicas") == 0:
        typer.echo("not run here: Grafana's pod is not deployed")
        return
    user, password = grafana.credentials(cluster)
    wanted = grafana.dashboards(cluster)
    with grafana.reached(find_kubectl(), options.kubectl_arguments()) as address:
        for line in grafana.check(address, user, password, wanted):
            typer.echo(line)
