// Package orders is a sample: an API that only applications may call, and an application
// that calls it.
//
// [NewServer] is the API. It returns its orders to applications that hold the app role
// Orders.Read, and to no other caller. [NewClient] is a daemon: it gets a token in each way
// it has credentials for, fetches the orders with each, and reports the result.
//
// The programs in server and client add the settings of the environment. They run alone
// and, unchanged, as Azure Functions custom handlers.
package orders
