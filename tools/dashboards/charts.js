// Everything of the chosen machine on its charts: when it was chosen, and when it has told what it is.
// Out: 1 points, 2 dress of the score's chart, 3 dress of the velocity's chart, 4 its spectra.
const ZONES = ['#2e7d3222', '#f9a82522', '#ef6c0033', '#c6282833'];
const { prefix } = msg.payload;
const machine = (flow.get('machines') || {})[prefix];
if (!machine) return null;
flow.set('chosen', prefix);
flow.set('changed', true);
machine.fresh = []; // they are among its points

const sensors = (machine.info?.channels || []).filter((one) => one.axes).map((one) => one.name);
const edges = machine.info?.zone_edges_mm_s || [];
const bands = edges.length ? [0, ...edges].map((low, n) => [
    { yAxis: low, itemStyle: { color: ZONES[n] }, name: 'ABCD'[n] },
    { yAxis: edges[n] ?? 1000 },
]) : [];
const series = (first) => sensors.map((name, n) => ({ name, type: 'line', showSymbol: false, ...(n ? {} : first) }));
const threshold = { silent: true, symbol: 'none', lineStyle: { color: '#c62828' }, label: { show: false }, data: [{ yAxis: 1 }] };
const zones = { silent: true, label: { position: 'insideLeft' }, data: bands };
const dress = (first) => ({ ui_update: { chartOptions: { series: series(first) } } });

return [
    [{ payload: [] }, { payload: machine.points }],
    dress({ markLine: threshold }),
    dress({ markArea: zones }),
    { payload: { prefix } },
];
