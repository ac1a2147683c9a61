// What a connection counts, in few words.

const INBOUND = [
  "mid", "kind", "packetsReceived", "packetsLost", "bytesReceived", "jitter", "nackCount", "pliCount", "framesDecoded",
  "framesDropped", "frameWidth", "frameHeight", "freezeCount", "totalFreezesDuration", "totalAudioEnergy",
  "retransmittedPacketsReceived", "keyFramesDecoded", "concealedSamples", "totalSamplesReceived",
  "jitterBufferDelay", "jitterBufferEmittedCount", "estimatedPlayoutTimestamp",
];
const OUTBOUND = [
  "mid", "kind", "rid", "active", "packetsSent", "bytesSent", "framesEncoded", "frameWidth", "frameHeight",
  "targetBitrate", "nackCount", "pliCount", "firCount", "retransmittedPacketsSent", "qualityLimitationReason",
];

/** `{inbound, outbound, available, rtt, way, codecs}` of an RTCPeerConnection. */
export async function counted(pc) {
  const entries = [...(await pc.getStats()).values()];
  const of = (type, names) =>
    entries
      .filter((entry) => entry.type === type)
      .map((entry) => Object.fromEntries(names.map((name) => [name, entry[name] ?? null])));
  const pair = entries.find((entry) => entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded");
  const local = entries.find(({ id }) => id === pair?.localCandidateId);
  return {
    inbound: of("inbound-rtp", INBOUND),
    outbound: of("outbound-rtp", OUTBOUND),
    available: pair?.availableOutgoingBitrate ?? null,
    rtt: pair?.currentRoundTripTime ?? null,
    way: local ? `${local.candidateType} ${local.relayProtocol ?? local.protocol}` : null,
    codecs: entries.filter((entry) => entry.type === "codec").map((entry) => entry.mimeType),
  };
}

/** Bytes in one direction, of video alone. */
async function bytes(pc, direction) {
  const { inbound, outbound } = await counted(pc);
  const entries = direction === "up" ? outbound : inbound;
  return entries
    .filter((entry) => entry.kind === "video")
    .reduce((sum, entry) => sum + (direction === "up" ? entry.bytesSent : entry.bytesReceived), 0);
}

/** Resolves with `{at, bps, course}` as soon as the video's rate over the last second is above `bps`. */
export function rate_above(pc, direction, bps, { every = 200, over = 1000 } = {}) {
  const course = [];
  return new Promise((resolve) => {
    const samples = [];
    const clock = setInterval(async () => {
      const now = performance.timeOrigin + performance.now();
      samples.push([now, await bytes(pc, direction)]);
      while (samples.length > 2 && now - samples[1][0] >= over) samples.shift();
      const [[then, before], [, after]] = [samples[0], samples.at(-1)];
      if (now - then < over / 2) return;
      const found = ((after - before) * 8000) / (now - then);
      course.push([Math.round(now), Math.round(found)]);
      if (found < bps) return;
      clearInterval(clock);
      resolve({ at: now, bps: found, course });
    }, every);
  });
}
