"""The prompts as the server lists and renders them."""

from __future__ import annotations

import logging
from typing import Any

import mcp_types
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from fastmcp.exceptions import ValidationError
from fastmcp.prompts import Prompt
from fastmcp.prompts.base import PromptArgument
from pydantic import PrivateAttr

from claudescale_mcp import inputs
from claudescale_mcp.prompts.scenarios import ALL, Declaration, text


class DoorPrompt(Prompt):
    """A declared prompt: arguments read by the declaration's model, steps for the tools that are there."""

    _declaration: Declaration = PrivateAttr()
    _tools: frozenset[str] = PrivateAttr()

    @classmethod
    def of(cls, declaration: Declaration, tools: frozenset[str]) -> DoorPrompt:
        """The prompt."""
        fields = declaration.arguments.model_fields
        required = [name for name in fields if fields[name].is_required()]
        described = inputs.schema(declaration.arguments)["properties"]
        made = cls(
            name=declaration.name,
            title=declaration.title,
            description=declaration.description,
            arguments=[
                PromptArgument(name=name, description=_described(described[name]), required=name in required)
                for name in sorted(described, key=lambda name: (name not in required, name == "language"))
            ],
        )
        made._declaration = declaration
        made._tools = tools
        return made

    def to_mcp_prompt(self, **overrides: Any) -> mcp_types.Prompt:
        """As it is listed, without FastMCP's own remarks."""
        return super().to_mcp_prompt(**{"_meta": None, **overrides})

    async def render(self, arguments: dict[str, Any] | None = None) -> str:
        """The text for the model; ValidationError with one sentence where an argument is none."""
        try:
            given = inputs.read(self.name, self._declaration.arguments, arguments or {})
            return text(self._declaration, given, self._tools)
        except ClaudeScaleError as error:
            raise ValidationError(str(error), log_level=logging.DEBUG) from None


def declared(tools: frozenset[str]) -> tuple[DoorPrompt, ...]:
    """All prompts, for a server that has these tools."""
    return tuple(DoorPrompt.of(declaration, tools) for declaration in ALL)


def _described(field: dict[str, Any]) -> str:
    return f"{field['description']}, as in {' or '.join(field['examples'])}"
