"""The map of all routes: reading changes nothing, and whatever changes something needs more than a link."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from quart import Quart
from werkzeug.routing import Rule

from quart_chat.app import create_app
from quart_chat.config import Settings
from quart_chat.services import build_services

SAFE = {"GET", "HEAD", "OPTIONS"}
CHANGING = {
    "send_message", "answer_again", "stop", "clear", "delete_session", "update_session", "save_draft",
    "begin_load", "unload", "save_settings", "begin_turn", "create_session", "offer_load", "pull", "update",
    "update_all", "check_updates", "cancel", "resume", "dismiss", "delete", "copy", "rename", "create",
    "set_keep_alive", "contexts.set",
}  # fmt: skip
FIRST_VISIT = {"/"}
"""May begin the first chat: the page cannot be shown without one."""
DOCS = Path(__file__).parents[2] / "docs"


@cache
def app() -> Quart:
    return create_app(build_services(Settings(history_storage_type="memory")))


def rules() -> list[Rule]:
    return list(app().url_map.iter_rules())


def calls(function: object) -> Iterator[str]:
    """Names of the methods that a handler and the helpers of its module call."""
    module = inspect.getmodule(function)
    assert module is not None
    tree = ast.parse(inspect.getsource(module))
    bodies = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)}
    seen: set[str] = set()
    open_names = [getattr(function, "__name__", "")]
    while open_names:
        name = open_names.pop()
        if name in seen or name not in bodies:
            continue
        seen.add(name)
        for node in ast.walk(bodies[name]):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                yield called
                yield ast.unparse(node.func).rpartition("()")[2].lstrip(".")
                open_names.append(called)


def reading() -> list[Rule]:
    return [rule for rule in rules() if (rule.methods or set()) <= SAFE and not rule.websocket]


@pytest.mark.parametrize("rule", reading(), ids=lambda rule: rule.rule)
def test_reading_calls_nothing_that_changes_something(rule: Rule) -> None:
    if rule.rule not in FIRST_VISIT:
        assert CHANGING & set(calls(app().view_functions[rule.endpoint])) == set()


def test_what_this_looks_for_it_finds() -> None:
    changing = [rule for rule in rules() if not (rule.methods or set()) <= SAFE]
    found = {rule.rule for rule in changing if CHANGING & set(calls(app().view_functions[rule.endpoint]))}
    assert found == {rule.rule for rule in changing}


def test_no_address_takes_both_a_link_and_a_change_in_one_handler() -> None:
    both = [rule.rule for rule in rules() if (rule.methods or set()) & {"GET"} and not (rule.methods or set()) <= SAFE]
    assert both == []


def test_addresses_are_plain_nouns() -> None:
    for rule in rules():
        assert re.fullmatch(r"(/([a-z][a-z0-9_-]*|<(path:)?[a-z_]+>))+|/", rule.rule), rule.rule


def test_there_is_one_socket() -> None:
    assert [rule.rule for rule in rules() if rule.websocket] == ["/ws"]
