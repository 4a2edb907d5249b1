package guardfile

type object = map[string]any

// JSONSchema returns the schema (JSON Schema, draft 2020-12) by which editors complete and check
// a guard.yaml.
func JSONSchema() map[string]any {
	text := func(description string) object {
		return object{"type": "string", "minLength": 1, "description": description}
	}
	truth := func(description string) object { return object{"type": "boolean", "description": description} }
	texts := func(description string) object {
		return object{"type": "array", "items": object{"type": "string", "minLength": 1}, "description": description}
	}
	one := func(description string, words ...string) object {
		return object{"enum": words, "description": description}
	}
	members := func(properties object, required ...string) object {
		o := object{"type": "object", "additionalProperties": false, "properties": properties}
		if len(required) > 0 {
			o["required"] = required
		}
		return o
	}
	caller := one("who may call", "application", "user", "any")
	rule := members(object{
		"path":    text("/api/orders, /api/orders/{id} or /api/*"),
		"methods": object{"type": "array", "items": object{"enum": []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}}, "description": "left out: all of them; GET includes HEAD"},
		"roles":   texts("app roles, of which a caller needs one"), "allRoles": texts("app roles, of which a caller needs every one"), "scopes": texts("scopes, of which a user's token needs one"),
		"clients": texts("application ids that may call"), "principals": texts("object ids that may call"), "tenants": texts("tenant ids that may call"),
		"caller": caller, "bound": truth("only tokens that are bound to their client"), "anonymous": truth("everybody may call"), "shadow": truth("the rule decides nothing and is reported"),
	}, "path")
	api := object{
		"upstream":  text("where requests go that were let in: http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT or unix:PATH"),
		"authority": text("the URL of the tenant that issues tokens"), "audience": texts("the API's application id and its identifier URIs"), "tenants": texts("ids of the tenants that may call, where the authority is one for several"),
		"origins":  texts("scheme and host by which clients call the API, for tokens that are bound to a key"),
		"resource": text("the URL by which clients know the API, at which a proxy tells them how to call it"),
		"credential": members(object{
			"client":     text("application id of the API; left out: the one in audience"),
			"secretFile": text("file with a secret"), "certificateFile": text("PEM or PKCS#12 file with certificate and key"), "tokenFile": text("file with a federated assertion"),
		}),
		"caller": caller, "rules": object{"type": "array", "minItems": 1, "items": rule, "description": "the first that fits a request decides"},
	}
	byHost := object{"host": text("of its requests")}
	root := object{
		"listen": text("host:port or unix:PATH"), "mode": one("how the guard is asked", string(ModeProxy), string(ModeForwardAuth), string(ModeExtAuthz)),
		"dialect":           one("how the proxy that asks tells which request it is", string(DialectNginx), string(DialectTraefik), string(DialectCaddy), string(DialectGRPC), string(DialectHTTP)),
		"trustedPeers":      texts("addresses and networks of those that may say which request is judged"),
		"clientCertificate": text("the header in which they pass on the client's certificate"),
		"tls":               members(object{"cert": text("PEM file"), "key": text("PEM file"), "askClients": truth("ask clients for certificates, to which tokens may be bound")}, "cert", "key"),
		"caBundle":          text("PEM file of the only authorities to trust"), "identity": one("what the upstream learns of the caller", string(IdentityEasyAuth), string(IdentitySigned), string(IdentityNone)),
		"forwardToken": truth("Authorization reaches the upstream"), "endStreams": truth("whether websockets and streams end with the token by which they were let in; left out: yes"), "maxKeyAge": text("how long keys count that cannot be fetched anew, such as 24h"),
		"stateDir": text("folder of the guard's own"), "revocation": object{"enum": []any{"off", "follow", false}, "description": "whether revocations are followed"}, "ops": text("host:port of /healthz, /readyz and /metrics"),
		"apis": object{"type": "array", "minItems": 1, "items": members(merged(api, byHost), "host", "authority", "audience", "rules"), "description": "several APIs by host, in place of upstream, authority, audience, tenants, caller and rules"},
	}
	schema := members(merged(root, api))
	schema["$schema"], schema["title"] = "https://json-schema.org/draft/2020-12/schema", "guard.yaml"
	schema["oneOf"] = []any{object{"required": []string{"authority", "audience", "rules"}}, object{"required": []string{"apis"}}}
	return schema
}

func merged(all ...object) object {
	out := object{}
	for _, one := range all {
		for name, value := range one {
			out[name] = value
		}
	}
	return out
}
