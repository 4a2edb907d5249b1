// A server that answers with the path it would serve, as programs for Node find it out.
const server = require("node:http").createServer((request, response) => {
  let path;
  try {
    path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  } catch {
    path = "none";
  }
  response.end(JSON.stringify({ path, caller: request.headers["x-ms-client-principal-id"] ?? "" }));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
