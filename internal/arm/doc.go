// Package arm answers for Azure Resource Manager what tools ask before they let anybody
// work: where everything is in this cloud, who their tenant is, and which subscriptions
// there are. There are none.
//
// The Azure CLI asks these questions when it is told of a cloud and when somebody signs in;
// nothing else here needs resources. So the package holds no state, and its API is guarded by package guard like
// everybody else's: a caller needs a token for [Resource] from one of the directory's
// tenants, but for the first question. Whoever has one may ask; the answers tell no more than the token does.
package arm
