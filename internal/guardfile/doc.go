// Package guardfile reads guard.yaml, the settings of the guard of one or several APIs.
//
// It owns how the settings are written: the names of the members, what they mean in terms of
// package guard, their JSON Schema, errors that name line and column, and what the settings of
// other guards mean here (an App Service authsettingsV2 document, a validate-azure-ad-token
// policy of API Management). It refuses to own what the settings lead to, which is package
// guard's affair, and how a guard listens, which is that of package guardserver.
//
// Start at [Parse].
package guardfile
