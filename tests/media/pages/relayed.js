// A relayed call: one connection for every other participant; descriptions and candidates go to them by the service.
// Of each two the one whose name sorts first offers.

export class Relayed {
  /** `show(slots)` is called with all that others send: `{mid, kind, track, user_id, stream_id, source}`. */
  constructor({ socket, callId, user, iceServers, stream, show, note }) {
    Object.assign(this, { socket, callId, user, iceServers, stream, show, note });
    this.peers = new Map();
  }

  /** Be connected with these. */
  async connect(others) {
    for (const other of others) if (this.user < other) await this.#offer(this.#peer(other), other);
  }

  async take({ type, from, description, candidates }) {
    if (!type.startsWith("rtc.")) return;
    const pc = this.#peer(from);
    for (const candidate of candidates ?? []) await pc.addIceCandidate(candidate);
    if (!description) return;
    await pc.setRemoteDescription(description);
    if (description.type === "offer") {
      await pc.setLocalDescription();
      await this.#send(from, "rtc.description", { description: pc.localDescription });
    }
  }

  close() {
    for (const pc of this.peers.values()) pc.close();
    this.peers.clear();
  }

  async #offer(pc, other) {
    await pc.setLocalDescription();
    await this.#send(other, "rtc.description", { description: pc.localDescription });
  }

  #send(other, type, fields) {
    return this.socket.ask(type, { call_id: this.callId, to: other, ...fields });
  }

  #peer(other) {
    if (this.peers.has(other)) return this.peers.get(other);
    const pc = new RTCPeerConnection({ iceServers: this.iceServers });
    this.peers.set(other, pc);
    for (const track of this.stream.getTracks()) pc.addTrack(track, this.stream);
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) this.#send(other, "rtc.candidates", { candidates: [candidate] });
    };
    pc.ontrack = () => this.#show();
    pc.onconnectionstatechange = () => {
      this.note(`${other} ${pc.connectionState}`);
      const told = { connected: "media.connected", failed: "media.lost" }[pc.connectionState];
      if (told) this.socket.ask(told, { call_id: this.callId, peer: other });
    };
    return pc;
  }

  #show() {
    const slots = [...this.peers].flatMap(([user, pc]) =>
      pc.getReceivers().map(({ track }) => ({
        mid: `${user} ${track.kind}`,
        kind: track.kind,
        track,
        user_id: user,
        stream_id: track.id,
        source: track.kind === "audio" ? "microphone" : "camera",
      })),
    );
    this.show(slots);
  }
}
