"""Lanes: the alerts that wait together when a provider hangs, so that those of other providers do not."""

PROVIDER = "d.push->>'provider'"
HOST = "^https?://(?:[^/?#@]*@)?([^/?#:@]+)"
"""Of an URL, whatever else it says: what a device chooses must not make lanes of its own at the same server."""
RULE_LANE = "'rule:'"
RULE_FOR = "interval '1 day'"
"""What a rule tells is worth telling for so long after the event."""

REACHED = """
  SELECT DISTINCT ON (coalesce(x.hardware_id, x.id)) x.id, x.push FROM devices x
  WHERE x.app_id = w.app_id AND x.user_id = w.user_id AND x.push IS NOT NULL
  ORDER BY coalesce(x.hardware_id, x.id), x.updated_at DESC
"""
"""SQL for the devices that a user `w` is reached at: one for each thing in somebody's hand."""


def lane_of(channel: str, app_id: str, push: str) -> str:
    """SQL for an alert's lane: one for each app and channel, and one for each push service that browsers name."""
    host = f"lower(substring({push}->'subscription'->>'endpoint' from '{HOST}'))"
    return (
        f"CASE {channel} WHEN 'webpush' THEN 'webpush:' || coalesce({host}, '') ELSE {channel} || ':' || {app_id} END"
    )


def channel_of(lane: str) -> str:
    """The channel that a lane is of."""
    return lane.partition(":")[0]
