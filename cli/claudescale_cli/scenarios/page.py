"""A run's report: one page that needs nothing but itself, and no script. Pure.

It is well-formed XML, too. Everything that the cluster, the tools or a kubeconfig said is text in it, escaped.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from claudescale_cli.scenarios.facts import PNG, Call, Check, Facts, asked
from claudescale_cli.scenarios.plot import plot

# Nothing may be fetched, whatever stands in the page.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #22262e; background: #fff; max-width: 1100px; margin: 2em auto;
       padding: 0 1em; }
h1 { margin-bottom: 0; } h2 { margin-top: 2em; border-bottom: 1px solid #e4e2da; }
svg, img { max-width: 100%; height: auto; }
.meta, .at { color: #646b78; } .at { font-variant-numeric: tabular-nums; white-space: nowrap; }
.passed { color: #1d6b43; } .failed { color: #b3181b; } .line b { margin-right: 1em; }
.incomplete { background: #fdecea; border-left: 4px solid #b3181b; padding: 0.7em 1em; }
table { border-collapse: collapse; } td, th { text-align: left; vertical-align: top; padding: 0.15em 1em 0.15em 0; }
.call { border-left: 3px solid #d3ece8; padding-left: 1em; margin: 1.2em 0; } .call.error { border-color: #b3541e; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #fdfcf9; padding: 0.7em; font-size: 13px; }
code { overflow-wrap: anywhere; } blockquote { font-size: 17px; margin-left: 0; }
"""


def page(facts: Facts, told: Mapping[str, Any], clock: str) -> str:
    """The page; `told` is what the JSON beside it holds, `clock` the run's beginning in words."""
    title = f"{facts.number} {facts.title}"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8"/>',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}"/>',
        '<meta name="viewport" content="width=device-width"/>',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="meta">{escape(_where(facts, clock))}</p>',
        *_verdict(facts),
        "<h2>What was watched</h2>",
        plot(facts),
        *_moments(facts),
        "<h2>The conversation</h2>",
        *_conversation(facts),
        "<h2>What must be true</h2>",
        *_checks(facts),
        "<h2>What was put back</h2>",
        *_returned(facts),
        "<h2>The same for machines</h2>",
        f'<details><summary>JSON</summary><pre id="facts">{escape(json.dumps(told, indent=2))}</pre></details>',
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _where(facts: Facts, clock: str) -> str:
    who = f", by {facts.person}" if facts.person else ""
    return f"{clock}, {facts.seconds:.0f} s, namespace {facts.namespace} of context {facts.context}{who}"


def _verdict(facts: Facts) -> Iterator[str]:
    """A line of checks, after why there are not all of them."""
    if facts.incomplete:
        yield f'<p class="incomplete"><b>Incomplete:</b> {escape(facts.incomplete)}</p>'
    passed = len(facts.checks) - len(facts.failed)
    names = "".join(
        f'<b class="{_word(check)}" title="{escape(check.words)}">{"✓" if check.passed else "✗"}</b>'
        for check in facts.checks
    )
    yield f'<p class="line">{names}{passed} of {len(facts.checks)} checks passed</p>'
    for check in facts.failed:
        yield f'<p class="failed">{escape(_judged(check))}</p>'


def _moments(facts: Facts) -> Iterator[str]:
    if facts.marks:
        yield "<ol>"
        yield from (f"<li>{_at(mark.at)} {escape(mark.words)}</li>" for mark in facts.marks)
        yield "</ol>"
    if facts.events:
        yield "<p>Events that the autoscaler wrote about itself:</p>"
        yield "<ul>"
        yield from (f"<li>{_at(mark.at)} {escape(mark.words)}</li>" for mark in facts.events)
        yield "</ul>"


def _conversation(facts: Facts) -> Iterator[str]:
    prompt = f"<code>{escape(facts.prompt_name)}</code>"
    yield f"<p>What a person says, in {escape(facts.language)}, by the prompt {prompt}:</p>"
    yield f"<blockquote>{escape(facts.said)}</blockquote>"
    if facts.prompt:
        yield f"<details><summary>What the model reads then</summary><pre>{escape(facts.prompt)}</pre></details>"
    yield f'<p class="meta">A fixed transcript plays the model. The server: <code>{escape(facts.server)}</code></p>'
    for call in facts.calls:
        yield from _call(call)


def _call(call: Call) -> Iterator[str]:
    yield f'<div class="call{" error" if call.is_error else ""}">'
    yield f"<p>{_at(call.at)} <i>{escape(call.why)}</i><br/><code>{escape(asked(call.tool, call.arguments))}</code></p>"
    error = ", an error" if call.is_error else ""
    yield f'<p class="meta">answered after {call.seconds:.2f} s{error}:</p>'
    yield f"<pre>{escape(call.text)}</pre>"
    for image in call.images:
        data = base64.b64encode(image).decode()
        yield f'<p><img alt="the picture that came with it" src="data:{PNG};base64,{data}"/></p>'
    yield "</div>"


def _checks(facts: Facts) -> Iterator[str]:
    if not facts.checks:
        yield "<p>Nothing was checked.</p>"
        return
    yield '<table id="checks">'
    for check in facts.checks:
        yield (
            f'<tr><td class="{_word(check)}">{_word(check)}</td><td>{escape(check.words)}</td>'
            f'<td class="meta">{escape(check.detail)}</td></tr>'
        )
    yield "</table>"


def _returned(facts: Facts) -> Iterator[str]:
    if not facts.put_back:
        yield "<p>Nothing was touched.</p>"
        return
    yield "<ul>"
    for one in facts.put_back:
        yield f"<li>{escape(one.words)}</li>" if one.done else f'<li class="failed">{escape(one.words)}</li>'
    yield "</ul>"


def _judged(check: Check) -> str:
    return f"{check.words}{f': {check.detail}' if check.detail else ''}"


def _word(check: Check) -> str:
    return "passed" if check.passed else "failed"


def _at(seconds: float) -> str:
    return f'<span class="at">{seconds:+.1f} s</span>'
