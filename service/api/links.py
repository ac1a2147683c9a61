"""Where an answer leads: the operations that take what it names (OpenAPI's `links`)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

LEADS: Mapping[tuple[str, str], tuple[str, str, tuple[str, ...]]] = MappingProxyType(
    {
        ("create_call", "201"): (
            "call_id",
            "$response.body#/call/id",
            (
                "get_call",
                "answer_call",
                "decline_call",
                "cancel_call",
                "hang_up_call",
                "ack_call",
                "silence_call",
                "invite_to_call",
                "join_call",
                "signal_call",
                "upgrade_call",
                "end_call",
                "list_call_events",
                "list_call_quality",
                "trace_call",
            ),
        ),
        ("answer_call", "200"): (
            "call_id",
            "$response.body#/call/id",
            ("hang_up_call", "end_call", "get_call", "list_call_events"),
        ),
        ("create_webhook", "201"): (
            "webhook_id",
            "$response.body#/id",
            (
                "get_webhook",
                "patch_webhook",
                "rotate_secret",
                "test_webhook",
                "recover_webhook",
                "list_deliveries",
                "delete_webhook",
            ),
        ),
        ("create_rule", "201"): ("rule_id", "$response.body#/id", ("get_rule", "patch_rule", "delete_rule")),
        ("put_user", "200"): (
            "user_id",
            "$response.body#/user_id",
            ("get_user", "list_devices", "get_presence", "delete_user"),
        ),
    }
)
"""(operation, status): a parameter, where it is in the answer, and the operations that take it."""


def add_links(operations: Mapping[str, dict[str, Any]]) -> None:
    """Write the links into the operations, which are given by name."""
    for (name, status), (parameter, place, targets) in LEADS.items():
        if name in operations:
            operations[name]["responses"][status]["links"] = {
                target: {"operationId": target, "parameters": {parameter: place}}
                for target in targets
                if target in operations
            }
