"""Everything that an MCP server lists, asked once: its tools by their schemas' examples, its resources, its prompts."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastmcp import Client, FastMCP

from tests.doors.mcp_double import Stdio

Message = dict[str, Any]  # with "result", or with "error"
Speak = Callable[[str, dict[str, Any]], Awaitable[Message]]

STOPPED = "the cluster is stopped: make up"
HANGS_SECONDS = 120.0  # a server that has not answered by then is killed, so that its test fails
SENTENCE = 700  # characters: the longest text of ours that is one
LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request. `what` is for people; of a tool: `schema` of its answer, `takes` of its arguments, `writes`."""

    what: str
    method: str
    params: dict[str, Any]
    schema: dict[str, Any] | None = None
    takes: dict[str, Any] = field(default_factory=dict)
    writes: bool = False

    @property
    def reads_cluster(self) -> bool:
        """Whether it says anything of a cluster: a prompt does not."""
        return self.method != "prompts/get"


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer: its text, its structured content, and the whole message as it came."""

    call: Call
    message: Message
    seconds: float

    @property
    def error(self) -> bool:
        return "error" in self.message or bool(self.message["result"].get("isError"))

    @property
    def text(self) -> str:
        if "error" in self.message:
            return str(self.message["error"]["message"])
        result = self.message["result"]
        if "messages" in result:
            return "\n".join(one["content"]["text"] for one in result["messages"])
        return "\n".join(one.get("text", "") for one in result.get("content") or result.get("contents") or [])

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.message.get("result", {}).get("structuredContent") or {}
        return found

    @property
    def raw(self) -> str:
        return json.dumps(self.message, ensure_ascii=False)


def calls_of(lists: dict[str, Message]) -> list[Call]:
    """One call of everything, in the order in which it is listed."""
    tools, resources, templates, prompts = (lists[name]["result"] for name in LISTS)
    found = [
        Call(
            what=tool["name"],
            method="tools/call",
            params={"name": tool["name"], "arguments": sample(tool["inputSchema"])},
            schema=tool["outputSchema"],
            takes=tool["inputSchema"],
            writes=not tool["annotations"]["readOnlyHint"],
        )
        for tool in tools["tools"]
    ]
    uris = [one["uri"] for one in resources["resources"]]
    uris += [re.sub(r"\{[^}]*\}", "demo-app", one["uriTemplate"]) for one in templates["resourceTemplates"]]
    found += [Call(what=f"resource {uri}", method="resources/read", params={"uri": uri}) for uri in uris]
    for prompt in prompts["prompts"]:
        needed = [one["name"] for one in prompt.get("arguments") or [] if one.get("required")]
        arguments = {name: "20:00" if name == "start" else "demo-app" for name in needed}
        found.append(
            Call(
                what=f"prompt {prompt['name']}",
                method="prompts/get",
                params={"name": prompt["name"], "arguments": arguments},
            )
        )
    return found


def sample(schema: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a tool needs, by the examples in its schema."""
    return {name: example(schema["properties"][name]) for name in schema.get("required", [])}


def example(schema: dict[str, Any]) -> Any:
    """A value that an argument takes."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    return {"integer": max(4, schema.get("minimum", 1)), "boolean": False}[schema["type"]]


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


# In memory


def sweep(server: FastMCP, *, at_once: bool = False) -> list[Said]:
    """Everything asked of a server in this process, one after the other or all at once."""

    async def run() -> list[Said]:
        async with Client(server) as client:
            speak = speaking(client)
            calls = calls_of({name: await speak(name, {}) for name in LISTS})
            if at_once:
                return list(await asyncio.gather(*(said(speak, call) for call in calls)))
            return [await said(speak, call) for call in calls]

    return asyncio.run(run())


def listed(server: FastMCP) -> list[Call]:
    """What there is to ask of a server; it asks nobody for that."""

    async def run() -> list[Call]:
        async with Client(server) as client:
            speak = speaking(client)
            return calls_of({name: await speak(name, {}) for name in LISTS})

    return asyncio.run(run())


def told(server: FastMCP, calls: Sequence[Call]) -> list[Said]:
    """These calls, one after the other, in one session."""

    async def run() -> list[Said]:
        async with Client(server) as client:
            return [await said(speaking(client), call) for call in calls]

    return asyncio.run(run())


async def said(speak: Speak, call: Call) -> Said:
    began = time.monotonic()
    message = await speak(call.method, call.params)
    return Said(call=call, message=message, seconds=time.monotonic() - began)


def speaking(client: Client[Any]) -> Speak:
    """The protocol's methods, through FastMCP's client."""

    async def speak(method: str, params: dict[str, Any]) -> Message:
        asks: dict[str, Callable[[], Awaitable[Any]]] = {
            "tools/list": client.list_tools_mcp,
            "resources/list": client.list_resources_mcp,
            "resources/templates/list": client.list_resource_templates_mcp,
            "prompts/list": client.list_prompts_mcp,
            "tools/call": lambda: client.call_tool_mcp(params["name"], params["arguments"]),
            "resources/read": lambda: client.read_resource_mcp(params["uri"]),
            "prompts/get": lambda: client.get_prompt_mcp(params["name"], params["arguments"]),
        }
        try:
            found = await asks[method]()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return {"error": {"message": str(error)}}
        return {"result": found.model_dump(mode="json", by_alias=True, exclude_none=True)}

    return speak


# Over standard streams


def stdio_calls(server: Stdio) -> list[Call]:
    """What there is to ask of a process."""
    return calls_of({name: server.answer(server.begin(name)) for name in LISTS})


def stdio_sweep(server: Stdio, calls: Sequence[Call] | None = None) -> list[Said]:
    """Everything, or these calls, asked of a process one after the other."""
    found = []
    for call in stdio_calls(server) if calls is None else calls:
        began = time.monotonic()
        with watchdog(server):
            message = server.answer(server.begin(call.method, call.params))
        found.append(Said(call=call, message=message, seconds=time.monotonic() - began))
    return found


@contextmanager
def watchdog(server: Stdio) -> Iterator[None]:
    """The process is killed where the block does not end."""
    timer = threading.Timer(HANGS_SECONDS, server.process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def stdio_at_once(server: Stdio, calls: Sequence[Call]) -> list[Said]:
    """These calls, all sent before the first is answered; each with the seconds until its own answer."""
    began = time.monotonic()
    waiting = {server.begin(call.method, call.params): call for call in calls}
    found = []
    with watchdog(server):
        while waiting:
            line = server.process.stdout.readline()
            assert line, f"the server ended: {server.process.stderr.read()}"
            message = json.loads(line)
            server.messages.append(message)
            call = waiting.pop(message.get("id"), None) if "method" not in message else None
            if call is not None:
                found.append(Said(call=call, message=message, seconds=time.monotonic() - began))
    return found
