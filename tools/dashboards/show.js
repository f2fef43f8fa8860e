// Once a second, if anything has changed: 1 fleet, 2 the chosen machine, 3 alarms, 4 events, 5 its new points
// (together: a chart copies all that it holds with every message).
const ANSWER_MS = 5000, SHOWN = 15;
const COLOURS = { normal: '#2e7d32', learning: '#1565c0', warning: '#f9a825', alarm: '#c62828', tripped: '#6a1b9a' };
const asked = flow.get('asked') || {};
for (const [id, one] of Object.entries(asked)) {
    if (Date.now() - one.at < ANSWER_MS) continue;
    flow.set('answer', `${one.what}: no answer in ${ANSWER_MS / 1000} s`);
    flow.set('changed', true);
    delete asked[id];
}
if (!flow.get('changed')) return null;
flow.set('changed', false);

const machines = Object.values(flow.get('machines') || {}).sort((a, b) => a.prefix.localeCompare(b.prefix));
const time = (ms) => new Date(ms).toLocaleTimeString('en-GB');
const figure = (value) => (typeof value === 'number' ? value.toFixed(2) : '–');
const channels = (machine) => (machine.state?.unacknowledged || '').split(' ').filter(Boolean);

const fleet = machines.map((machine) => {
    const online = Boolean(machine.status?.online), state = machine.state;
    return {
        prefix: machine.prefix,
        machine: machine.asset,
        place: `${machine.site} / ${machine.area}`,
        device: machine.device,
        online,
        colour: (online && COLOURS[state?.level_name]) || '#9e9e9e',
        level: state?.level_name || '–',
        running: state?.machine || '–',
        zone: state?.zone || '–',
        score: state ? `${figure(state.score)} of ${figure(state.threshold)}` : '–',
        waiting: channels(machine).length,
        heard: time(machine.heard),
    };
});

const chosen = machines.find((machine) => machine.prefix === flow.get('chosen'));
const colour = fleet.find((row) => row.prefix === chosen?.prefix)?.colour;
const fresh = chosen?.fresh || [];
for (const machine of machines) machine.fresh = [];
const one = chosen && { ...chosen, points: undefined, fresh: undefined, spectra: undefined, events: undefined, colour };

const waiting = machines.flatMap((machine) => channels(machine).map((channel) => {
    const raised = machine.events.find((event) => event.channel === channel && event.type === 'alarm.raised');
    return {
        prefix: machine.prefix,
        machine: machine.asset,
        channel,
        message: raised?.message || '',
        since: raised ? time(raised.ts) : '',
        allowed: Boolean(machine.info?.commands?.includes('ack')),
    };
}));

const events = machines
    .flatMap((machine) => machine.events.map((event) => ({ ...event, machine: machine.asset, time: time(event.ts) })))
    .sort((a, b) => b.ts - a.ts)
    .slice(0, SHOWN);

return [
    { payload: fleet },
    { payload: one },
    { payload: { waiting, answer: flow.get('answer') || '' } },
    { payload: events },
    fresh.length ? { payload: fresh } : null,
];
