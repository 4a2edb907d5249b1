// Package terraformtest sends what HashiCorp's providers azuread and azurerm send to a server's
// Graph and resource manager, without Terraform: the same requests, in the same order, with the
// same headers and bodies, and what they expect of the answers.
//
// It owns those requests. It refuses to own the rules that they meet, which are Graph's.
//
// Start at TestTerraform. The real providers are run by compat/terraform.
package terraformtest
