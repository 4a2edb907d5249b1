// Loaded before the program by NODE_OPTIONS: leads http, https and fetch through the proxy that the
// environment names. Later releases of Node do so by themselves for fetch and the global agents, and
// for no others.
"use strict";

const [major, minor] = process.versions.node.split(".").map(Number);
const hasOwn = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);
const proxyText = process.env.HTTPS_PROXY || process.env.https_proxy;

if (proxyText) {
  const http = require("node:http");
  const https = require("node:https");
  const net = require("node:net");
  const tls = require("node:tls");
  const proxy = new URL(proxyText);
  const proxyPort = Number(proxy.port || 80);
  const credential = proxy.username
    ? { "Proxy-Authorization": "Basic " + Buffer.from(decodeURIComponent(proxy.username) + ":" + decodeURIComponent(proxy.password)).toString("base64") }
    : {};
  const exceptions = (process.env.NO_PROXY || process.env.no_proxy || "").split(",").map((e) => e.trim().toLowerCase()).filter(Boolean);

  const isDirect = (host) => {
    const name = String(host || "localhost").toLowerCase();
    return exceptions.some((e) => e === "*" || name === e || "[" + name + "]" === e || name.endsWith(e.startsWith(".") ? e : "." + e));
  };

  // tunnel opens a connection through the proxy and gives it to the callback.
  const tunnel = (host, port, callback) => {
    const to = (net.isIPv6(host) ? "[" + host + "]" : host) + ":" + port;
    const request = http.request({
      host: proxy.hostname, port: proxyPort, method: "CONNECT", path: to, agent: false,
      headers: { Host: to, ...credential }, createConnection: net.connect,
    });
    request.once("connect", (response, socket) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        callback(new Error("the proxy answered " + response.statusCode + " to CONNECT " + to));
        return;
      }
      callback(null, socket);
    });
    request.once("error", callback);
    request.end();
  };

  // Programs and libraries have agents of their own beside the global ones, so all of them are
  // changed. An agent that makes its connections by itself is left alone, and so are the sockets of
  // this machine's services.
  const isNodes = (agent) => hasOwn && (agent === http.globalAgent || agent === https.globalAgent || Boolean(agent.options && agent.options.proxyEnv));
  const connectDirectly = https.Agent.prototype.createConnection;
  https.Agent.prototype.createConnection = function (options, callback) {
    const host = options.host || options.hostname || "localhost";
    if (isNodes(this) || options.socket || options.socketPath || isDirect(host)) return connectDirectly.call(this, options, callback);
    tunnel(host, options.port || 443, (err, socket) => {
      if (err) return callback(err);
      callback(null, tls.connect({ ...options, socket, servername: options.servername || (net.isIP(host) ? undefined : host) }));
    });
    return undefined;
  };

  // Plain requests are sent in absolute form: the metadata service is one of those. Agents for a
  // proxy have made the form absolute themselves.
  const addDirectly = http.Agent.prototype.addRequest;
  http.Agent.prototype.addRequest = function (request, options, ...rest) {
    const host = options.host || options.hostname || "localhost";
    const plain = request.protocol === "http:" && request.method !== "CONNECT" && request.path.startsWith("/");
    if (plain && !isNodes(this) && !options.socketPath && !isDirect(host)) {
      const port = options.port && Number(options.port) !== 80 ? ":" + options.port : "";
      request.path = "http://" + (net.isIPv6(host) ? "[" + host + "]" : host) + port + request.path;
      for (const [name, value] of Object.entries(credential)) request.setHeader(name, value);
      options = { ...options, host: proxy.hostname, hostname: proxy.hostname, port: proxyPort, path: request.path };
    }
    return addDirectly.call(this, request, options, ...rest);
  };

  // The fetch of these releases has a dispatcher of its own, which exists once it was used.
  const dispatcher = Symbol.for("undici.globalDispatcher.1");
  const fetchOnce = globalThis.fetch;
  if (!hasOwn && typeof fetchOnce === "function") {
    let ready;
    const prepare = async () => {
      await fetchOnce("data:,");
      const Agent = globalThis[dispatcher] && globalThis[dispatcher].constructor;
      if (!Agent) return;
      globalThis[dispatcher] = new Agent({
        connect: (options, callback) => {
          const secure = options.protocol === "https:";
          const port = options.port || (secure ? 443 : 80);
          const host = options.hostname.replace(/^\[|\]$/g, "");
          const finish = (err, socket) => {
            if (err) return callback(err, null);
            if (!secure) return callback(null, socket);
            const secured = tls.connect({ socket, host, servername: options.servername || (net.isIP(host) ? undefined : host), ALPNProtocols: ["http/1.1"] });
            secured.once("secureConnect", () => callback(null, secured));
            secured.once("error", (problem) => callback(problem, null));
          };
          if (isDirect(host)) {
            const socket = net.connect({ host, port });
            socket.once("connect", () => finish(null, socket));
            socket.once("error", (problem) => callback(problem, null));
            return;
          }
          tunnel(host, port, finish);
        },
      });
    };
    globalThis.fetch = async (...request) => {
      ready = ready || prepare();
      await ready;
      return fetchOnce(...request);
    };
  }
}
