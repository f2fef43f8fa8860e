// A Sparkplug host of other people's parts (mqtt, sparkplug-payload): node host.js PORT GROUPS HOST_ID
// Prints a line of JSON for each thing it saw; GROUPS may be +. Takes the words `online`, `offline` and `rebirth NODE`.
"use strict";
const mqtt = require("mqtt");
const sparkplug = require("sparkplug-payload").get("spBv1.0");

const [port, wanted, host] = process.argv.slice(2);
const state = `spBv1.0/STATE/${host}`;
const names = new Map(); // of a node: alias -> name, as its births told
const groups = new Map(); // of a node, as its topics told
const seqs = new Map();
const say = (seen) => console.log(JSON.stringify(seen));
const number = (value) => (value && typeof value === "object" && "low" in value ? Number(value.toString()) : value);

const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, clean: true, reconnectPeriod: 200 });

function metricsOf(payload, known) {
  return (payload.metrics ?? []).map((metric) => ({
    name: metric.name || known.get(String(metric.alias)) || null,
    type: metric.type,
    value: number(metric.value),
    timestamp: number(metric.timestamp),
    historical: metric.isHistorical === true,
    unit: metric.properties?.engUnit?.value,
  }));
}

client.on("message", (topic, bytes) => {
  const [, group, kind, node, device] = topic.split("/");
  if (topic.startsWith("spBv1.0/STATE/") || kind.endsWith("CMD")) return;
  let payload;
  try {
    payload = sparkplug.decodePayload(bytes);
  } catch (fault) {
    return say({ kind: "undecodable", topic, fault: String(fault) });
  }
  const seq = payload.seq === undefined ? null : number(payload.seq);
  groups.set(node, group);
  if (kind === "NBIRTH") names.set(node, new Map());
  const known = names.get(node) ?? new Map();
  if (kind === "NBIRTH" || kind === "DBIRTH") {
    for (const metric of payload.metrics) if (metric.alias !== undefined) known.set(String(metric.alias), metric.name);
  }
  if (kind !== "NDEATH") {
    if (kind !== "NBIRTH" && seq !== (seqs.get(node) + 1) % 256) say({ kind: "gap", node, seq, after: seqs.get(node) });
    seqs.set(node, seq);
  }
  say({ kind, node, device: device ?? null, seq, metrics: metricsOf(payload, known) });
});

let online = null; // null: no primary host, says nothing
const tell = () =>
  client.publish(state, JSON.stringify({ online, timestamp: Date.now() }), { qos: 1, retain: true });

client.on("connect", () =>
  client.subscribe(`spBv1.0/${wanted}/#`, { qos: 1 }, () => {
    say({ kind: "ready" });
    if (online !== null) tell();
  }),
);
client.on("error", (fault) => say({ kind: "fault", fault: String(fault) }));

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [word, node] = line.split(" ");
    if (word === "online" || word === "offline") {
      online = word === "online";
      tell();
    }
    if (word === "rebirth") {
      const metrics = [{ name: "Node Control/Rebirth", type: "Boolean", value: true }];
      client.publish(`spBv1.0/${groups.get(node)}/NCMD/${node}`, sparkplug.encodePayload({ timestamp: Date.now(), metrics }));
    }
  })
  .on("close", () => client.end(true));
