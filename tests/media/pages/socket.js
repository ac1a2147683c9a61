// The live socket of one device: commands with answers, frames for whoever listens; taken up again when it breaks.

const BACKOFF_MS = [100, 250, 500, 1000, 2000, 3000];
const FINAL = new Set([4401, 4409]); // a bad token; the same device connected once more

export class Refused extends Error {
  constructor(problem) {
    super(`${problem.code}: ${problem.detail ?? ""}`);
    this.code = problem.code;
  }
}

export class LiveSocket {
  constructor({ url, token, device }) {
    Object.assign(this, { url, token, device });
    this.cursor = null; // of the last event that was heard
    this.connections = 0;
    this.closed = false;
    this.listeners = [];
    this.waiting = new Map();
    this.number = 0;
    this.tries = 0;
  }

  /** Call `listener(frame)` for every frame of this type; "*" means all. */
  on(type, listener) {
    this.listeners.push([type, listener]);
  }

  /** Connect and say hello; resolves with the welcome. */
  connect() {
    this.closed = false;
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.url, ["hookswitch.v1"]);
      this.socket = socket;
      socket.onopen = () => {
        const hello = { type: "hello", token: this.token, device_id: this.device, platform: "web" };
        if (this.cursor) hello.resume_after = this.cursor;
        socket.send(JSON.stringify(hello));
      };
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === "welcome") {
          this.connections += 1;
          this.tries = 0;
          resolve(frame);
        }
        this.#take(frame);
      };
      socket.onclose = ({ code }) => {
        reject(new Error(`the socket was closed with ${code}`));
        for (const asked of this.waiting.values()) asked.reject(new Error("the socket broke before the result came"));
        this.waiting.clear();
        if (!this.closed && this.connections && !FINAL.has(code)) this.#again();
      };
    });
  }

  /** Send a command; resolves with its result, rejects with `Refused`. */
  async ask(type, fields = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) throw new Error("the socket is away");
    return new Promise((resolve, reject) => {
      const id = String((this.number += 1));
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ type, ...fields, id }));
    });
  }

  close() {
    this.closed = true;
    this.socket.close();
  }

  #take(frame) {
    if (frame.cursor) this.cursor = frame.cursor;
    const asked = this.waiting.get(frame.id);
    if (asked && (frame.type === "result" || frame.type === "error")) {
      this.waiting.delete(frame.id);
      if (frame.type === "error") asked.reject(new Refused(frame.problem));
      else asked.resolve(frame);
    }
    for (const [type, listener] of this.listeners) if (type === frame.type || type === "*") listener(frame);
  }

  #again() {
    const longest = BACKOFF_MS[Math.min(this.tries++, BACKOFF_MS.length - 1)];
    setTimeout(() => this.connect().catch(() => {}), longest * (0.5 + Math.random() / 2));
  }
}
