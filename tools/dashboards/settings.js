// Node-RED for the plant dashboard: this computer only, nothing installed and nothing reported by itself.
module.exports = {
    uiHost: '127.0.0.1',
    uiPort: Number(process.env.DASHBOARD_PORT),
    httpAdminRoot: false, // no editor and no way to change the flow from outside
    flowFile: 'flow.json',
    credentialSecret: false,
    externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
    telemetry: { enabled: false, updateNotification: false },
    functionExternalModules: false,
    logging: { console: { level: 'warn' } },
};
