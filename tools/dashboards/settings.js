// Node-RED for the plant dashboard: this computer only, nothing installed and nothing reported by itself.
module.exports = {
    uiHost: '127.0.0.1',
    uiPort: Number(process.env.DASHBOARD_PORT),
    flowFile: 'flow.json',
    credentialSecret: false,
    externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
    telemetry: { enabled: false, updateNotification: false },
    functionExternalModules: false,
    editorTheme: { tours: false },
    logging: { console: { level: 'warn' } },
};
