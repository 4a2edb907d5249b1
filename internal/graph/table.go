package graph

// The tables of members, made once. They never change.
var (
	applicationTable = applicationFields()
	roleTable        = roleFields()
	scopeTable       = scopeFields()
	claimTable       = claimFields()
	federatedTable   = federatedFields()
	principalTable   = principalFields()
	userTable        = userFields()
)
