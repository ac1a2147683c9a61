// One connection to the media worker. The client always offers, the worker always answers; it is ICE-lite and tells
// its candidates in the answer, so nothing trickles in either direction.

export class Link {
  /**
   * `label` is "pub" or "sub". `fill(pc)` adds the sections; it is called again for a connection that takes the place
   * of a lost one. `send(link, description)` brings an offer to the worker. `changed(link, state)` hears of states.
   * `through(sdp)` may change an answer: a test sends the media through a bad network by it.
   */
  constructor({ label, iceServers, fill, send, changed, through = (sdp) => sdp, policy = "all" }) {
    Object.assign(this, { label, iceServers, fill, send, changed, through, policy });
    this.generation = 0;
    this.turn = Promise.resolve();
    this.open();
  }

  /** Make the connection, in the place of an older one. */
  open() {
    if (this.pc) this.close();
    this.generation += 1;
    const pc = new RTCPeerConnection({
      iceServers: this.iceServers,
      iceTransportPolicy: this.policy, // "relay": by TURN alone
      bundlePolicy: "max-bundle",
    });
    this.pc = pc;
    // What is under way at a closed connection never ends by itself.
    this.over = new Promise((_, reject) => { this.end = reject; });
    this.over.catch(() => {});
    pc.onconnectionstatechange = () => {
      if (pc !== this.pc) return;
      this.changed(this, pc.connectionState);
      if (pc.connectionState === "disconnected") this.restartIce().catch(() => {});
      if (pc.connectionState === "failed") this.reopen().catch(() => {});
    };
    this.fill(pc);
  }

  /** Offer what is there now; resolves when the worker's answer is in. One exchange at a time. */
  negotiate() {
    this.turn = this.turn.catch(() => {}).then(() => Promise.race([this.over, this.#exchange(this.pc)]));
    return this.turn;
  }

  /** The network changed: new addresses, the same session. */
  restartIce() {
    this.pc.restartIce();
    return this.negotiate();
  }

  /** The session is lost: a new one. */
  reopen() {
    this.open();
    return this.negotiate();
  }

  /** The worker's answer came. */
  answered(description) {
    this.hear?.(description);
  }

  close() {
    this.end(new Error(`${this.label} was closed`));
    this.pc.close();
  }

  async #exchange(pc) {
    this.pending = true; // until the answer is in: the socket may break, or the worker
    // An offer that was never answered, because the worker or the socket went away.
    if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" });
    await pc.setLocalDescription();
    const answer = new Promise((resolve) => { this.hear = resolve; });
    this.changed(this, "offered");
    await this.send(this, pc.localDescription);
    const { type, sdp } = await answer;
    this.changed(this, "answered");
    await pc.setRemoteDescription({ type, sdp: await this.through(sdp) });
    this.pending = false;
  }
}
