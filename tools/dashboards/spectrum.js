// The latest spectra of the chosen machine, one series for each sensor.
const machine = (flow.get('machines') || {})[msg.payload.prefix];
const spectra = Object.values(machine?.spectra || {});
return { payload: spectra.flatMap(({ sensor, first_hz, step_hz, lines_mm_s }) =>
    lines_mm_s.map((mm_s, n) => ({ sensor, hz: first_hz + n * step_hz, mm_s }))) };
