"""The server: the declared tools, resources and prompts, and one way for every call to be answered.

What a model can mend is one sentence: a result with isError for a tool, an error of the protocol for a resource or a
prompt, because those have no other. Nothing here asks the cluster before it is needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import metadata
from typing import Any

import mcp_types
from fastmcp import FastMCP
from fastmcp.server.dependencies import get_context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult
from pydantic import PrivateAttr

from claudescale_mcp import declarations, errors, inputs, outputs, prompts, resources
from claudescale_mcp.declarations import Declaration
from claudescale_mcp.handlers import OFF, Handlers, Progress, Told
from claudescale_mcp.link import ACCOUNT, Link, Place

Handler = Callable[[Any, Progress], Awaitable[Told]]


class DoorTool(Tool):
    """A declared tool: arguments read by the declaration's model, answered by one handler."""

    _declaration: Declaration = PrivateAttr()
    _handler: Handler = PrivateAttr()

    @classmethod
    def of(cls, declaration: Declaration, handler: Handler) -> DoorTool:
        """The tool."""
        tool = cls(
            name=declaration.name,
            title=declaration.title,
            description=declaration.description,
            parameters=inputs.schema(declaration.arguments),
            output_schema=outputs.schema(declaration.answer),
            annotations=declaration.annotations,
        )
        tool._declaration = declaration
        tool._handler = handler
        return tool

    def to_mcp_tool(self, **overrides: Any) -> mcp_types.Tool:
        """As it is listed, without FastMCP's own remarks, which would only cost tokens."""
        return super().to_mcp_tool(**{"_meta": None, **overrides})

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """The answer; a mistake, whose ever it is, becomes one sentence."""
        try:
            read = inputs.read(self.name, self._declaration.arguments, arguments)
            answer, text = await self._handler(read, _report)
            return ToolResult(content=text, structured_content=answer.wire())
        except Exception as error:  # noqa: BLE001 - the one boundary: nothing but sentences leaves it
            return refusal(errors.sentence(error, ACCOUNT))


class KnownTools(Middleware):
    """A tool that is not there is answered with those that are, and one that is switched off with how to get it."""

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """The call, or a sentence."""
        name = context.message.name
        server = context.fastmcp_context.fastmcp if context.fastmcp_context is not None else None
        if server is None or await server.get_tool(name) is not None:
            return await call_next(context)
        if any(declaration.name == name for declaration in declarations.ALL):
            return refusal(OFF)
        valid = [tool.name for tool in await server.list_tools()]
        return refusal(inputs.unknown("there is no tool", name, valid))


def build(place: Place, *, allow_writes: bool = False) -> FastMCP:
    """The server for one namespace, read-only unless writes are allowed."""
    handlers = Handlers(Link(place), allow_writes=allow_writes)
    by_name: Mapping[str, Handler] = {
        "get_current_state": handlers.get_current_state,
        "cluster_status": handlers.cluster_status,
        "get_metrics": handlers.get_metrics,
        "get_records": handlers.get_records,
        "generate_report": handlers.generate_report,
        "lease_capacity": handlers.lease_capacity,
        "scale_deployment": handlers.scale_deployment,
        "end_lease": handlers.end_lease,
    }
    server: FastMCP = FastMCP(
        name="claudescale",
        version=metadata.version("claudescale"),
        instructions=declarations.INSTRUCTIONS,
        middleware=[KnownTools()],
        dereference_schemas=False,  # a definition is said once, which halves the list
    )
    there = [declaration for declaration in declarations.ALL if allow_writes or not declaration.writes]
    for declaration in there:
        server.add_tool(DoorTool.of(declaration, by_name[declaration.name]))
    for resource in resources.declared(handlers):
        server.add_resource(resource)
    for prompt in prompts.declared(frozenset(declaration.name for declaration in there)):
        server.add_prompt(prompt)
    return server


def refusal(sentence: str) -> ToolResult:
    """A result that says what is wrong."""
    return ToolResult(content=sentence, is_error=True)


async def _report(done: float, total: float, message: str) -> None:
    await get_context().report_progress(done, total, message)
