"""Commands of ours over HTTP with nobody listening: what the service, the machine and PostgreSQL can do at most."""

from bench.load.wires import Http

STEPS = 4
"""Transitions in one cycle: create, ack, answer, hang-up."""


class Pair:
    """One backend connection that plays a call of two users again and again."""

    def __init__(self, line, key, caller, callee, tokens):
        self.line, self.key, self.caller, self.callee, self.tokens = line, key, caller, callee, tokens

    async def cycle(self):
        must = self.line.must
        wish = {"initiator": self.caller, "participants": [self.callee]}
        made = await must("POST", "/v1/calls", wish, self.key)
        call = made["call"]["id"]
        await must("POST", f"/v1/calls/{call}/ack", {"device_id": "phone"}, self.tokens[1])
        await must("POST", f"/v1/calls/{call}/answer", {"device_id": "phone"}, self.tokens[1])
        await must("POST", f"/v1/calls/{call}/hangup", {}, self.tokens[0])
        return 0.0


class Crowd:
    def __init__(self, pairs):
        self.pairs = pairs

    async def close(self):
        for pair in self.pairs:
            pair.line.close()


async def gather(config):
    """`{host, ports, key, people: [[user_id, token], ...]}`; the pairs are dealt to the ports in turn."""
    pairs = []
    for number, (caller, callee) in enumerate(zip(config["people"][::2], config["people"][1::2], strict=True)):
        port = config["ports"][number % len(config["ports"])]
        line = await Http.open(config["host"], port)
        await line.must(
            "PUT",
            f"/v1/users/{callee[0]}/devices/phone",
            {"platform": "web", "push": {"provider": "none"}},
            config["key"],
        )
        pairs.append(Pair(line, config["key"], caller[0], callee[0], (caller[1], callee[1])))
    return Crowd(pairs)
