"""A server that answers with the path it would serve, as programs for Python find it out."""
import http.server
import json
import posixpath
import sys
import urllib.parse


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = posixpath.normpath(urllib.parse.unquote(urllib.parse.urlsplit(self.path).path, errors="surrogatepass"))
        # WSGI's name for the header, for which - and _ are the same.
        environment = {name.upper().replace("-", "_"): value for name, value in self.headers.items()}
        body = json.dumps({"path": path, "caller": environment.get("X_MS_CLIENT_PRINCIPAL_ID", "")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
