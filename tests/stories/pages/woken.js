// A service worker with nothing but what comes in a push: it shows the call, says so, and takes it back.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(woken(event.data.json())));

async function woken(told) {
    const shown = await self.registration.getNotifications({ tag: told.call_id });
    if (told.type === "call.stop") {
        shown.forEach((notification) => notification.close());
    } else if (told.type === "call.ring") {
        const body = told.expires_at;
        await self.registration.showNotification(told.title, { tag: told.call_id, body, requireInteraction: true });
        await fetch(told.links.ack, {
            method: "POST",
            headers: { authorization: `Bearer ${told.action_token}`, "content-type": "application/json" },
            body: "{}",
        });
    }
}
