// A person in a call, in one page. `window.client` is what a user would click; `window.state` is what there is to see.

import { Relayed } from "./relayed.js";
import { Routed } from "./routed.js";
import { LiveSocket } from "./socket.js";
import { camera, noise, sheet, tone } from "./sources.js";
import { counted, rate_above } from "./stats.js";
import { Tiles } from "./tiles.js";

const now = () => performance.timeOrigin + performance.now(); // comparable between the pages of one machine
const element = (id) => document.getElementById(id);

class Client {
  marks = []; // {what, at}: when something happened, in milliseconds
  events = []; // the call's events: {type, data}
  frames = []; // types of all other frames
  faults = [];
  call = null;
  media = null;
  tiles = new Tiles(element("grid"), {
    first: (slot) => this.note(`first frame ${slot.user_id} ${slot.source}`),
    sized: (slot, width) => this.note(`size ${slot.user_id} ${slot.source} ${width}`),
  });

  /**
   * Connect the socket. `picture`: {kind: "camera" | "noise", width, height, fps, tone}; `slots`: {audio, video};
   * `relay`: "udp" or "tcp" to go by TURN alone, and in this way.
   */
  async start({ url, token, user, device, picture = {}, slots, relay }) {
    Object.assign(this, { user, picture, slots, relay });
    this.socket = new LiveSocket({ url, token, device });
    this.socket.on("event", ({ event }) => this.#heard(event));
    this.socket.on("*", (frame) => this.#take(frame));
    this.socket.on("welcome", () => this.media?.resume?.());
    const welcome = await this.socket.connect();
    element("who").textContent = user;
    return welcome.calls.map(({ id }) => id);
  }

  /** Ring people; resolves with the call's id as soon as it is made. The media follow. */
  async dial(participants, fields = {}) {
    return this.#enter(await this.socket.ask("call.create", { participants, ...fields }));
  }

  async answer(call_id) {
    return this.#enter(await this.socket.ask("call.answer", { call_id }));
  }

  /** Come (back) into a call that runs. */
  async join(call_id) {
    return this.#enter(await this.socket.ask("call.join", { call_id }));
  }

  async hangUp() {
    await this.socket.ask("call.hangup", { call_id: this.call.id });
    this.media?.close();
  }

  /** Send picture and sound and receive the others'. In a relayed call `others` are those to connect to. */
  async connect(others = []) {
    this.stream ??= await this.#own();
    this.tiles.local(this.user, this.stream);
    const told = { socket: this.socket, callId: this.call.id, iceServers: this.connection.ice_servers };
    if (this.relay) {
      const chosen = (urls) => urls.filter((url) => url.endsWith(`transport=${this.relay}`));
      told.iceServers = told.iceServers.map((server) => ({ ...server, urls: chosen(server.urls) }));
      told.policy = "relay";
    }
    told.show = (slots) => this.tiles.show(slots);
    told.note = (what) => this.note(what);
    if (this.connection.topology === "routed") {
      this.media = new Routed({ ...told, epoch: this.epoch, slots: this.slots, through: globalThis.through });
      const simulcast = this.picture.simulcast ?? true;
      const streams = this.stream.getTracks().map((track) =>
        track.kind === "audio" ? { track, source: "microphone" } : { track, source: "camera", simulcast },
      );
      await Promise.all([this.media.publish(streams), this.media.subscribe()]);
      this.early?.forEach((frame) => this.media.take(frame));
    } else {
      this.media = new Relayed({ ...told, user: this.user, stream: this.stream });
      for (const frame of this.early ?? []) await this.media.take(frame);
      await this.media.connect(others);
    }
  }

  /** Share the screen: a second picture. */
  async share(options) {
    const [track] = sheet(options).getTracks();
    await this.media.publish([{ track, source: "screen" }]);
    await this.socket.ask("media.changed", { call_id: this.call.id, screen: true });
  }

  async unshare() {
    await this.media.unpublish("screen");
    await this.socket.ask("media.changed", { call_id: this.call.id, screen: false });
  }

  /** Turn the own microphone or camera off or on: {audio: false}. */
  async turn(changes) {
    for (const [kind, on] of Object.entries(changes)) {
      for (const track of this.stream.getTracks()) if (track.kind === kind) track.enabled = on;
    }
    await this.socket.ask("media.changed", { call_id: this.call.id, ...changes });
  }

  /** The counters of both connections (relayed: of all), by label. */
  async stats() {
    const connections = Object.entries(this.media.links ?? {}).map(([label, link]) => [label, link.pc]);
    const all = connections.length ? connections : [...this.media.peers];
    return Object.fromEntries(await Promise.all(all.map(async ([label, pc]) => [label, await counted(pc)])));
  }

  /** Resolves as soon as the picture's rate on "pub" or "sub" is above `bps`. */
  rateAbove(label, bps) {
    return rate_above(this.media.links[label].pc, label === "pub" ? "up" : "down", bps);
  }

  /** How many packets have come in the slot `mid`, as soon as no more come for `ms` milliseconds; null if never. */
  async untilQuiet(mid, ms = 1000) {
    for (let before = -1, tries = 20; tries > 0; tries -= 1) {
      const { inbound } = await counted(this.media.links.sub.pc);
      const packets = inbound.find((entry) => entry.mid === mid)?.packetsReceived ?? 0;
      if (packets === before) return packets;
      before = packets;
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
    return null;
  }

  /** Play what comes in the slot `mid` so much later than it could be. */
  holdBack(mid, ms) {
    const slot = this.media.links.sub.pc.getTransceivers().find((one) => one.mid === mid);
    slot.receiver.jitterBufferTarget = ms;
  }

  /** What is wanted of the others: see `media.subscribe`. */
  want(wishes) {
    return this.media.want(wishes);
  }

  /** Ask for `quality.reported` every five seconds, or no more. */
  watch(quality) {
    return this.socket.ask("media.watch", { call_id: this.call.id, quality });
  }

  /** Lose the socket for a while; `back` takes it up again. */
  away() {
    this.socket.close();
  }

  async back() {
    await this.socket.connect();
  }

  restartIce() {
    return this.media.restartIce();
  }

  time() {
    return now();
  }

  note(what) {
    this.marks.push({ what, at: now() });
  }

  async #own() {
    const own = await this.#shown();
    return this.picture.tone ? new MediaStream([...own.getVideoTracks(), ...tone().getTracks()]) : own;
  }

  async #shown() {
    const { kind = "camera", width = 640, height = 360, fps = 15, ...rest } = this.picture;
    if (kind === "camera") return camera({ video: { width, height, frameRate: fps }, ...rest });
    const sound = await camera({ video: false });
    return new MediaStream([...noise({ width, height, fps, ...rest }).getTracks(), ...sound.getTracks()]);
  }

  #enter({ call, connection }) {
    this.call = call;
    this.connection = connection ?? { topology: call.topology, ice_servers: [] };
    return call.id;
  }

  #take(frame) {
    if (frame.type !== "event") this.frames.push(frame.type);
    if (frame.call_id === undefined || frame.type === "result") return;
    if (frame.type === "call.replaced") this.media?.close();
    if (frame.type === "media.slots") this.note("media.slots");
    if (frame.type === "media.restart") {
      this.note("told to restart");
      this.connection = frame.connection;
      if (this.media instanceof Relayed) return this.#move(frame.epoch);
    }
    if (this.media) Promise.resolve(this.media.take(frame)).catch((fault) => this.faults.push(String(fault)));
    else (this.early ??= []).push(frame);
  }

  /** The call has grown, or records: a worker carries it from now on. */
  #move(epoch) {
    this.media.close();
    this.tiles.show([]);
    this.epoch = epoch;
    return this.connect();
  }

  #heard({ type, data }) {
    this.events.push({ type, data });
    this.note(type);
    if (data.call && this.call?.id === data.call_id) this.call = data.call;
    if (type === "speaker.changed") this.tiles.only("speaking", data.user_id);
    if (this.call) this.#paint();
  }

  /** What the call says of everybody, onto the screen. */
  #paint() {
    element("what").textContent = `${this.call.topology} call, ${this.call.state}`;
    for (const { user_id, state, media } of this.call.legs) {
      this.tiles.mark(user_id, "away", state === "reconnecting");
      this.tiles.mark(user_id, "muted", !media.audio);
    }
  }
}

window.client = new Client();
Object.defineProperty(window, "state", {
  get: () => {
    const { user, call, marks, events, frames, faults, tiles, media } = window.client;
    return {
      user,
      call,
      marks,
      events,
      frames,
      faults,
      tiles: tiles.state(),
      epoch: media?.epoch ?? null,
      links: Object.fromEntries(
        Object.entries(media?.links ?? {}).map(([label, { pc, generation }]) => [label, { state: pc.connectionState, generation }]),
      ),
    };
  },
});
