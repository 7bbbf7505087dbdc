"""Conversations with Claude whose tool calls are really made: played on a cluster, kept as JSON, shown on a page.

The words of the person and of Claude are an illustration, as data (scripts.py). Every number in Claude's words is a
place that is filled from what the server answered. `python -m tools.conversations` plays, keeps and shows.
"""
