// A service worker with nothing but what comes in a push: it shows the call, says so, takes it back, shows what was missed.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
// One after the other: what replaces a notice has its tag, and would be closed in its place.
let before = Promise.resolve();
self.addEventListener("push", (event) => {
    const told = event.data.json();
    before = before.then(() => woken(told), () => woken(told));
    event.waitUntil(before);
});

async function woken(told) {
    if (told.type === "call.stop") return takeBack(told.call_id);
    const ringing = told.type === "call.ring";
    const { type } = told;
    await self.registration.showNotification(told.title, { tag: told.call_id, requireInteraction: ringing, data: { type } });
    if (ringing) await act(told.links.ack, told.action_token);
}

// A stop may come after what was missed.
async function takeBack(tag) {
    const notifications = await self.registration.getNotifications({ tag });
    notifications.filter(({ data }) => data.type === "call.ring").forEach((notification) => notification.close());
}

function act(link, token) {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    return fetch(link, { method: "POST", headers, body: "{}" });
}
