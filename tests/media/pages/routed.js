// A routed call: one connection that sends ("pub") and one with fixed slots that receives ("sub"), both to the worker.
// Who is shown in which slot is told by `media.slots`; joins, leaves and layers change no description.

import { Link } from "./link.js";

/** As many layers as Chromium encodes of this height: it leaves the upper ones out of smaller pictures. */
function layers(height) {
  if (height >= 540) {
    return [
      { rid: "low", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
      { rid: "medium", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
      { rid: "high", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
    ];
  }
  if (height >= 270) {
    return [
      { rid: "low", scaleResolutionDownBy: 2, maxBitrate: 250_000 },
      { rid: "high", scaleResolutionDownBy: 1, maxBitrate: 1_200_000 },
    ];
  }
  return [{ maxBitrate: 300_000 }];
}

/** The codecs worth offering in a slot: all profiles of all codecs times twelve make an offer of 70 KB. */
function spoken() {
  const wanted = [/VP8/, /H264.*packetization-mode=1;profile-level-id=42e01f/, /VP9.*profile-id=0/, /AV1.*profile=0/, /rtx/];
  const told = ({ mimeType, sdpFmtpLine }) => `${mimeType} ${sdpFmtpLine ?? ""}`;
  const { codecs } = RTCRtpReceiver.getCapabilities("video");
  return wanted.flatMap((pattern) => codecs.filter((codec) => pattern.test(told(codec))));
}

export class Routed {
  /** `show(slots)` is called with all slots whenever they change: `{mid, kind, track, user_id, stream_id, source}`. */
  constructor({ socket, callId, epoch = 0, iceServers, slots = { audio: 12, video: 12 }, show, note, through, policy }) {
    Object.assign(this, { socket, callId, epoch, iceServers, slots, show, note, through, policy });
    this.sent = []; // {track, source, encodings}: what is published, to be published again by a new connection
    this.told = new Map(); // label of the connection → the newest list of its slots
    this.links = {
      pub: this.#link("pub", (pc) => this.sent.forEach((one) => this.#add(pc, one))),
      sub: this.#link("sub", (pc) => {
        for (const [kind, number] of Object.entries(this.slots)) {
          for (let n = 0; n < number; n += 1) {
            const slot = pc.addTransceiver(kind, { direction: "recvonly" });
            if (kind === "video") slot.setCodecPreferences(spoken());
          }
        }
      }),
    };
  }

  /** Send these: `[{track, source, simulcast}]`; `source` is microphone, camera, screen, screen_audio or other. */
  async publish(streams) {
    for (const { track, source, simulcast } of streams) {
      const one = { track, source, encodings: simulcast ? layers(track.getSettings().height) : [{ maxBitrate: 2_500_000 }] };
      this.sent.push(one);
      this.#add(this.links.pub.pc, one);
    }
    await this.links.pub.negotiate();
  }

  /** Stop sending what has this source. */
  async unpublish(source) {
    for (const one of this.sent.filter((each) => each.source === source)) {
      one.transceiver.stop();
      one.track.stop();
    }
    this.sent = this.sent.filter((one) => one.source !== source);
    await this.links.pub.negotiate();
  }

  /** Receive, in as many slots as were asked for. */
  subscribe() {
    return this.links.sub.negotiate();
  }

  /** What is wanted of the others: see `media.subscribe`. */
  want(wishes) {
    return this.socket.ask("media.subscribe", { call_id: this.callId, ...wishes });
  }

  /** A frame of this call from the worker or about it. */
  take(frame) {
    if (frame.type === "rtc.description") this.links[frame.pc]?.answered(frame.description);
    if (frame.type === "media.slots") {
      this.epoch = Math.max(this.epoch, frame.epoch);
      this.told.set(frame.pc, frame.slots);
      this.#show();
    }
    if (frame.type === "media.restart" && frame.epoch > this.epoch) this.#restart(frame);
  }

  /**
   * The socket is back: what was offered into the void is offered again. The receiving side always offers, because
   * the worker tells its slots anew after an offer, and what it told meanwhile was not heard.
   */
  async resume() {
    const { pub, sub } = this.links;
    const links = this.#open().filter((link) => link === sub || (link === pub && link.pending));
    await Promise.allSettled(links.map((link) => link.negotiate()));
  }

  restartIce() {
    return Promise.all(this.#open().map((link) => link.restartIce()));
  }

  close() {
    Object.values(this.links).forEach((link) => link.close());
    this.sent.forEach(({ track }) => track.stop());
  }

  /** Another worker has the call: both connections are made anew. */
  async #restart({ epoch, connection }) {
    this.epoch = epoch;
    if (connection?.ice_servers) this.iceServers = connection.ice_servers;
    this.told.clear();
    await Promise.allSettled(this.#open().map((link) => link.reopen()));
  }

  #open() {
    return Object.values(this.links).filter((link) => link.pc.getTransceivers().length > 0);
  }

  #link(label, fill) {
    return new Link({
      label,
      iceServers: this.iceServers,
      fill,
      through: this.through,
      policy: this.policy,
      send: (link, description) => this.#send(link, description),
      changed: (link, state) => {
        this.note(`${link.label} ${state}`);
        if (link.label === "sub" && state === "answered") this.#show();
      },
    });
  }

  #add(pc, one) {
    const init = { direction: "sendonly", streams: [new MediaStream([one.track])] };
    if (one.track.kind === "video") init.sendEncodings = one.encodings.map((each) => ({ ...each }));
    one.transceiver = pc.addTransceiver(one.track, init);
  }

  #send(link, { type, sdp }) {
    const frame = { call_id: this.callId, to: "sfu", pc: link.label, description: { type, sdp } };
    if (link.label === "pub") frame.streams = this.sent.map(({ transceiver, source }) => ({ mid: transceiver.mid, source }));
    return this.socket.ask("rtc.description", frame);
  }

  #show() {
    const transceivers = new Map(this.links.sub.pc.getTransceivers().map((one) => [one.mid, one]));
    const slots = (this.told.get("sub") ?? []).filter(({ mid }) => transceivers.has(mid));
    this.show(slots.map((slot) => ({ ...slot, track: transceivers.get(slot.mid).receiver.track })));
  }
}
