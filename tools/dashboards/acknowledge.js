// From a click on `Acknowledge` to the appliance's command; see docs/TOPICS.md.
const { prefix, machine, channel, who, comment } = msg.payload;
const id = RED.util.generateId(), asked = flow.get('asked') || {};
asked[id] = { what: `${machine} ${channel}`, at: Date.now() };
flow.set('asked', asked);
flow.set('answer', '');
return {
    topic: `${prefix}/cmd/ack`,
    payload: { id, who, channel, comment },
    messageExpiryInterval: 30, // required: a command that comes late is not wanted any more
};
