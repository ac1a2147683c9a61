// The screen: one tile for every picture, one silent element for every sound.

export class Tiles {
  constructor(grid, { first, sized }) {
    this.grid = grid;
    this.first = first; // first(slot): the first frame of this stream is on the screen
    this.sized = sized; // sized(slot, width): its picture has another size now
    this.shown = new Map(); // mid → {box, media, slot}
  }

  /** The own picture. */
  local(user, stream) {
    this.#tile("local", { mid: "local", kind: "video", user_id: `${user} (you)`, source: "camera" }, stream);
  }

  /** Show these slots and no others. */
  show(slots) {
    const wanted = new Map(slots.filter(({ user_id }) => user_id).map((slot) => [slot.mid, slot]));
    for (const mid of this.shown.keys()) if (mid !== "local" && !wanted.has(mid)) this.#drop(mid);
    for (const [mid, slot] of wanted) {
      const now = this.shown.get(mid);
      if (now && now.slot.track === slot.track && now.slot.stream_id === slot.stream_id) this.#label(now, slot);
      else this.#tile(mid, slot, new MediaStream([slot.track]));
    }
    this.#arrange();
  }

  /** Mark this user and nobody else. */
  only(name, user) {
    for (const { box, slot } of this.shown.values()) box.classList.toggle(name, slot.user_id === user);
  }

  /** Mark who is muted, who comes back. */
  mark(user, name, on) {
    for (const { box, slot } of this.shown.values()) if (slot.user_id === user) box.classList.toggle(name, on);
  }

  /** What is on the screen, as plain data. */
  state() {
    return [...this.shown.values()].map(({ media, slot }) => ({
      mid: slot.mid,
      kind: slot.kind,
      user: slot.user_id,
      source: slot.source,
      stream: slot.stream_id ?? null,
      paused: slot.paused ?? false,
      muted: slot.muted ?? false,
      width: media.videoWidth ?? 0,
      height: media.videoHeight ?? 0,
      playing: !media.paused && media.readyState >= 2,
    }));
  }

  #tile(mid, slot, stream) {
    this.#drop(mid);
    const box = document.createElement("figure");
    const media = document.createElement(slot.kind);
    const caption = document.createElement("figcaption");
    Object.assign(media, { autoplay: true, playsInline: true, muted: mid === "local", srcObject: stream });
    box.append(media, caption);
    box.className = `${slot.kind} ${slot.source}`;
    this.grid.append(box);
    const entry = { box, media, caption, slot };
    this.shown.set(mid, entry);
    this.#label(entry, slot);
    if (slot.kind === "video" && mid !== "local") {
      media.requestVideoFrameCallback(() => this.first(slot));
      media.onresize = () => this.sized(slot, media.videoWidth);
    }
    this.#arrange();
  }

  #label(entry, slot) {
    entry.slot = slot;
    entry.caption.textContent = slot.source === "camera" ? slot.user_id : `${slot.user_id}: ${slot.source}`;
    entry.box.classList.toggle("paused", Boolean(slot.paused));
    entry.box.classList.toggle("silenced", Boolean(slot.muted));
  }

  #drop(mid) {
    this.shown.get(mid)?.box.remove();
    this.shown.delete(mid);
  }

  #arrange() {
    const pictures = [...this.shown.values()].filter(({ slot }) => slot.kind === "video").length;
    this.grid.style.setProperty("--columns", Math.ceil(Math.sqrt(pictures)) || 1);
  }
}
