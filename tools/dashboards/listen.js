// Keeps what the plant has said, by appliance, in the flow's context `machines`.
// Out, of the chosen machine: 1 its prefix when a spectrum came, 2 its prefix when it told what it is.
const POINTS = 1000, EVENTS = 50;
const levels = msg.topic.split('/'), said = msg.payload;
if (levels.length < 7 || typeof said !== 'object' || said === null || Buffer.isBuffer(said)) return null;
const prefix = levels.slice(0, 6).join('/'), kind = levels.slice(6).join('/');
const [site, area, asset, device] = levels.slice(2, 6);
const machines = flow.get('machines') || {};
const machine = machines[prefix] ??= { prefix, site, area, asset, device, points: [], fresh: [], spectra: {}, events: [] };
if (!flow.get('chosen')) flow.set('chosen', prefix);
const chosen = flow.get('chosen') === prefix;
machine.heard = Date.now();
flow.set('machines', machines);
flow.set('changed', true);

if (kind === 'status') {
    // The will of an earlier run may come after the birth of this one.
    const late = !said.online && machine.status && said.start < machine.status.start;
    if (!late) machine.status = said;
} else if (kind === 'state') {
    machine.state = said;
} else if (kind === 'info') {
    machine.info = said;
    if (chosen) return [null, { payload: { prefix } }];
} else if (kind === 'telemetry' && 'vib_vel_mm_s' in said) {
    machine.fresh.push({ ts: said.ts, sensor: said.sensor, ratio: said.ratio, velocity: said.vib_vel_mm_s });
    machine.points.push(machine.fresh.at(-1));
    if (machine.points.length > POINTS) machine.points.shift();
} else if (kind === 'spectrum') {
    machine.spectra[said.sensor] = said;
    if (chosen) return [{ payload: { prefix } }, null];
} else if (kind.startsWith('event/')) {
    if (machine.events.some((event) => event.id === said.id)) return null; // delivery is at least once
    machine.events.unshift(said);
    machine.events.sort((a, b) => b.id - a.id).splice(EVENTS);
} else if (kind === 'rsp/ack') {
    const asked = flow.get('asked') || {};
    if (!(said.id in asked)) return null; // somebody else's
    flow.set('answer', `${asked[said.id].what}: ${said.message}`);
    delete asked[said.id];
}
return null;
