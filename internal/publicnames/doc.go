// Package publicnames leads the programs of one run to Rolecall by Microsoft's own host names.
//
// A [Gateway] is what answers for the names: it ends TLS with a certificate authority of its own,
// which exists in memory only, and hands each request on. A [Proxy] is how programs get there
// without any name being resolved: a CONNECT proxy on the loopback interface that serves the
// processes of one run and nobody else.
//
// It owns which connections and requests are for the names, and who may use the proxy. It refuses
// to own what is answered, which the server does, and the environment by which programs find the
// proxy, which package launch makes.
//
// Start reading at [Gateway].
package publicnames
