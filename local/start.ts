/**
 * `npm start`. The version is checked before anything else is loaded, since what is loaded does not even parse on
 * an older Node. (npm scripts run on the Node that package.json pins, whatever the machine has.)
 */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 2)) {
  console.error(
    `valetkey: Node ${process.versions.node} is too old to run this file; use "npm start", which brings Node 24`,
  );
  process.exit(1);
}
const { runSession } = await import("./session.ts");
process.exit(await runSession(process.argv.slice(2)));

export {};
