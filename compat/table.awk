# Makes the table of clients and ways, in Markdown.
#
# Reads statuses.tsv (suite, ok|skipped|FAIL), then results.tsv (client, version,
# way, ok|none|FAIL). Every client of a suite that ran must have a result for every
# way: a row that is missing is as bad as a test that failed. Writes to the file
# named by counts how many cells passed, failed and were skipped.

BEGIN {
	FS = "\t"
	clients["go"] = "azidentity|MSAL Go|ADAL Go"
	clients["node"] = "@azure/identity|@azure/msal-node|adal-node"
	clients["python"] = "azure-identity (Python)|MSAL Python|ADAL Python"
	clients["java"] = "azure-identity (Java)|msal4j"
	n_ways = split("secret|certificate|certificate chain|environment|v1.0 token|no role|wrong secret|unknown tenant|unknown resource", ways, "|")
}

FNR == 1 { file++ }
file == 1 { suites[++n_suites] = $1; status[$1] = $2 }
file == 2 { version[$1] = $2; result[$1, $3] = $4 }

END {
	print_head()
	for (s = 1; s <= n_suites; s++) {
		n = split(clients[suites[s]], names, "|")
		for (c = 1; c <= n; c++) print_row(suites[s], names[c])
	}
	print passed + 0, failed + 0, skipped + 0 >counts
}

function print_head(    w, row, rule) {
	row = "| " pad("client", 23) " | version |"
	rule = "|---|---|"
	for (w = 1; w <= n_ways; w++) {
		row = row " " ways[w] " |"
		rule = rule "---|"
	}
	print row "\n" rule
}

function print_row(suite, client,    w, row) {
	row = "| " pad(client, 23) " | " pad(version[client], 7) " |"
	for (w = 1; w <= n_ways; w++) row = row " " pad(cell(suite, client, ways[w]), length(ways[w])) " |"
	print row
}

function cell(suite, client, way,    got) {
	if (status[suite] == "skipped") { skipped++; return "skipped" }
	got = result[client, way]
	if (got == "ok") { passed++; return "ok" }
	if (got == "none") return "-"
	failed++
	return got == "" ? "MISSING" : got
}

function pad(text, width) { return sprintf("%-" width "s", text) }
