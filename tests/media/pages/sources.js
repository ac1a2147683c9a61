// Where pictures and sound come from: the (fake) camera and microphone, and canvases with a content of their own.

/** Camera and microphone; `video` and `audio` are what getUserMedia takes, or false. */
export function camera({ audio = true, video = { width: 640, height: 360, frameRate: 15 } } = {}) {
  return navigator.mediaDevices.getUserMedia({ audio, video });
}

/** A sound that never pauses; the fake microphone's beeps are too short for a speaker. */
export function tone({ hertz = 440, gain = 0.3 } = {}) {
  const context = new AudioContext();
  const volume = new GainNode(context, { gain });
  const source = new OscillatorNode(context, { frequency: hertz });
  const out = context.createMediaStreamDestination();
  source.connect(volume).connect(out);
  source.start();
  return out.stream;
}

/** A picture that is hard to compress, so that the encoder takes all the bitrate it is given. */
export function noise({ width = 640, height = 360, fps = 15, grain = 4 } = {}) {
  const small = Object.assign(document.createElement("canvas"), { width: width / grain, height: height / grain });
  const pen = small.getContext("2d", { willReadFrequently: true });
  const image = pen.createImageData(small.width, small.height);
  const pixels = new Uint32Array(image.data.buffer);
  return painted({ width, height, fps }, (canvas) => {
    for (let at = 0; at < pixels.length; at += 1) pixels[at] = 0xff000000 | (Math.random() * 0x1000000);
    pen.putImageData(image, 0, 0);
    canvas.drawImage(small, 0, 0, width, height);
  });
}

/** A document that somebody reads: white, black lines, a page number that counts. */
export function sheet({ width = 800, height = 600, fps = 5 } = {}) {
  let page = 0;
  const stream = painted({ width, height, fps }, (canvas) => {
    canvas.fillStyle = "white";
    canvas.fillRect(0, 0, width, height);
    canvas.fillStyle = "black";
    canvas.font = "48px sans-serif";
    canvas.fillText(`Page ${(page += 1)}`, 60, 90);
    for (let line = 0; line < 12; line += 1) canvas.fillRect(60, 140 + 34 * line, (width - 120) * (0.6 + 0.03 * line), 6);
  });
  stream.getVideoTracks()[0].contentHint = "detail"; // text stays sharp: rather fewer pictures than smaller ones
  return stream;
}

function painted({ width, height, fps }, paint) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  paint(context);
  const stream = canvas.captureStream(fps);
  const clock = setInterval(() => paint(context), 1000 / fps);
  const [track] = stream.getVideoTracks();
  const stop = track.stop.bind(track);
  track.stop = () => { clearInterval(clock); stop(); };
  return stream;
}
