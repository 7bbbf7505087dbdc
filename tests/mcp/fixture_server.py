"""The real server, with the fixtures that the conformance suite asks for, over loopback HTTP; the cluster is a double.

Everything of ours is on: the middleware, tools, resources and prompts of `build`, and DoorTool's boundary around each
fixture that can pass through it. Those that ask the client something are FastMCP's plain tools.

`python -m tests.mcp.fixture_server FOLDER`: prints its address, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import mcp_types
import uvicorn
from claudescale_mcp import inputs, outputs
from claudescale_mcp.declarations import Declaration
from claudescale_mcp.server import DoorTool, build
from fastmcp import Context, FastMCP
from fastmcp.prompts import Message, PromptResult
from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.server.event_store import EventStore
from fastmcp.tools import Tool, ToolResult
from mcp.shared.exceptions import MCPError
from mcp_types import (
    AudioContent,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import Field

from tests.doors.mcp_double import mcp_cluster

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
PAUSE_SECONDS = 0.05
Handler = Callable[..., Awaitable[Any]]


class Nothing(inputs.Arguments):
    """No arguments."""


class Done(outputs.Answer):
    """An answer whose content says everything."""


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def image() -> ImageContent:
    return ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, words: str, kind: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=words))


# Through our boundary


async def failing(_: Nothing, __: Any) -> tuple[Done, Any]:
    raise inputs.BadRequest("This tool intentionally returns an error for testing")


async def progressing(_: Nothing, report: Any) -> tuple[Done, Any]:
    for done in (0, 50, 100):
        await report(done, 100, "on its way")
        await asyncio.sleep(PAUSE_SECONDS)
    return Done(), "done"


def telling(*content: Any) -> Handler:
    async def handler(_: Nothing, __: Any) -> tuple[Done, Any]:
        return Done(), list(content)

    return handler


DOORS: dict[str, Handler] = {
    "test_simple_text": telling(text("This is a simple text response for testing.")),
    "test_image_content": telling(image()),
    "test_audio_content": telling(AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")),
    "test_embedded_resource": telling(embedded("test://embedded-resource", "This is an embedded resource content.")),
    "test_multiple_content_types": telling(
        text("Multiple content types test:"),
        image(),
        embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ),
    "test_error_handling": failing,
    "test_tool_with_progress": progressing,
}


def add_doors(server: FastMCP) -> None:
    for name, handler in DOORS.items():
        declaration = Declaration(
            name=name,
            title=name,
            description="A fixture of the conformance suite",
            arguments=Nothing,
            answer=Done,
            annotations=ToolAnnotations(read_only_hint=True),
        )
        server.add_tool(DoorTool.of(declaration, handler))


# What asks the client, in the era of sessions


def add_asking(server: FastMCP) -> None:
    @server.tool(output_schema=None)
    async def test_tool_with_logging(ctx: Context) -> str:
        """Log messages on the way."""
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.info(words)
            await asyncio.sleep(PAUSE_SECONDS)
        return "done"

    @server.tool(output_schema=None)
    async def test_sampling(prompt: str, ctx: Context) -> str:
        """Ask the client's model."""
        asked = SamplingMessage(role="user", content=text(prompt))
        said = await ctx.session.create_message([asked], max_tokens=100)
        return f"LLM response: {getattr(said.content, 'text', '')}"

    async def elicit(ctx: Context, message: str, properties: dict[str, Any], required: list[str]) -> str:
        schema = {"type": "object", "properties": properties, "required": required}
        said = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        return f"action={said.action}, content={json.dumps(said.content)}"

    @server.tool(output_schema=None)
    async def test_elicitation(message: str, ctx: Context) -> str:
        """Ask the person."""
        fields = {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        }
        return f"User response: {await elicit(ctx, message, fields, list(fields))}"

    @server.tool(output_schema=None)
    async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
        """Ask the person, with a default for each type."""
        fields = {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": True},
        }
        return f"Elicitation completed: {await elicit(ctx, 'Look at the defaults', fields, [])}"

    @server.tool(output_schema=None)
    async def test_elicitation_sep1330_enums(ctx: Context) -> str:
        """Ask the person, with each kind of choice."""
        titled = [{"const": f"value{number}", "title": f"{word} Option"} for number, word in ORDINALS]
        plain = [f"option{number}" for number, _ in ORDINALS]
        fields: dict[str, Any] = {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        }
        return f"Elicitation completed: {await elicit(ctx, 'Choose', fields, [])}"

    @server.tool(output_schema=None)
    async def test_reconnection(ctx: Context) -> str:
        """Close the stream in mid-call; the client comes back for the answer."""
        await ctx.close_sse_stream()
        await asyncio.sleep(PAUSE_SECONDS * 2)
        return "done"


ORDINALS = ((1, "First"), (2, "Second"), (3, "Third"))


# What asks the client, in the era without sessions


def form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(words: str, tokens: int) -> mcp_types.CreateMessageRequest:
    asked = SamplingMessage(role="user", content=text(words))
    return mcp_types.CreateMessageRequest(
        params=mcp_types.CreateMessageRequestParams(messages=[asked], max_tokens=tokens)
    )


NAME = {"user_name": form("What is your name?", "name")}
CAPITAL = {"capital_question": sample("What is the capital of France?", 100)}
ROOTS = {"client_roots": ListRootsRequest()}
CONFIRM = {"confirm": form("Please confirm", "ok", "boolean")}


def add_rounds(server: FastMCP) -> None:
    def rounds(name: str, requests: dict[str, Any], state: str | None, end: str) -> None:
        """A tool that asks for all of these until they are answered, and then says so."""

        async def handler(ctx: Context) -> Any:
            """Ask, then answer."""
            said = ctx.input_responses or {}
            answered = all(answers(request, said.get(key)) for key, request in requests.items())
            if not answered or ctx.request_state != state:
                return InputRequiredResult(input_requests=requests, request_state=state)
            values = {key: value.model_dump(mode="json", by_alias=True) for key, value in said.items()}
            return f"{end} {json.dumps(values)}"

        server.add_tool(Tool.from_function(handler, name=name, output_schema=None))

    prefix = "test_input_required_result"
    rounds(f"{prefix}_elicitation", NAME, None, "Hello!")
    rounds(f"{prefix}_sampling", CAPITAL, None, "It said")
    rounds(f"{prefix}_list_roots", ROOTS, None, "The roots are")
    rounds(f"{prefix}_request_state", CONFIRM, "round-1", "state-ok")
    rounds(f"{prefix}_tampered_state", CONFIRM, "round-1", "state-ok")
    rounds(f"{prefix}_multiple_inputs", {**NAME, "greeting": sample("Generate a greeting", 50), **ROOTS}, "all", "All:")

    @server.tool(name=f"{prefix}_multi_round", output_schema=None)
    async def multi_round(ctx: Context) -> Any:
        """Ask twice, then answer."""
        said = ctx.input_responses or {}
        if ctx.request_state == "two" and "step2" in said:
            return "done"
        if ctx.request_state == "one" and "step1" in said:
            asked = {"step2": form("Step 2: What is your favorite color?", "color")}
            return InputRequiredResult(input_requests=asked, request_state="two")
        return InputRequiredResult(
            input_requests={"step1": form("Step 1: What is your name?", "name")}, request_state="one"
        )

    @server.tool(name=f"{prefix}_capabilities", output_schema=None)
    async def capabilities(ctx: Context) -> Any:
        """Ask only for what the client can do."""
        can = ctx.session.client_capabilities
        asked = {
            **(NAME if can is not None and can.elicitation is not None else {}),
            **(CAPITAL if can is not None and can.sampling is not None else {}),
        }
        return InputRequiredResult(input_requests=asked) if asked else "nothing to ask"

    @server.prompt(name=f"{prefix}_prompt")
    async def asking(ctx: Context) -> Any:
        """Ask, then prompt."""
        if answers(form("", "context"), (ctx.input_responses or {}).get("user_context")):
            return "A prompt with context"
        asked = {"user_context": form("What context should the prompt use?", "context")}
        return InputRequiredResult(input_requests=asked)


def answers(request: Any, said: Any) -> bool:
    """Whether this is an answer to that request."""
    if isinstance(request, ElicitRequest):
        wanted = request.params.requested_schema["required"]
        return isinstance(said, mcp_types.ElicitResult) and all(key in (said.content or {}) for key in wanted)
    if isinstance(request, ListRootsRequest):
        return isinstance(said, mcp_types.ListRootsResult)
    return isinstance(said, mcp_types.CreateMessageResult | mcp_types.CreateMessageResultWithTools)


# What the suite looks into, in the era without sessions


class Verbatim(Tool):
    """A tool whose schema is listed as it is."""

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult(content=json.dumps(arguments))


RICH = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
REGION = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}


def add_diagnostics(server: FastMCP) -> None:
    server.add_tool(Verbatim(name="json_schema_2020_12_tool", description="A rich schema", parameters=RICH))
    server.add_tool(Verbatim(name="test_region_header", description="An argument as a header", parameters=REGION))

    @server.tool(output_schema=None)
    async def test_missing_capability(ctx: Context) -> Any:
        """Nothing without sampling."""
        can = ctx.session.client_capabilities
        if can is None or can.sampling is None:
            data = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(code=-32021, message="the client has no sampling", data=data)
        return "done"

    @server.tool(output_schema=None)
    async def test_streaming_elicitation(ctx: Context) -> Any:
        """Report, then ask."""
        await ctx.report_progress(1, 2)
        return InputRequiredResult(input_requests=NAME)

    @server.tool(output_schema=None)
    async def test_logging_tool(ctx: Context) -> str:
        """Log."""
        await ctx.info("a message")
        return "done"


# Resources and prompts


def add_resources(server: FastMCP) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """Text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> ResourceResult:
        """Bytes."""
        return ResourceResult([ResourceContent(base64.b64decode(PIXEL), mime_type="image/png")])

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002 - the suite's name
        """A template."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def add_prompts(server: FastMCP) -> None:
    @server.prompt
    def test_simple_prompt() -> str:
        """Simple."""
        return "This is a simple prompt for testing."

    @server.prompt
    def test_prompt_with_arguments(
        arg1: str = Field(description="First test argument"), arg2: str = Field(description="Second test argument")
    ) -> str:
        """With arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt
    def test_prompt_with_embedded_resource(resourceUri: str) -> PromptResult:  # noqa: N803 - the suite's name
        """With a resource."""
        content = embedded(resourceUri, "Embedded resource content for testing.")
        return PromptResult([Message(content), Message("Please process the embedded resource above.")])

    @server.prompt
    def test_prompt_with_image() -> PromptResult:
        """With an image."""
        return PromptResult([Message(image()), Message("Please analyze the image above.")])

    @server.completion
    async def complete(ref: Any, argument: Any, context: Any) -> list[str]:
        """What may be completed."""
        return [word for word in ("paris", "park", "party") if word.startswith(argument.value)]


def made(folder: Path, cluster: Any) -> FastMCP:
    """The server."""
    server = build(cluster.place(folder), allow_writes=True)
    for add in (add_doors, add_asking, add_rounds, add_diagnostics, add_resources, add_prompts):
        add(server)
    return server


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    with mcp_cluster() as cluster, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = made(Path(sys.argv[1]), cluster)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
        app = server.http_app(event_store=EventStore(), retry_interval=100, host_origin_protection=True)
        settings = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=0)
        uvicorn.Server(settings).run(sockets=[listening])


if __name__ == "__main__":
    main()
