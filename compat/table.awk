# Makes the tables of clients and ways, in Markdown.
#
# Reads files, each behind what it is: statuses (suite, ok|skipped|FAIL), results (client,
# version, way, ok|none|skipped|FAIL), asks (asks.tsv) and asked (client, source, fault,
# requests|skipped|FAIL). Every client of a suite that ran must have a result for every way
# of its tables, and for every fault: a row that is missing is as bad as a test that failed.
# Writes to the file named by counts how many cells passed, failed and were skipped.

BEGIN {
	FS = "\t"
	n_suites = split("go|node|python|java|azure-cli", suites, "|")
	table("Applications", "secret|certificate|certificate chain|environment|v1.0 token|no role|wrong secret|unknown tenant|unknown resource")
	clients("go", "azidentity|MSAL Go|ADAL Go")
	clients("node", "@azure/identity|@azure/msal-node|adal-node")
	clients("python", "azure-identity (Python)|MSAL Python|ADAL Python")
	clients("java", "azure-identity (Java)|msal4j")
	table("Managed identities", "App Service|client id|object id|resource id|IMDS|IMDS by proxy|IMDS at its address|503 once|not assigned|unknown API|wrong header")
	sources()
	table("Other sources", "Azure ML|Cloud Shell|Service Fabric|Azure Arc|workload identity|DefaultAzureCredential|az|azd")
	sources()
	asks_follow = n_tables
	table("A managed identity as an application's credential", "instead of a secret")
	clients("go", "azidentity")
	clients("node", "@azure/identity|@azure/msal-node")
	clients("python", "azure-identity (Python)|MSAL Python")
	source_names["app-service"] = "App Service"
	source_names["imds"] = "IMDS"
	table("Users", "device code|refresh|user refused|user with the role refused")
	clients("go", "MSAL Go")
	clients("node", "@azure/msal-node")
	clients("python", "MSAL Python")
	clients("java", "msal4j")
	table("Users of the developer tools", "az as user|azd as user|DefaultAzureCredential as user")
	clients("go", "azidentity")
	clients("node", "@azure/identity")
	clients("python", "azure-identity (Python)")
	clients("java", "azure-identity (Java)")
	table("Azure CLI", "cloud register|service principal, secret|service principal, certificate|user, device code|managed identity|wrong password|docs/az.md")
	clients("azure-cli", "Azure CLI")
	table("Commands of the Azure CLI for administrators", "ad app|ad sp|credentials|federated credentials|permissions|owners|ad user|ad signed-in-user|identity|group, account|rest|role (refused)")
	clients("azure-cli", "Azure CLI")
}

function sources() {
	clients("go", "azidentity|MSAL Go|ADAL Go")
	clients("node", "@azure/identity|@azure/msal-node")
	clients("python", "azure-identity (Python)|MSAL Python")
	clients("java", "azure-identity (Java)|msal4j")
}

function table(title, ways) { titles[++n_tables] = title; ways_of[n_tables] = ways }
function clients(suite, names) { clients_of[n_tables, suite] = names }

file == "statuses" { status[$1] = $2 }
file == "results" { version[$1] = $2; result[$1, $3] = $4 }
file == "asks" && FNR == 1 { for (n_faults = 0; n_faults + 5 <= NF; n_faults++) faults[n_faults + 1] = $(n_faults + 5) }
file == "asks" && FNR > 1 { n_asks++; ask_suite[n_asks] = $1; ask_client[n_asks] = $2; ask_source[n_asks] = $4 }
file == "asked" { asked[$1, $2, $3] = $4 }

END {
	for (t = 1; t <= n_tables; t++) {
		print_table(t)
		if (t == asks_follow) print_asks()
	}
	print passed + 0, failed + 0, skipped + 0 >counts
}

function print_table(t,    s, c, n, n_ways, names, ways, began) {
	n_ways = split(ways_of[t], ways, "|")
	for (s = 1; s <= n_suites; s++) {
		if (!(suites[s] in status)) continue
		n = split(clients_of[t, suites[s]], names, "|")
		for (c = 1; c <= n; c++) {
			if (!began++) print_head(titles[t], ways, n_ways)
			print_row(suites[s], names[c], ways, n_ways)
		}
	}
}

function print_asks(    a, f, row, heads, began) {
	heads[1] = pad("source", 11)
	for (f = 1; f <= n_faults; f++) {
		heads[f + 1] = faults[f]
		sub(/,retry-after=.*/, " with Retry-After", heads[f + 1])
	}
	for (a = 1; a <= n_asks; a++) {
		if (!(ask_suite[a] in status)) continue
		if (!began++) print_head("How often they ask", heads, n_faults + 1)
		row = "| " pad(ask_client[a], 23) " | " pad(version[ask_client[a]], 7) " | " pad(source_names[ask_source[a]], 11) " |"
		for (f = 1; f <= n_faults; f++) {
			row = row " " pad(judge(ask_suite[a], asked[ask_client[a], ask_source[a], faults[f]]), length(heads[f + 1])) " |"
		}
		print row
	}
}

function print_head(title, ways, n_ways,    w, row, rule) {
	row = "| " pad("client", 23) " | version |"
	rule = "|---|---|"
	for (w = 1; w <= n_ways; w++) {
		row = row " " ways[w] " |"
		rule = rule "---|"
	}
	print "\n### " title "\n\n" row "\n" rule
}

function print_row(suite, client, ways, n_ways,    w, row) {
	row = "| " pad(client, 23) " | " pad(version[client], 7) " |"
	for (w = 1; w <= n_ways; w++) row = row " " pad(judge(suite, result[client, ways[w]]), length(ways[w])) " |"
	print row
}

# judge counts a result and gives it as the tables have it.
function judge(suite, got) {
	if (status[suite] == "skipped" || got == "skipped") { skipped++; return "skipped" }
	if (got == "none") return "-"
	if (got == "ok" || got + 0 > 0) { passed++; return got }
	failed++
	return got == "" ? "MISSING" : got
}

function pad(text, width) { return sprintf("%-" width "s", text) }
